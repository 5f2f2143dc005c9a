import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concat, utf8 } from "../../../src/core/bytes.ts";
import { ed25519Signer } from "../../../src/crypto/ed25519.ts";
import { leafHash, treeRoot } from "../../../src/crypto/merkle.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { auditEntry } from "../../../src/wire/audit.ts";
import { checkpointNote, type LogTrust, logSigner, openCheckpoint } from "../../../src/wire/checkpoint.ts";
import { type LogSource, verifyLog } from "../../../src/wire/log-verify.ts";
import { formatVkey, type NoteKey } from "../../../src/wire/note.ts";
import { encodeBundle } from "../../../src/wire/tile.ts";
import { NO_WITNESSES } from "../../../src/wire/witness-policy.ts";
import { coded } from "../../support/errors.ts";

const ORIGIN = `qflare/${"ab".repeat(32)}`;

const signerOf = (fill: number) => {
  const seed = new Uint8Array(32).fill(fill);
  const { publicKey: mlDsaPublicKey, secretKey: mlDsaSecretKey } = signature("ML-DSA-44").generateKeyPair(seed);
  return logSigner(ORIGIN, { ed25519: ed25519Signer(seed), mlDsaPublicKey, mlDsaSecretKey });
};
const [log, other] = [signerOf(1), signerOf(2)];

function published(key: NoteKey): Uint8Array<ArrayBuffer> {
  const [digest, data] = [new Uint8Array(32), utf8(formatVkey(key))];
  return auditEntry.encode({ v: 1, at: 0, type: "key.published", subject: `log ${key.type}`, digest, data });
}

/** lines: those of a checkpoint's two that are left on it, by type. */
function noteOf(entries: readonly Uint8Array[], lines: readonly NoteKey["type"][]): string {
  const checkpoint = { origin: ORIGIN, size: entries.length, root: treeRoot(entries.map(leafHash)) };
  const signed = log.sign(checkpoint, 0);
  return checkpointNote(
    checkpoint,
    signed.filter((_, i) => lines.includes(log.keys[i].type)),
  );
}

function sourceOf(entries: readonly Uint8Array<ArrayBuffer>[], note: string): LogSource {
  const tile = async () => concat(...entries.map(leafHash));
  return { checkpoint: async () => note, tile, bundle: async () => encodeBundle(entries) };
}

describe("a log whose keys of both types are wanted", () => {
  const trust: LogTrust = { origin: ORIGIN, logKeys: log.keys, policy: NO_WITNESSES, needsEachType: true };
  const own = log.keys.map(published);
  const whole = noteOf(own, ["ed25519", "ml-dsa-44"]);

  it("holds where both have signed", async () => {
    assert.deepEqual((await verifyLog(sourceOf(own, whole), trust)).problems, []);
    assert.deepEqual(openCheckpoint(trust, whole).size, own.length);
  });

  it("is refused where one has not, which is enough where any is wanted", async () => {
    for (const type of ["ed25519", "ml-dsa-44"] as const) {
      const note = noteOf(own, [type]);
      assert.throws(
        () => openCheckpoint(trust, note),
        coded("log.signature", /no line of the pinned (ed25519|ml-dsa-44) key$/),
      );
      assert.equal((await verifyLog(sourceOf(own, note), trust)).problems.length, 1);
      const { problems } = await verifyLog(sourceOf(own, note), { ...trust, needsEachType: false });
      assert.deepEqual(problems, []);
    }
  });

  it("is refused where one was not in force", async () => {
    for (const key of other.keys) {
      const entries = [...own, published(key)];
      const { problems } = await verifyLog(sourceOf(entries, noteOf(entries, ["ed25519", "ml-dsa-44"])), trust);
      assert.deepEqual(problems, ["newest checkpoint is signed by a key that was not in force"]);
    }
  });

  it("continues an earlier checkpoint under one line: the keys of before are not asked for", async () => {
    const earlier = noteOf(own.slice(0, 1), ["ml-dsa-44"]);
    assert.deepEqual((await verifyLog(sourceOf(own, whole), trust, [earlier])).problems, []);
  });
});
