import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { certificateHash } from "../../src/crypto/certificate.ts";
import { LeafPool } from "../../src/crypto/leaf-pool.ts";
import { Transport } from "../../src/device/transport.ts";
import { makeCertificate } from "../../src/server/certificate.ts";
import { startServer } from "../../src/server/server.ts";
import { coded } from "../support/errors.ts";
import { folderOf } from "../support/folder.ts";
import { LongRun } from "../support/long-run.ts";
import { startTinyServer } from "../support/tiny-server.ts";

test("a run whose rounds could never make a model is refused before there is anything of it", async (context) => {
  const dataDir = join(folderOf(context), "data");
  const start = (target: number, quorum: number, updates_min: number) =>
    startServer({ dataDir, run: { updates_min }, rounds: { target, quorum } } as never);
  await assert.rejects(start(2, 3, 1), coded("config.invalid", /quorum: expected at most the target of 2, got 3$/));
  await assert.rejects(
    start(5, 3, 4),
    coded("config.invalid", /updates_min: expected at most the quorum of 3, got 4$/),
  );
  assert.ok(!existsSync(dataDir));
});

test("a start that fails says why, also where it then cannot be closed cleanly", async (context) => {
  const { close } = LeafPool.prototype;
  context.mock.method(LeafPool.prototype, "close", async function (this: LeafPool) {
    await close.call(this);
    throw new Error("a thread does not end");
  });
  const run = LongRun.prepare(context, { evidencePolicy: {} });
  await assert.rejects(run.start(), coded("evidence.refused"));
  const logged = run.warnings.filter((line) => line.includes("a thread does not end"));
  assert.equal(logged.length, 1);
});

test("an operator's TLS key is wiped once the server listens, and served under", async (t) => {
  const tls = await makeCertificate(["localhost"]);
  const sha256 = certificateHash(tls.certificate);
  const server = await startTinyServer(tls);
  t.after(() => server.close());
  assert.ok(tls.key.every((byte) => byte === 0));
  const transport = new Transport(server.running.url, { sha256 });
  t.after(() => transport.close());
  const { status } = await transport.call({ method: "GET", path: "/api/identity", bodyBytesMax: 2 ** 16 });
  assert.equal(status, 200);
});
