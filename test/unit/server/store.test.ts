import assert from "node:assert/strict";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it, type TestContext } from "node:test";
import { toHex } from "../../../src/core/bytes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { LeafPool } from "../../../src/crypto/leaf-pool.ts";
import { blobDigest } from "../../../src/crypto/merkle.ts";
import { BlobStore, onePiece } from "../../../src/server/store/blobs.ts";
import { openDatabase, storeError } from "../../../src/server/store/database.ts";
import { SCHEMA_VERSION } from "../../../src/server/store/schema.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";
import { TestServer } from "../../support/parts.ts";

const random = seededRandom("store");

async function storeOf(context: TestContext): Promise<{ folder: string; store: BlobStore; files: () => string[] }> {
  const folder = folderOf(context);
  const store = new BlobStore(folder, random);
  await store.prepare();
  const files = () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((f) => f.isFile())
      .map((f) => f.name);
  return { folder, store, files };
}

async function* pieces(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

describe("the store of blobs", () => {
  const blob = random.bytes(1000);
  const digest = blobDigest(blob);

  it("gives back what it was given, in pieces of any size, under the digest", async (context) => {
    const { store, files } = await storeOf(context);
    await store.put(
      digest,
      1000,
      pieces(blob.subarray(0, 1), new Uint8Array(0), blob.subarray(1, 999), blob.subarray(999)),
    );
    assert.deepEqual(await store.read(digest), blob);
    const { length, body } = (await store.stream(digest))!;
    assert.equal(length, 1000);
    assert.deepEqual(new Uint8Array(Buffer.concat(await body.toArray())), blob);
    assert.deepEqual(files(), [toHex(digest)]);
  });

  it("stores a large blob that threads hash, and refuses an altered one", async (context) => {
    const folder = folderOf(context);
    const leaves = new LeafPool(2);
    context.after(() => leaves.close());
    const store = new BlobStore(folder, random, leaves);
    await store.prepare();
    const large = new Uint8Array(LIMITS.threadedBlobBytes + 5).fill(7);
    const name = blobDigest(large);
    const altered = [large.subarray(0, 3_000_000), large.with(3_000_000, 8).subarray(3_000_000)];
    await assert.rejects(store.put(name, large.length, pieces(...altered)), coded("update.digest"));
    await store.put(name, large.length, pieces(large.subarray(0, 100), large.subarray(100)));
    assert.deepEqual(Buffer.compare(await store.read(name), large), 0);
  });

  it("stores the same blob twice at once as one", async (context) => {
    const { store, files } = await storeOf(context);
    await Promise.all(Array.from({ length: 5 }, () => store.put(digest, 1000, onePiece(blob))));
    assert.deepEqual(files(), [toHex(digest)]);
    assert.deepEqual(await store.read(digest), blob);
  });

  it("leaves nothing of a stream that is too short, too long, altered or broken off", async (context) => {
    const { store, files } = await storeOf(context);
    const altered = blob.map((byte, i) => (i === 500 ? byte ^ 1 : byte));
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield blob.subarray(0, 10);
      throw new RangeError("the line is cut");
    }
    await assert.rejects(
      store.put(digest, 1000, onePiece(blob.subarray(1))),
      coded("message.length_mismatch", /got 999$/),
    );
    await assert.rejects(store.put(digest, 1000, pieces(blob, Uint8Array.of(0))), coded("message.length_mismatch"));
    await assert.rejects(store.put(digest, 999, onePiece(blob)), coded("message.length_mismatch"));
    await assert.rejects(store.put(digest, 1000, onePiece(altered)), coded("update.digest"));
    await assert.rejects(store.put(digest, 1000, pieces()), coded("message.length_mismatch"));
    await assert.rejects(store.put(digest, 1000, broken()), RangeError);
    assert.deepEqual(files(), []);
    assert.equal(await store.stream(digest), undefined);
  });

  it("stops reading a stream that does not end once it is too long", async (context) => {
    const { store } = await storeOf(context);
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 100;
        yield new Uint8Array(100);
      }
    }
    await assert.rejects(store.put(digest, 1000, endless()), coded("message.length_mismatch"));
    assert.equal(sent, 1100);
  });

  it("sweeps blobs that nobody names, and no other file", async (context) => {
    const { folder, store, files } = await storeOf(context);
    const other = random.bytes(10);
    await store.put(digest, 1000, onePiece(blob));
    await store.put(blobDigest(other), 10, onePiece(other));
    writeFileSync(join(folder, "README"), "mine");
    await store.sweep(new Set([toHex(digest)]));
    assert.deepEqual(files().sort(), ["README", toHex(digest)].sort());
    await store.sweep(new Set());
    assert.deepEqual(files(), ["README"]);
  });

  it("calls a blob damaged that is missing or another, and nothing else", async (context) => {
    const { folder, store } = await storeOf(context);
    await assert.rejects(store.read(digest), coded("store.corrupt", /blob [0-9a-f]{64} is missing$/));
    await store.put(digest, 1000, onePiece(blob));
    const path = join(folder, toHex(digest).slice(0, 2), toHex(digest));
    truncateSync(path, 999);
    await assert.rejects(store.read(digest), coded("store.corrupt", /has other bytes than its name says$/));
    writeFileSync(path, blob.toReversed());
    await assert.rejects(store.read(digest), coded("store.corrupt", /has other bytes than its name says$/));
  });

  it("says that a blob cannot be read now where too many files are open", async (context) => {
    const { store } = await storeOf(context);
    await store.put(digest, 1000, onePiece(blob));
    const open = context.mock.method(fsPromises, "open", async () => {
      throw Object.assign(new Error("EMFILE: too many open files, open '/place'"), { code: "EMFILE" });
    });
    syncBuiltinESMExports();
    try {
      await assert.rejects(store.read(digest), coded("store.unavailable", /now: EMFILE$/));
      await assert.rejects(store.stream(digest), coded("store.unavailable", /now: EMFILE$/));
    } finally {
      open.mock.restore();
      syncBuiltinESMExports();
    }
    assert.deepEqual(await store.read(digest), blob);
  });

  it("has every folder that it makes on disk, with the folder above", async (context) => {
    const folder = join(folderOf(context), "a", "blobs");
    const synced: string[] = [];
    const original = fsPromises.open;
    const open = context.mock.method(fsPromises, "open", async (...args: Parameters<typeof original>) => {
      const file = await original(...args);
      const sync = file.sync.bind(file);
      file.sync = async () => {
        synced.push(String(args[0]));
        await sync();
      };
      return file;
    });
    syncBuiltinESMExports();
    try {
      const store = new BlobStore(folder, random);
      await store.prepare();
      assert.deepEqual(synced.sort(), [dirname(dirname(folder)), dirname(folder), folder].sort());
      synced.length = 0;
      await store.put(digest, 1000, onePiece(blob));
      const place = join(folder, toHex(digest).slice(0, 2));
      assert.equal(synced.length, 3);
      assert.deepEqual(synced.slice(1).sort(), [folder, place].sort());
    } finally {
      open.mock.restore();
      syncBuiltinESMExports();
    }
  });

  it("forgets at its start what an interrupted write left behind", async (context) => {
    const { folder, store, files } = await storeOf(context);
    writeFileSync(join(folder, "incoming", "half"), "a piece");
    await store.prepare();
    assert.deepEqual(files(), []);
  });
});

describe("group commit", () => {
  const insert = (server: TestServer, size: number) =>
    server.writer.write((tx) =>
      tx.insertInto("checkpoints").values({ size, note: "", cosigned: 0 }).returning("size").executeTakeFirstOrThrow(),
    );
  const sizes = async (server: TestServer) =>
    (await server.db.selectFrom("checkpoints").select("size").orderBy("size").execute()).map((row) => row.size);

  it("writes in the order of the calls and answers each with its own value", async (context) => {
    const server = await TestServer.start(context);
    const order: number[] = [];
    const written = Array.from({ length: 50 }, (_, i) => insert(server, i).then(({ size }) => order.push(size)));
    await Promise.all(written);
    assert.deepEqual(order, [...Array(50).keys()]);
    assert.equal((await sizes(server)).length, 50);
  });

  it("lets a write that fails fail alone, with all that it did", async (context) => {
    const server = await TestServer.start(context);
    const failing = server.writer.write(async (tx) => {
      await tx.insertInto("checkpoints").values({ size: 99, note: "", cosigned: 0 }).execute();
      throw new RangeError("changed my mind");
    });
    const results = await Promise.allSettled([insert(server, 1), insert(server, 1), failing, insert(server, 2)]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected", "fulfilled"],
    );
    assert.ok((results[2] as PromiseRejectedResult).reason instanceof RangeError);
    assert.deepEqual(await sizes(server), [1, 2]);
  });

  it("goes on after a failure, and is drained when nothing is on its way", async (context) => {
    const server = await TestServer.start(context);
    await assert.rejects(
      server.writer.write(async () => Promise.reject(new RangeError("no"))),
      RangeError,
    );
    const late = insert(server, 3);
    await server.writer.drained();
    assert.deepEqual(await sizes(server), [3]);
    await late;
    await server.writer.drained();
  });

  it("takes writes that are asked for from within a write", async (context) => {
    const server = await TestServer.start(context);
    let inner: Promise<unknown> | undefined;
    await server.writer.write(async () => {
      inner ??= insert(server, 5);
    });
    await inner;
    assert.deepEqual(await sizes(server), [5]);
  });

  it("has on disk what it acknowledged: another connection sees it", async (context) => {
    const server = await TestServer.start(context);
    await insert(server, 7);
    const other = await openDatabase(join(server.folder, "ledger.db"), { readOnly: true });
    assert.equal((await other.selectFrom("checkpoints").select("size").executeTakeFirst())?.size, 7);
    await other.destroy();
  });
});

describe("the database file", () => {
  it("is refused where it is no database, cut off or overwritten", async (context) => {
    const folder = folderOf(context);
    writeFileSync(join(folder, "text"), "not a database, but long enough to have a header ".repeat(40));
    await assert.rejects(openDatabase(join(folder, "text")), coded("store.corrupt", /no whole database$/));
    const path = join(folder, "ledger.db");
    const db = await openDatabase(path);
    await db.destroy();
    const whole = readFileSync(path);
    truncateSync(path, Math.floor(whole.length / 2 / 4096) * 4096);
    await assert.rejects(openDatabase(path), coded("store.corrupt"));
    writeFileSync(path, whole.fill(0xa5, 100, 4096));
    await assert.rejects(openDatabase(path), coded("store.corrupt"));
  });

  it("is refused where another version of the program made it, and left as it is", async (context) => {
    const path = join(folderOf(context), "ledger.db");
    await (await openDatabase(path)).destroy();
    const later = new DatabaseSync(path);
    assert.deepEqual({ ...later.prepare("PRAGMA user_version").get() }, { user_version: SCHEMA_VERSION });
    later.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    later.close();
    const whole = readFileSync(path);
    for (const readOnly of [false, true]) {
      await assert.rejects(openDatabase(path, { readOnly }), coded("store.version", /expected 2, got 3$/));
    }
    assert.deepEqual(readFileSync(path), whole);
  });

  it("is refused where a version before made it, numbered or not, unless no run is in it yet", async (context) => {
    const path = join(folderOf(context), "ledger.db");
    const open = async (version: number, readOnly = false): Promise<void> => {
      const file = new DatabaseSync(path);
      file.exec(`PRAGMA user_version = ${version}`);
      file.close();
      await (await openDatabase(path, { readOnly })).destroy();
    };
    await open(0);
    await open(0);
    await open(SCHEMA_VERSION);
    const db = await openDatabase(path);
    const unset = { enclave_keys: null, enclave_progress: null, enclave_public_key: null, session_policy: null };
    const run = { id: 1, run_id: new Uint8Array(32), policy: new Uint8Array(1), plan: "", ...unset };
    await db.insertInto("run").values(run).execute();
    await db.destroy();
    for (const version of [0, 1]) {
      const refused = coded("store.version", new RegExp(`expected 2, got ${version}$`));
      for (const readOnly of [false, true]) await assert.rejects(open(version, readOnly), refused);
    }
    await open(SCHEMA_VERSION);
  });

  it("opens again as it was left, and once more at the same time for reading", async (context) => {
    const folder = folderOf(context);
    const path = join(folder, "ledger.db");
    const first = await openDatabase(path);
    await first.insertInto("checkpoints").values({ size: 1, note: "", cosigned: 0 }).execute();
    const reader = await openDatabase(path, { readOnly: true });
    assert.equal((await reader.selectFrom("checkpoints").selectAll().execute()).length, 1);
    await assert.rejects(reader.insertInto("checkpoints").values({ size: 2, note: "", cosigned: 0 }).execute());
    await reader.destroy();
    await first.destroy();
    const again = await openDatabase(path);
    assert.equal((await again.selectFrom("checkpoints").selectAll().execute()).length, 1);
    await again.destroy();
  });

  it("gives its failures the codes of the table, and leaves other errors alone", () => {
    const of = (fields: object) => storeError(Object.assign(new Error("x"), fields));
    assert.ok(coded("store.corrupt")(of({ errcode: 11 })) && coded("store.corrupt")(of({ errcode: 26 })));
    assert.ok(coded("store.full")(of({ errcode: 13 })) && coded("store.full")(of({ code: "EFBIG" })));
    assert.ok(coded("store.full")(of({ code: "ENOSPC" })) && coded("store.full")(of({ code: "EDQUOT" })));
    assert.ok(
      coded("store.unavailable")(of({ errcode: 10 + 3 * 256 })) && coded("store.unavailable")(of({ errcode: 8 })),
    );
    for (const code of ["EACCES", "EIO", "EMFILE", "EROFS"]) {
      const error = Object.assign(new Error(`${code}: no, open '/secret/place'`), { code });
      assert.ok(coded("store.unavailable", new RegExp(`^Cannot use stored data now: ${code}$`))(storeError(error)));
    }
    const other = new RangeError("mine");
    assert.equal(storeError(other), other);
    assert.equal(storeError("text"), "text");
  });
});
