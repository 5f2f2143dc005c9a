// Attacks on a device by a gateway that holds the server's true keys: models, evidence and policies that the enclave
// never signed. The device must refuse, and seal nothing.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { encodeCbor } from "../../src/core/codec.ts";
import { type ErrorCode, QflareError } from "../../src/core/error.ts";
import { blobDigest } from "../../src/crypto/merkle.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import type { DeviceOptions } from "../../src/device/device.ts";
import { initialParameters } from "../../src/learning/model.ts";
import { encodeModel } from "../../src/learning/model-file.ts";
import { modelStatement } from "../../src/wire/model.ts";
import { policyHash, policyMessage } from "../../src/wire/policy.ts";
import { FINISHED, type Lie, LyingGateway, openRun, type Run } from "../support/lying-gateway.ts";
import { TestClock, TINY_MODEL, TINY_PARAMETERS } from "../support/server.ts";
import { alteredFields, flipped } from "../support/session.ts";

const DAY_MS = 24 * 3_600_000;

type Shown = Awaited<ReturnType<LyingGateway["evidenceFor"]>>;

let gateway: LyingGateway;
let run: Run;
const clock = new TestClock();

before(async () => {
  run = await openRun(clock.nowMs());
  gateway = await LyingGateway.start(run, clock);
});

beforeEach(() => {
  gateway.heard.length = 0;
});

after(async () => await gateway.close());

/** How many rounds the device offered to train, of one that there is. Throws what the device throws. */
async function takePart(lie: Lie, options: Partial<DeviceOptions> = {}): Promise<number> {
  return await gateway.takePart(await gateway.enroll({ clock, ...options }), lie);
}

async function assertDeviceRefuses(code: ErrorCode, lie: Lie, options: Partial<DeviceOptions> = {}): Promise<void> {
  await assert.rejects(takePart(lie, options), { code });
  assertNothingSealed();
}

function assertNothingSealed(): void {
  assert.deepEqual(
    gateway.heard.filter((request) => request.includes("submit")),
    [],
  );
}

/** No rejection: the device asks again, and finds the run finished. */
async function assertDeviceWaits(lie: Lie): Promise<void> {
  let isTold = false;
  const rounds = await takePart((answer, request) => {
    if (isTold) return FINISHED;
    isTold = true;
    return lie(answer, request);
  });
  assert.equal(rounds, 0);
  assertNothingSealed();
}

test("a device trains on the truth, so that what follows is refused for its lie alone", async () => {
  assert.equal(await takePart((answer) => answer), 1);
});

test("a device refuses a model blob with any byte altered", async () => {
  for (const at of [0, 5, 20, 60, 72, 200, -1]) {
    await assertDeviceRefuses("model.malformed", (answer) => {
      const blob = gateway.blobs.get(Buffer.from(answer.task.model_blob).toString("hex"))!;
      return { ...answer, task: { ...answer.task, ...gateway.serve(flipped(blob, at), answer.task.model_blob) } };
    });
  }
});

test("a device refuses a model blob that is cut, longer than announced, or not there", async () => {
  const served = (answer: Parameters<Lie>[0]) =>
    gateway.blobs.get(Buffer.from(answer.task.model_blob).toString("hex"))!;
  await assertDeviceRefuses("model.malformed", (answer) => {
    const cut = served(answer).slice(0, -1);
    return { ...answer, task: { ...answer.task, ...gateway.serve(cut) } };
  });
  await assertDeviceRefuses("message.too_large", (answer) => {
    const { model_blob_length } = answer.task;
    return { ...answer, task: { ...answer.task, model_blob_length: model_blob_length - 1 } };
  });
  await assertDeviceRefuses("request.not_found", (answer) => {
    return { ...answer, task: { ...answer.task, model_blob: systemRandom.bytes(32) } };
  });
});

test("a device refuses another model that is sealed as if it were the signed one", async () => {
  const other = encodeModel(TINY_MODEL, initialParameters(TINY_MODEL, 2));
  assert.notDeepEqual(blobDigest(other), blobDigest(run.model));
  await assertDeviceRefuses("model.signature", (answer) => {
    return { ...answer, task: { ...answer.task, ...gateway.blobOf(other) } };
  });
});

test("a device refuses a model statement whose signature is altered or by another enclave", async () => {
  await assertDeviceRefuses("model.signature", (answer) => {
    const statement_signature = flipped(answer.task.statement_signature);
    return { ...answer, task: { ...answer.task, statement_signature } };
  });
  const other = await openRun(clock.nowMs(), run.runId);
  await assertDeviceRefuses("model.signature", (answer) => {
    const { statement, statementSignature: statement_signature } = other;
    return { ...answer, task: { ...answer.task, statement, statement_signature } };
  });
});

test("a device refuses a model statement with any one field altered", async () => {
  for (const [, fields] of alteredFields(modelStatement.decode(run.statement))) {
    const statement = encodeCbor(fields);
    await assertDeviceRefuses("model.signature", (answer) => ({ ...answer, task: { ...answer.task, statement } }));
  }
});

test("a device refuses evidence with any byte altered", async () => {
  const { length } = (await gateway.evidenceFor([systemRandom.bytes(32)])).evidence;
  for (const at of [-30, -1200, -2000, 200, 1000, length >> 1]) {
    await assertDeviceRefuses("evidence.refused", (answer) => {
      const evidence = flipped(answer.evidence.evidence, at);
      return { ...answer, evidence: { ...answer.evidence, evidence } };
    });
  }
});

test("a device refuses evidence for another nonce, or with a path that does not lead to its own", async () => {
  await assertDeviceRefuses("evidence.refused", async (answer) => {
    return { ...answer, evidence: await gateway.evidenceFor([systemRandom.bytes(32)]) };
  });
  const others = Array.from({ length: 4 }, () => systemRandom.bytes(32));
  const shared: Lie = async (answer, request) => {
    return { ...answer, evidence: await gateway.evidenceFor([request.nonce!, ...others]) };
  };
  assert.equal(await takePart(shared), 1, "the path itself is good");
  gateway.heard.length = 0;
  const bent: ((evidence: Shown) => object)[] = [
    () => ({ nonce_index: 1 }),
    () => ({ nonce_count: 2 }),
    () => ({ nonce_path: [] }),
    ({ nonce_path }) => ({ nonce_path: nonce_path.toReversed() }),
    ({ nonce_path }) => ({ nonce_path: [...nonce_path, systemRandom.bytes(32)] }),
    ({ nonce_path }) => ({ nonce_path: nonce_path.map((hash) => flipped(hash)) }),
  ];
  for (const bend of bent) {
    await assertDeviceRefuses("evidence.refused", async (answer, request) => {
      const evidence = await gateway.evidenceFor([request.nonce!, ...others]);
      return { ...answer, evidence: { ...evidence, ...bend(evidence) } };
    });
  }
});

test("a device refuses evidence that it was shown before", async () => {
  let first: Shown | undefined;
  await takePart((answer) => {
    first = answer.evidence;
    return answer;
  });
  gateway.heard.length = 0;
  await assertDeviceRefuses("evidence.refused", (answer) => ({ ...answer, evidence: first! }));
});

test("a device refuses evidence that was made for a request of its own before, and held back", async () => {
  let held: Shown | undefined;
  await assertDeviceRefuses("evidence.refused", (answer) => {
    if (held !== undefined) return { ...answer, evidence: held };
    held = answer.evidence;
    throw new QflareError("server.unavailable");
  });
});

test("a device refuses evidence that has expired or is not valid yet", async () => {
  for (const offsetMs of [-31 * DAY_MS, DAY_MS]) {
    const other = await openRun(clock.nowMs() + offsetMs, run.runId);
    await assertDeviceRefuses("evidence.refused", async (answer, request) => {
      return { ...answer, evidence: await gateway.evidenceFor([request.nonce!], other) };
    });
  }
});

test("a device refuses evidence of another run", async () => {
  const other = await openRun(clock.nowMs());
  await assertDeviceRefuses("evidence.refused", async (answer, request) => {
    return { ...answer, evidence: await gateway.evidenceFor([request.nonce!], other) };
  });
});

test("a device refuses a simulated enclave unless its options allow it by name", async () => {
  await assertDeviceRefuses("evidence.refused", (answer) => answer, { allowSimulatedEnclave: false });
});

test("a device refuses a policy that is not the one in the evidence", async () => {
  const truth = policyMessage.decode(run.policy);
  const lies: object[] = [
    { updates_min: 1 },
    { norm_max: 1e9 },
    { weight_cap: 1000 },
    { aggregation: JSON.stringify({ rule: "median" }) },
    { parameters: TINY_PARAMETERS + 1 },
    { run_id: systemRandom.bytes(32) },
  ];
  for (const lie of lies) {
    const policy = policyMessage.encode({ ...truth, ...lie });
    await assertDeviceRefuses("evidence.refused", (answer) => {
      const task = { ...answer.task, policy_hash: policyHash(policy) };
      return { ...answer, task, evidence: { ...answer.evidence, policy } };
    });
  }
});

test("a device refuses an enclave that would aggregate fewer updates than the device wants", async () => {
  await assertDeviceRefuses("evidence.refused", (answer) => answer, { updatesMin: 4 });
});

test("a device trains for no other enclave or policy than those that it was shown", async () => {
  for (const name of ["enclave_key_hash", "policy_hash"] as const) {
    await assertDeviceRefuses("evidence.refused", (answer) => {
      return { ...answer, task: { ...answer.task, [name]: systemRandom.bytes(32) } };
    });
  }
});

test("a device trains for nobody who shows no evidence", async () => {
  await assertDeviceWaits((answer) => ({ ...answer, evidence: null }));
});

test("a device stops trusting an enclave when its evidence has expired", async () => {
  const nonces: boolean[] = [];
  gateway.lie = (answer, request) => {
    nonces.push(request.nonce !== null);
    return nonces.length === 3 ? FINISHED : { ...answer, evidence: request.nonce === null ? null : answer.evidence };
  };
  const device = await gateway.enroll({ clock });
  const rounds: number[] = [];
  for await (const round of device.rounds()) {
    rounds.push(round.number);
    clock.move(31 * DAY_MS);
  }
  await device.close();
  clock.release();
  assert.deepEqual(rounds, [1], "the second round was for an enclave of yesterday");
  assert.deepEqual(nonces, [true, false, true], "so the device asked for evidence again");
  assertNothingSealed();
});
