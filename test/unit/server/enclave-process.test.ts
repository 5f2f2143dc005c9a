import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { LIMITS } from "../../../src/core/limits.ts";
import { EnclaveProcess, type Patience } from "../../../src/server/enclave-process.ts";
import { ENCLAVE_OPERATIONS, enclaveReply } from "../../../src/wire/enclave.ts";
import { framesOf } from "../../../src/wire/frame.ts";
import { silentLog } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

const REQUEST = { nonces: [new Uint8Array(32)], at: 1 };
const PATIENCE: Patience = {
  open: 50,
  rotate: 50,
  attest: 50,
  genesis: 50,
  adopt: 50,
  begin: 50,
  update: 50,
  aggregate: 500,
};
const PIPE_BYTES_MAX = 2 ** 20;

/** A program in place of the enclave. */
function running(context: TestContext, program: string): ReturnType<typeof spawn> {
  const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "pipe"] });
  context.after(() => child.kill("SIGKILL"));
  return child;
}

/** What EnclaveProcess sees of a child, without one: it answers when the test says so. */
class FakeChild extends EventEmitter {
  readonly stdin = new PassThrough().resume();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly signals: string[] = [];

  kill(signal: string): void {
    this.signals.push(signal);
  }

  /** Resolves when the answer has been taken. */
  async answer(): Promise<void> {
    const trace = { progress: new Uint8Array(1), record: new Uint8Array(1) };
    const body = ENCLAVE_OPERATIONS.attest.answer.encode({ evidence: new Uint8Array(1), ...trace });
    const reply = enclaveReply.encode({ error: null, body, blob_length: 0 });
    for (const frame of framesOf(reply, new Uint8Array(0))) this.stdout.write(frame);
    await turn();
  }
}

test("an enclave that does not answer in time is ended, and the call fails as with a dead one", async (context) => {
  const child = running(context, "process.stdin.resume(); setInterval(() => {}, 1000)");
  const gone = once(child, "exit");
  const enclave = new EnclaveProcess(child as never, silentLog, PATIENCE);
  await assert.rejects(enclave.call("attest", REQUEST), coded("enclave.unavailable"));
  assert.equal((await gone)[1], "SIGKILL");
  assert.equal(enclave.isAlive, false);
  await assert.rejects(enclave.call("attest", REQUEST), coded("enclave.unavailable"));
});

test("the time of a call starts when those before it are answered", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const child = new FakeChild();
  const enclave = new EnclaveProcess(child as never, silentLog, PATIENCE);
  const calls = Array.from({ length: 3 }, () => enclave.call("attest", REQUEST));
  for (const call of calls) {
    context.mock.timers.tick(49);
    await child.answer();
    await call;
  }
  context.mock.timers.tick(1000);
  assert.deepEqual(child.signals, []);
  const last = assert.rejects(enclave.call("attest", REQUEST), coded("enclave.unavailable"));
  context.mock.timers.tick(50);
  await last;
  assert.deepEqual(child.signals, ["SIGKILL"]);
});

test("an aggregation is given more time than other calls", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const child = new FakeChild();
  const enclave = new EnclaveProcess(child as never, silentLog);
  const call = assert.rejects(enclave.call("aggregate", { round: 1, at: 1 }), coded("enclave.unavailable"));
  context.mock.timers.tick(LIMITS.enclaveCallMsMax);
  assert.ok(enclave.isAlive);
  context.mock.timers.tick(LIMITS.enclaveAggregateMsMax - LIMITS.enclaveCallMsMax);
  await call;
});

test("an answer to nothing ends the enclave", async () => {
  const child = new FakeChild();
  const enclave = new EnclaveProcess(child as never, silentLog, PATIENCE);
  await child.answer();
  assert.equal(enclave.isAlive, false);
  assert.deepEqual(child.signals, ["SIGKILL"]);
});

test("an enclave that closes its input and runs on is ended", async (context) => {
  const child = running(context, 'require("node:fs").closeSync(0); console.log("closed"); setInterval(() => {}, 1000)');
  const gone = once(child, "exit");
  await once(child.stdout!, "data");
  const enclave = new EnclaveProcess(child as never, silentLog);
  await assert.rejects(enclave.call("attest", REQUEST), coded("enclave.unavailable"));
  assert.equal((await gone)[1], "SIGKILL");
  assert.equal(enclave.isAlive, false);
});

test("a blob is not copied into memory faster than the enclave reads it", async (context) => {
  const child = running(context, "setInterval(() => {}, 1000)");
  const enclave = new EnclaveProcess(child as never, silentLog);
  const request = { manifest: new Uint8Array(1), signature: new Uint8Array(2420), at: 1 };
  const call = assert.rejects(enclave.call("update", request, new Uint8Array(16 * PIPE_BYTES_MAX)));
  await turn();
  await turn();
  assert.ok(child.stdin!.writableLength <= 2 * PIPE_BYTES_MAX, `${child.stdin!.writableLength} bytes are waiting`);
  enclave.kill();
  await call;
});
