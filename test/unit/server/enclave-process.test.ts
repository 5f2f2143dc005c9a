import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { EnclaveProcess } from "../../../src/server/enclave-process.ts";
import { silentLog } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

const REQUEST = { nonces: [new Uint8Array(32)], at: 1 };

function hanging(): ReturnType<typeof spawn> {
  return spawn(process.execPath, ["-e", "process.stdin.resume(); setInterval(() => {}, 1000)"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
}

test("an enclave that does not answer in time is ended, and the call fails as with a dead one", async () => {
  const child = hanging();
  const gone = once(child, "exit");
  const enclave = new EnclaveProcess(child as never, silentLog, 50);
  await assert.rejects(enclave.call("attest", REQUEST), coded("enclave.unavailable"));
  assert.equal((await gone)[1], "SIGKILL");
  assert.equal(enclave.isAlive, false);
  await assert.rejects(enclave.call("attest", REQUEST), coded("enclave.unavailable"));
});
