import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { toHex, utf8 } from "../../../src/core/bytes.ts";
import { ed25519Signer } from "../../../src/crypto/ed25519.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { proveConsistency, subtreesOf, TileEdge } from "../../../src/crypto/log-tree.ts";
import { leafHash } from "../../../src/crypto/merkle.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { checkpointNote, logSigner, verifyLine } from "../../../src/wire/checkpoint.ts";
import { parseNote, parseSignatures } from "../../../src/wire/note.ts";
import { formatAddCheckpoint, parseAddCheckpoint } from "../../../src/wire/witness.ts";
import { loadWitnessKeys } from "../../../src/witness/keys.ts";
import { WitnessStore } from "../../../src/witness/store.ts";
import { SizeConflict, Witness } from "../../../src/witness/witness.ts";
import { FakeClock, seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";

const ORIGIN = `qflare/${"cd".repeat(32)}`;
const AT = 1_750_000_000_000;

function signerOf(fill: number) {
  const pair = signature("ML-DSA-44").generateKeyPair(new Uint8Array(32).fill(fill));
  const ed25519 = ed25519Signer(new Uint8Array(32).fill(fill));
  return logSigner(ORIGIN, { ed25519, mlDsaPublicKey: pair.publicKey, mlDsaSecretKey: pair.secretKey });
}

/** A log of small trees; story: another one is another history. */
class TestLog {
  readonly signer = signerOf(7);
  readonly #story: string;

  constructor(story = "one") {
    this.#story = story;
  }

  #edge(size: number): TileEdge {
    const edge = new TileEdge();
    for (let i = 0; i < size; i++) edge.append(leafHash(utf8(`${i < 3 ? "same" : this.#story} ${i}`)));
    return edge;
  }

  note(size: number, signer = this.signer): string {
    const checkpoint = { origin: ORIGIN, size, root: this.#edge(size).root() };
    return checkpointNote(checkpoint, signer.sign(checkpoint, AT));
  }

  async body(oldSize: number, size: number, note = this.note(size)): Promise<string> {
    const readTile = async (row: number, number: number) => this.#edge(size).partial(row, number)!;
    const proof = await proveConsistency(subtreesOf(readTile), oldSize, size);
    return formatAddCheckpoint({ oldSize, proof, note });
  }
}

/** Of the log after a rotation. */
const NEXT = signerOf(9);

function witnessOf(context: TestContext) {
  const folder = folderOf(context);
  const signer = loadWitnessKeys(join(folder, "witness.key"), "witness.example/one", seededRandom("witness"));
  const open = () => {
    const store = new WitnessStore(join(folder, "witness.sqlite"));
    context.after(() => store.close());
    const logs = [new TestLog().signer.keys[1], NEXT.keys[1]];
    return new Witness({ signer, logs, store, clock: new FakeClock() });
  };
  return { folder, signer, open };
}

describe("a witness", () => {
  it("cosigns a log that grows, with both of its keys", async (context) => {
    const { signer, open } = witnessOf(context);
    const [witness, log] = [open(), new TestLog()];
    for (const [oldSize, size] of [
      [0, 2],
      [2, 2],
      [2, 9],
      [9, 12],
    ] as const) {
      const lines = parseSignatures(witness.addCheckpoint(await log.body(oldSize, size)));
      const checkpoint = { origin: ORIGIN, size, root: new Uint8Array(32) };
      const { text } = parseNote(log.note(size));
      checkpoint.root = new Uint8Array(Buffer.from(text.split("\n")[2], "base64"));
      assert.equal(lines.length, 2);
      for (const [i, line] of lines.entries()) assert.ok(verifyLine(checkpoint, signer.keys[i], line));
    }
  });

  it("follows a log to its next key, and never back", async (context) => {
    const witness = witnessOf(context).open();
    const log = new TestLog();
    witness.addCheckpoint(await log.body(0, 5));
    witness.addCheckpoint(await log.body(5, 7, log.note(7, NEXT)));
    const replaced = await log.body(7, 9);
    assert.throws(() => witness.addCheckpoint(replaced), coded("witness.signature", /replaced$/));
    witness.addCheckpoint(await log.body(7, 9, log.note(9, NEXT)));
  });

  it("tells what it has seen where the old size is another, and changes nothing", async (context) => {
    const witness = witnessOf(context).open();
    const log = new TestLog();
    witness.addCheckpoint(await log.body(0, 5));
    for (const oldSize of [0, 4, 6]) {
      const body = await log.body(oldSize, 8);
      assert.throws(
        () => witness.addCheckpoint(body),
        (error) => error instanceof SizeConflict && error.size === 5,
      );
    }
    witness.addCheckpoint(await log.body(5, 8));
  });

  it("does not cosign a history that was rewritten, whatever the proof", async (context) => {
    const witness = witnessOf(context).open();
    witness.addCheckpoint(await new TestLog("one").body(0, 5));
    const other = new TestLog("two");
    for (const body of [await other.body(5, 9), await other.body(5, 5)]) {
      assert.throws(() => witness.addCheckpoint(body), coded("witness.inconsistent"));
    }
    const smuggled = await new TestLog("one").body(5, 9, other.note(9));
    assert.throws(() => witness.addCheckpoint(smuggled), coded("witness.inconsistent"));
    witness.addCheckpoint(await new TestLog("one").body(5, 9));
  });

  it("does not cosign a log that shrinks", async (context) => {
    const witness = witnessOf(context).open();
    const log = new TestLog();
    witness.addCheckpoint(await log.body(0, 5));
    const body = formatAddCheckpoint({ oldSize: 5, proof: [], note: log.note(4) });
    assert.throws(() => witness.addCheckpoint(body), coded("log.malformed", /old size/));
  });

  it("remembers over a restart", async (context) => {
    const { open } = witnessOf(context);
    open().addCheckpoint(await new TestLog("one").body(0, 5));
    const again = open();
    const other = await new TestLog("two").body(5, 9);
    assert.throws(() => again.addCheckpoint(other), coded("witness.inconsistent"));
    again.addCheckpoint(await new TestLog("one").body(5, 9));
  });

  it("knows its logs by their keys: another origin is not known, another key does not sign", async (context) => {
    const witness = witnessOf(context).open();
    const log = new TestLog();
    const foreign = await log.body(0, 5, log.note(5, signerOf(8)));
    assert.throws(() => witness.addCheckpoint(foreign), coded("witness.signature"));
    const elsewhere = (await log.body(0, 5)).replaceAll("cdcd", "abab");
    assert.throws(() => witness.addCheckpoint(elsewhere), coded("witness.unknown_log"));
    const altered = (await log.body(0, 5)).replace("\n5\n", "\n6\n");
    assert.throws(() => witness.addCheckpoint(altered), coded("witness.signature"));
  });

  it("refuses what is no request", async (context) => {
    const witness = witnessOf(context).open();
    const body = await new TestLog().body(0, 5);
    for (const bad of ["", "old 0\n", body.replace("old 0", "old 00"), body.replace("old 0\n", "old 0\nAAAA\n")]) {
      assert.throws(() => witness.addCheckpoint(bad), coded("log.malformed"));
    }
    const proof = Array.from({ length: 64 }, () => sha256());
    const long = formatAddCheckpoint({ oldSize: 0, proof, note: new TestLog().note(5) });
    assert.throws(() => parseAddCheckpoint(long), coded("log.malformed"));
  });

  it("shows the last checkpoint that it has cosigned, with the log's line and its own", async (context) => {
    const { open } = witnessOf(context);
    const witness = open();
    const hash = toHex(sha256(utf8(ORIGIN)));
    assert.equal(witness.checkpointOf(hash), undefined);
    witness.addCheckpoint(await new TestLog().body(0, 5));
    const { signatures } = parseNote(witness.checkpointOf(hash)!);
    assert.deepEqual(
      signatures.map(({ name }) => name),
      [ORIGIN, "witness.example/one", "witness.example/one"],
    );
    assert.equal(witness.checkpointOf("00".repeat(32)), undefined);
  });

  it("keeps its name and keys", (context) => {
    const { folder, signer } = witnessOf(context);
    const path = join(folder, "witness.key");
    assert.deepEqual(loadWitnessKeys(path, undefined, seededRandom("other")).keys, signer.keys);
    assert.throws(() => loadWitnessKeys(path, "witness.example/two", seededRandom("x")), coded("config.invalid"));
    const fresh = join(folder, "fresh.key");
    assert.throws(() => loadWitnessKeys(fresh, undefined, seededRandom("x")), coded("config.invalid"));
  });
});
