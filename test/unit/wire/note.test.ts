import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ed25519Signer } from "../../../src/crypto/ed25519.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { signature } from "../../../src/crypto/signature.ts";
import {
  type Checkpoint,
  checkpointNote,
  cosigners,
  logSigner,
  openCheckpoint,
  parseCheckpoint,
  verifyLine,
  witnessSigner,
} from "../../../src/wire/checkpoint.ts";
import { formatNote, formatVkey, parseNote, parseSignatures, parseVkey } from "../../../src/wire/note.ts";
import { NO_WITNESSES } from "../../../src/wire/witness-policy.ts";
import { coded } from "../../support/errors.ts";

const AT = 1_750_000_000_000;
const ORIGIN = `qflare/${"ab".repeat(32)}`;
const CHECKPOINT: Checkpoint = { origin: ORIGIN, size: 7, root: sha256() };

/** Key and note of the examples in C2SP signed-note. */
const EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE = `This is an example message.

\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`;

const keys = (fill: number) => {
  const pair = signature("ML-DSA-44").generateKeyPair(new Uint8Array(32).fill(fill));
  const ed25519 = ed25519Signer(new Uint8Array(32).fill(fill));
  return { ed25519, mlDsaPublicKey: pair.publicKey, mlDsaSecretKey: pair.secretKey };
};

const log = logSigner(ORIGIN, keys(1));
const witness = witnessSigner("witness.example/one", keys(2));
const note = checkpointNote(CHECKPOINT, log.sign(CHECKPOINT, AT));

describe("a signed note", () => {
  it("of the specification's example is read, and its key", () => {
    const key = parseVkey(EXAMPLE_KEY)!;
    assert.deepEqual([key.name, key.type, formatVkey(key)], ["example.com/foo", "ed25519", EXAMPLE_KEY]);
    const parsed = parseNote(EXAMPLE_NOTE);
    assert.equal(parsed.text, "This is an example message.\n");
    assert.deepEqual([...parsed.signatures[0].keyId], [...key.keyId]);
    assert.equal(formatNote(parsed), EXAMPLE_NOTE);
  });

  it("is refused where it is none", () => {
    const bad = [
      "",
      "text\n",
      "text\n\n",
      `${note}\n`,
      note.slice(0, -1),
      note.replace("\u2014", "-"),
      `\u0000${note}`,
    ];
    bad.push(note.replace(/ (\S+)\n$/, " AAAA\n"), note.replace(/=\n$/, "\n"), `${note}x`.repeat(100));
    for (const text of bad)
      assert.throws(() => parseNote(text), coded("log.malformed"), JSON.stringify(text.slice(0, 40)));
  });

  it("holds no more signatures than the limit", () => {
    const line = note.split("\n").at(-2)!;
    assert.throws(() => parseSignatures(`${line}\n`.repeat(25)), coded("log.malformed", /too many|longer/));
  });
});

describe("a verifier key", () => {
  it("of each type comes back as it was", () => {
    for (const key of [...log.keys, ...witness.keys]) assert.deepEqual(parseVkey(formatVkey(key)), key);
  });

  it("is none where name, key id, type or length differ", () => {
    const vkey = formatVkey(log.keys[1]);
    const bad = [vkey.replace("qflare", "other"), vkey.slice(0, -4), `${vkey}AAAA`, vkey.replace("+B", "+C"), "x", ""];
    for (const text of bad) assert.equal(parseVkey(text), undefined, text.slice(0, 100));
    assert.equal(parseVkey(EXAMPLE_KEY.replace("530d903a", "530d903b")), undefined);
  });
});

describe("a checkpoint", () => {
  const trust = { origin: ORIGIN, logKeys: [log.keys[1]], policy: NO_WITNESSES };

  it("opens under either key of its log", () => {
    for (const logKey of log.keys) assert.deepEqual(openCheckpoint({ ...trust, logKeys: [logKey] }, note), CHECKPOINT);
  });

  it("does not open under another key, for another run, or altered in any part", () => {
    const other = logSigner(ORIGIN, keys(3)).keys[1];
    assert.throws(() => openCheckpoint({ ...trust, logKeys: [other] }, note), coded("log.signature"));
    assert.throws(() => openCheckpoint({ ...trust, origin: "qflare/x" }, note), coded("log.signature", /another run/));
    assert.throws(() => openCheckpoint(trust, note.replace("\n7\n", "\n8\n")), coded("log.signature"));
    for (let i = note.length - 3; i > note.length - 200; i -= 7) {
      // Q, since a B as the last letter would be no base64 at all: two of its six bits stand for nothing.
      const letter = note[i] === "A" ? "Q" : "A";
      const altered = note.slice(0, i) + letter + note.slice(i + 1);
      assert.throws(() => openCheckpoint(trust, altered), coded("log.signature"), `byte ${i}`);
    }
  });

  it("has three lines of one form", () => {
    const text = parseNote(note).text;
    assert.deepEqual(parseCheckpoint(text), CHECKPOINT);
    const bad = [`${text}more\n`, text.replace("\n7\n", "\n07\n"), text.replace("\n7\n", "\n-7\n"), text.slice(0, -1)];
    bad.push(text.replace("\n7\n", "\n99999999999999999\n"), text.replace("=\n", "\n"), "\n7\n");
    for (const one of bad) assert.throws(() => parseCheckpoint(one), coded("log.malformed"), JSON.stringify(one));
  });

  it("is cosigned by a witness with its name and its time, and with no other", () => {
    for (const [i, line] of witness.sign(CHECKPOINT, AT).entries()) {
      assert.ok(verifyLine(CHECKPOINT, witness.keys[i], line));
      assert.ok(!verifyLine({ ...CHECKPOINT, size: 8 }, witness.keys[i], line));
      assert.ok(!verifyLine({ ...CHECKPOINT, origin: "qflare/y" }, witness.keys[i], line));
      const later = Uint8Array.from(line.signature);
      later[7] ^= 1;
      assert.ok(!verifyLine(CHECKPOINT, witness.keys[i], { ...line, signature: later }));
      assert.ok(!verifyLine(CHECKPOINT, witness.keys[i], { ...line, signature: line.signature.slice(0, 7) }));
    }
  });

  it("counts a witness's lines that hold, and is refused for one that does not", () => {
    const policy = { witnesses: [{ name: "one", key: witness.keys[1], url: undefined }], quorum: undefined };
    const lines = witness.sign(CHECKPOINT, AT);
    assert.deepEqual([...cosigners(lines, CHECKPOINT, policy)], ["one"]);
    assert.deepEqual([...cosigners(lines.slice(0, 1), CHECKPOINT, policy)], []);
    assert.throws(() => cosigners(lines, { ...CHECKPOINT, size: 8 }, policy), coded("log.signature"));
  });
});
