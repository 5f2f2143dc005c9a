import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename, join } from "node:path";
import { test } from "node:test";
import { readLedger } from "../../src/cli/ledger.ts";
import { toHex } from "../../src/core/bytes.ts";
import { QflareError } from "../../src/core/error.ts";
import { BlobStore } from "../../src/server/store/blobs.ts";
import { assertRoundEnds } from "../support/client.ts";
import { LongRun } from "../support/long-run.ts";
import { TestServer } from "../support/server.ts";

function refusal(): Error {
  return Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
}

test("a round ends though the disk does not give blobs for a while, nor let them be removed", async (context) => {
  const server = await TestServer.start();
  const original = fsPromises.open;
  let reads = 0;
  const open = context.mock.method(fsPromises, "open", async (...args: Parameters<typeof original>) => {
    const isBlob = args[1] === "r" && /^[0-9a-f]{64}$/.test(basename(String(args[0])));
    // The first is the test's own, for the parameters that the round starts from.
    if (isBlob && ++reads > 1 && reads < 5) throw refusal();
    return await original(...args);
  });
  const readdir = context.mock.method(fsPromises, "readdir", async () => {
    throw refusal();
  });
  syncBuiltinESMExports();
  try {
    await assertRoundEnds(server);
  } finally {
    open.mock.restore();
    readdir.mock.restore();
    syncBuiltinESMExports();
    await server.close();
  }
});

test("blobs that cannot be removed keep no other of their round", async (context) => {
  const { remove } = BlobStore.prototype;
  const kept = new Set<string>();
  context.mock.method(BlobStore.prototype, "remove", async function (this: BlobStore, digest: Uint8Array) {
    if (kept.size < 2) kept.add(toHex(digest));
    if (kept.has(toHex(digest))) throw new QflareError("store.unavailable", "EIO");
    await remove.call(this, digest);
  });
  const run = await LongRun.open(context);
  const members = await run.devices("a", "b", "c");
  await Promise.all(members.map(({ held }) => held.finish()));
  await run.stop();
  const models = await readLedger(run.dataDir, (db) => db.selectFrom("models").select("blob_digest").execute());
  const found = readdirSync(join(run.dataDir, "blobs"), { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile()).map(({ name }) => name);
  assert.deepEqual(files.sort(), [...models.map((row) => toHex(row.blob_digest)), ...kept].sort());
  const warnings = run.warnings.filter((line) => line.startsWith("blobs that are of no use any more"));
  assert.equal(warnings.length, 1);
});
