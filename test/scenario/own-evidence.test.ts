// A server and the evidence of its own enclave: no run without evidence that the server itself would take.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { readEvidenceFile } from "../../src/attestation/evidence-file.ts";
import type { AppraisalPolicy } from "../../src/attestation/policy.ts";
import { TEE_DEVICES } from "../../src/attestation/tee-device.ts";
import { verifyEvidence } from "../../src/attestation/verify.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { initialParameters } from "../../src/learning/model.ts";
import { encodeModel } from "../../src/learning/model-file.ts";
import { DEFAULT_RATE_LIMITS } from "../../src/server/limiter.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/server.ts";
import { FakeClock, silentLog } from "../support/clock.ts";
import { coded } from "../support/errors.ts";
import { folderOf } from "../support/folder.ts";
import { TINY_MODEL } from "../support/server.ts";

const clock = new FakeClock();

async function start(dataDir: string, options: Partial<ServerOptions>): Promise<RunningServer> {
  return await startServer({
    ...{ dataDir, host: "127.0.0.1", port: 0, publicUrl: undefined, tls: undefined, suites: ["QF2-HYBRID"] },
    run: {
      ...{
        suite: "QF2-HYBRID",
        aggregation: '{"rule":"mean"}',
        updates_min: 1,
        norm_max: 1,
        weight_cap: 2,
        plan: "{}",
      },
      firstModel: encodeModel(TINY_MODEL, initialParameters(TINY_MODEL, 1)),
    },
    rounds: { rounds: 1, target: 1, quorum: 1, overSelection: 1, selectionMs: 0, deadlineMs: 60_000 },
    ...{ rateLimits: DEFAULT_RATE_LIMITS, clock, random: systemRandom, log: silentLog },
    ...options,
  });
}

async function assertNoStart(context: TestContext, options: Partial<ServerOptions>, code: string, text: RegExp) {
  const folder = folderOf(context);
  await assert.rejects(start(folder, options), coded(code, text));
  return folder;
}

describe("a server", () => {
  it("starts no run whose enclave its own policy would refuse, and keeps that evidence", async (context) => {
    const other = { allow_simulated: true, allowed_measurements: ["00".repeat(32)] };
    const refused = /this server's own: policy: measurement \w{64} is not allowed/;
    const folder = await assertNoStart(context, { evidencePolicy: other }, "evidence.refused", refused);
    const evidence = readEvidenceFile(JSON.parse(readFileSync(join(folder, "evidence.json"), "utf8")));
    const now = new Date(clock.nowMs());
    assert.deepEqual(verifyEvidence(evidence, { now, policy: { allow_simulated: true } }).reasons, []);
  });

  it("starts no run without hardware where its policy wants some", async (context) => {
    const refused = /this server's own: it is simulated, which the policy does not allow/;
    await assertNoStart(context, { evidencePolicy: {} }, "evidence.refused", refused);
  });

  it("takes null for no policy at all, neither its own default nor another", async (context) => {
    const none = null as unknown as AppraisalPolicy;
    await assertNoStart(context, { evidencePolicy: none }, "config.invalid", /appraisal policy: expected an object/);
  });

  it("starts where the enclave has the measurement that its policy names", async (context) => {
    const folder = folderOf(context);
    await (await start(folder, {})).close();
    const evidence = readEvidenceFile(JSON.parse(readFileSync(join(folder, "evidence.json"), "utf8")));
    const { measurement } = verifyEvidence(evidence, { now: new Date(clock.nowMs()) });
    const evidencePolicy = { allow_simulated: true, allowed_measurements: [measurement] };
    const running = await start(folder, { evidencePolicy });
    assert.equal(running.tee, "simulated");
    await running.close();
  });

  for (const { tee, sign } of TEE_DEVICES) {
    it(`fails where it is told to use ${tee} that is not there`, async (context) => {
      if (existsSync(sign)) return context.skip(`this machine has ${tee}`);
      await assertNoStart(context, { tee }, "enclave.unavailable", /evidence\.unavailable: .* does not offer it: /);
    });
  }
});
