// Attacks with evidence of hardware on a device, by a gateway that holds the server's true keys and can buy the same
// machines. What the device does not refuse itself must be there for everybody to see in the audit log.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Binding, bindingMessage } from "../../src/attestation/binding.ts";
import type { QuoteCollateral } from "../../src/attestation/collateral.ts";
import type { HardwareTee } from "../../src/attestation/evidence.ts";
import { decodeEvidence, encodeEvidence } from "../../src/attestation/evidence-message.ts";
import type { AppraisalPolicy } from "../../src/attestation/policy.ts";
import { fromHex, toHex, utf8 } from "../../src/core/bytes.ts";
import type { ErrorCode } from "../../src/core/error.ts";
import type { Clock } from "../../src/core/ports.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Device, type DeviceOptions } from "../../src/device/device.ts";
import { SimulatedAttester } from "../../src/enclave/attesters/simulated.ts";
import { auditEntry } from "../../src/wire/audit.ts";
import { enclaveIdentity, enclaveIdentityMessage } from "../../src/wire/enclave-identity.ts";
import { replayRun } from "../../src/wire/log-replay.ts";
import { policyHash } from "../../src/wire/policy.ts";
import { coded } from "../support/errors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { FINISHED, type Lie, LyingGateway, openRun, type Run } from "../support/lying-gateway.ts";
import { releaseKey } from "../support/releases.ts";
import { type FakeVendors, fakeAttester, fakeVendors, MEASUREMENTS } from "../support/tee/fake-attesters.ts";
import { DAY_MS, NOW } from "../support/tee/fake-sev-snp.ts";

const TEES = Object.keys(MEASUREMENTS) as HardwareTee[];
const clock: Clock = { nowMs: () => NOW.getTime() };
const jsonOf = (value: unknown): Uint8Array<ArrayBuffer> => utf8(JSON.stringify(value));

type Shown = Awaited<ReturnType<LyingGateway["evidenceFor"]>>;

describe("a device that wants evidence of hardware", () => {
  const folder = temporaryFolder();
  let vendors: FakeVendors;
  let gateway: LyingGateway;
  const runs = {} as Record<HardwareTee, Run>;

  before(async () => {
    vendors = fakeVendors();
    const runId = systemRandom.bytes(32);
    for (const tee of TEES) runs[tee] = await enclaveOn(tee, runId);
    gateway = await LyingGateway.start(runs.tdx, clock);
  });

  after(async () => await gateway.close());

  beforeEach(() => {
    gateway.heard.length = 0;
  });

  /** An enclave of this run on genuine hardware, with what its vendor says about the machine. */
  async function enclaveOn(tee: HardwareTee, runId: Uint8Array<ArrayBuffer>, isDebug = false): Promise<Run> {
    const run = await openRun(NOW.getTime() - DAY_MS, runId, fakeAttester(vendors, tee, isDebug));
    if (tee === "tdx" || tee === "sgx") run.collateral = jsonOf(vendors.intel.collateral({ tee }));
    if (tee === "sev-snp") run.collateral = jsonOf({ ark_crl: vendors.amd.list() });
    return run;
  }

  /** Which policy an owner writes who wants this hardware. */
  const policyFor = (tee: HardwareTee): AppraisalPolicy => ({ allowed_measurements: [MEASUREMENTS[tee]] });

  async function enrolled(options: Partial<DeviceOptions> = {}): Promise<Device> {
    const evidenceRoots = vendors.roots;
    return await gateway.enroll({
      ...{ clock, evidenceRoots, allowSimulatedEnclave: false, evidencePolicy: policyFor("tdx") },
      ...options,
    });
  }

  /** The task and evidence of this run's enclave, as its server would give them. */
  const truthOf =
    (run: Run): Lie =>
    async (answer, request) => {
      const evidence = await gateway.evidenceFor([request.nonce ?? systemRandom.bytes(32)], run);
      const { statement, statementSignature: statement_signature } = run;
      const task = { ...answer.task, statement, statement_signature, enclave_key_hash: keyHashOf(evidence) };
      return { ...answer, task, evidence };
    };

  const keyHashOf = ({ log_entry }: Shown): Uint8Array<ArrayBuffer> =>
    enclaveIdentityMessage.decode(auditEntry.decode(log_entry).data).kem_key_hash;

  async function assertRefused(
    lie: Lie,
    reason: RegExp,
    options: Partial<DeviceOptions> = {},
    code: ErrorCode = "evidence.refused",
  ): Promise<void> {
    await assert.rejects(gateway.takePart(await enrolled(options), lie), coded(code, reason));
    assert.deepEqual(
      gateway.heard.filter((request) => request.includes("submit") || request.includes("/api/models/")),
      [],
    );
  }

  const shown =
    (change: (evidence: Shown) => Partial<Shown>): Lie =>
    (answer) => ({ ...answer, evidence: { ...answer.evidence, ...change(answer.evidence) } });

  it("is refused where null stands for the policy: only one left out is that of the defaults", async () => {
    const options = { allowSimulatedEnclave: true, evidencePolicy: null as unknown as AppraisalPolicy };
    await assertRefused(truthOf(runs.tdx), /appraisal policy: expected an object/, options, "config.invalid");
  });

  for (const tee of TEES) {
    it(`trains for an enclave on ${tee}, whose measurement its policy names`, async () => {
      const device = await enrolled({ evidencePolicy: policyFor(tee) });
      assert.equal(await gateway.takePart(device, truthOf(runs[tee])), 1);
    });

    it(`refuses an enclave on ${tee} in debug mode`, async () => {
      const run = await enclaveOn(tee, gateway.run.runId, true);
      await assertRefused(truthOf(run), /it runs in debug mode/, { evidencePolicy: policyFor(tee) });
    });

    it(`refuses an enclave on ${tee} with another measurement, or where its policy names none`, async () => {
      const other = { allowed_measurements: ["00".repeat(MEASUREMENTS[tee].length / 2)] };
      await assertRefused(truthOf(runs[tee]), /policy: measurement \w+ is not allowed/, { evidencePolicy: other });
      await assertRefused(truthOf(runs[tee]), /the device's policy names no measurement/, { evidencePolicy: {} });
    });
  }

  it("takes the measurements of a release, but of a TDX domain's firmware wants to know what it starts", async () => {
    const owner = releaseKey();
    const releasesOf = (tee: HardwareTee) => {
      const measurements = [{ tee, measurement: fromHex(MEASUREMENTS[tee])! }];
      return { keyHash: owner.hash, references: [owner.sign(runs[tee].codeDigest, { measurements })] };
    };
    for (const tee of TEES.filter((one) => one !== "tdx")) {
      const device = await enrolled({ evidencePolicy: {}, releases: releasesOf(tee) });
      assert.equal(await gateway.takePart(device, truthOf(runs[tee])), 1);
    }
    gateway.heard.length = 0;
    const releases = releasesOf("tdx");
    const unnamed = /the device's policy names no measurement/;
    await assertRefused(truthOf(runs.tdx), unnamed, { evidencePolicy: {}, releases });
    assert.equal(await gateway.takePart(await enrolled({ releases }), truthOf(runs.tdx)), 1);
    gateway.heard.length = 0;
    await assertRefused(truthOf(runs.sgx), /it names no sgx|no reference values|not allowed/, { releases });
  });

  it("refuses genuine evidence for a key that the gateway put in the enclave's place", async () => {
    const own = await openRun(NOW.getTime(), gateway.run.runId);
    const swapped = (evidence: Shown, change: (binding: Binding) => Binding): Partial<Shown> => ({
      binding: bindingMessage.encode(change(bindingMessage.decode(evidence.binding))),
    });
    for (const name of ["kem_public_key", "signature_public_key"] as const) {
      const key = name === "kem_public_key" ? own.kemPublicKey : systemRandom.bytes(1312);
      const lie = shown((evidence) => swapped(evidence, (binding) => ({ ...binding, [name]: key })));
      await assertRefused(lie, /bound to something else than what comes with it/);
    }
  });

  it("refuses evidence without hardware in the place of that which it wants", async () => {
    const simulated = await openRun(NOW.getTime(), gateway.run.runId, new SimulatedAttester("sandbox"));
    await assertRefused(truthOf(simulated), /it is simulated, which the policy does not allow/);
  });

  it("refuses evidence that answered another device or another time", async () => {
    let first: Shown | undefined;
    await gateway.takePart(await enrolled(), (answer) => {
      first = answer.evidence;
      return answer;
    });
    gateway.heard.length = 0;
    await assertRefused((answer) => ({ ...answer, evidence: first! }), /does not answer this device's nonce/);
  });

  it("refuses the epoch before once it has seen the next, by its old evidence and by fresh one", async () => {
    const before = runs["sev-snp"];
    const enclave = await before.twin();
    const at = NOW.getTime();
    const { kem_public_key } = await enclave.rotate({ first_round: 2, valid_ms: DAY_MS, at });
    const policy_hash = policyHash(before.policy);
    const { signature_public_key } = bindingMessage.decode((await enclave.attest({ nonces: [], at })).binding);
    const keys = { tee: "sev-snp", epoch: 2, kem_public_key, signature_public_key, policy_hash };
    const next: Run = { ...before, enclave, kemPublicKey: kem_public_key, identity: enclaveIdentity(keys) };
    let old: Shown | undefined;
    const remembering: Lie = async (answer, request) => {
      const told = await truthOf(before)(answer, request);
      old ??= told.evidence!;
      return told;
    };
    const replaying: Lie = async (answer, request) => ({ ...(await truthOf(before)(answer, request)), evidence: old! });
    for (const [third, reason] of [
      [replaying, /it does not answer this device's nonce/],
      [truthOf(before), /expected epoch 2 as it was or a later one, got another 1/],
    ] as const) {
      const keystore = join(folder, `${toHex(systemRandom.bytes(8))}.key`);
      const device = await enrolled({ keystore, evidencePolicy: policyFor("sev-snp") });
      gateway.lie = (answer, request) => [remembering, truthOf(next), third][request.after_round]!(answer, request);
      const rounds: number[] = [];
      const play = async (): Promise<void> => {
        for await (const { number } of device.rounds()) rounds.push(number);
      };
      await assert.rejects(play(), coded("evidence.refused", reason));
      await device.close();
      assert.deepEqual(rounds, [1, 2]);
      const options = { keystore, clock, evidencePolicy: policyFor("sev-snp"), evidenceRoots: vendors.roots };
      const again = Device.open(options);
      await assert.rejects(gateway.takePart(again, third), coded("evidence.refused", reason));
    }
  });

  it("refuses an epoch that is over, and one of another run or policy", async () => {
    const old = await openRun(NOW.getTime() - 31 * DAY_MS, gateway.run.runId, fakeAttester(vendors, "tdx"));
    old.collateral = gateway.run.collateral;
    await assertRefused(truthOf(old), /its epoch is over/);
    const foreign = await enclaveOn("tdx", systemRandom.bytes(32));
    await assertRefused(truthOf(foreign), /it is for another run/);
    await assertRefused(
      shown(() => ({
        policy: runs.nitro.policy.map((byte, i) => (i === runs.nitro.policy.length - 1 ? byte ^ 1 : byte)),
      })),
      /it is for another policy/,
    );
  });

  it("refuses collateral that is missing, expired, revokes the platform, or is of another one", async () => {
    const past = { thisUpdateMs: NOW.getTime() - 2 * DAY_MS, nextUpdateMs: NOW.getTime() - DAY_MS };
    const of = (collateral: QuoteCollateral): Lie => shown(() => ({ collateral: jsonOf(collateral) }));
    const told = (changed: object) => (info: Record<string, unknown>) => Object.assign(info, changed);
    const stale = told({ nextUpdate: "2026-04-30T00:00:00Z" });
    const other = told({ fmspc: "000000000000" });
    const { intel } = vendors;
    await assertRefused(
      shown(() => ({ collateral: null })),
      /collateral: expected that of Intel, got none/,
    );
    await assertRefused(of(intel.collateral({ listTimes: past })), /expired/);
    await assertRefused(of(intel.collateral({ tcbInfo: stale })), /expired/);
    await assertRefused(of(intel.collateral({ tcbInfo: other })), /another platform|FMSPC|fmspc/);
    await assertRefused(of(intel.collateral({ tee: "sgx" })), /TDX|tdx/);
    await assertRefused(of(intel.collateral({ pckSerials: [77] })), /revoked/);
    await assertRefused(of({ ...intel.collateral(), tcb_info_signature: "00".repeat(64) }), /signature/);
  });

  it("refuses collateral for AMD of another product, or that revokes the CA", async () => {
    const evidencePolicy = { ...policyFor("sev-snp"), require_revocation_list: true };
    const lie = (collateral: unknown): Lie => {
      const truth = truthOf(runs["sev-snp"]);
      return async (answer, request) => {
        const told = await truth(answer, request);
        return {
          ...told,
          evidence: { ...told.evidence!, collateral: collateral === null ? null : jsonOf(collateral) },
        };
      };
    };
    await assertRefused(lie(null), /expected a revocation list, got none/, { evidencePolicy });
    await assertRefused(lie({ ark_crl: vendors.amd.list({ product: "Genoa" }) }), /ark_crl: it is of another issuer/, {
      evidencePolicy,
    });
    await assertRefused(lie({ ark_crl: vendors.amd.list({ serials: [2] }) }), /revoked/, { evidencePolicy });
  });

  it("refuses evidence of one kind that is passed off as another", async () => {
    const lie: Lie = (answer) => {
      const { quote } = decodeEvidence(answer.evidence.evidence) as { quote: Uint8Array };
      const evidence = encodeEvidence({ tee: "sgx", quote });
      return { ...answer, evidence: { ...answer.evidence, evidence } };
    };
    await assertRefused(lie, /expected one of sgx, got tdx/, {
      evidencePolicy: { allowed_measurements: Object.values(MEASUREMENTS) },
    });
  });

  describe("where the gateway has the same program on hardware of its own", () => {
    it("refuses that enclave unless the audit log names it", async () => {
      const second = await enclaveOn("tdx", gateway.run.runId);
      const first = gateway.logged();
      const borrowed: Lie = async (answer, request) => {
        const told = await truthOf(second)(answer, request);
        return { ...told, evidence: { ...told.evidence!, ...first } };
      };
      const log = gateway.log;
      gateway.log = log.fork();
      await assertRefused(borrowed, /the audit log's entry is about another enclave/);
      gateway.log = log;
    });

    it("refuses an entry that is in no log", async () => {
      const second = await enclaveOn("tdx", gateway.run.runId);
      const log = gateway.log;
      const hidden = log.fork();
      const index = hidden.append({ type: "enclave.started", digest: second.codeDigest, data: second.identity });
      const { log_entry } = hidden.prove(index);
      const { log_index, log_path } = log.prove(0);
      await assertRefused(
        async (answer, request) => {
          const told = await truthOf(second)(answer, request);
          return { ...told, evidence: { ...told.evidence!, log_entry, log_index, log_path } };
        },
        /entry 0 is not proved/,
        {},
        "log.fork",
      );
      gateway.log = log;
    });

    it("and both are in one log, everybody sees two enclaves of one epoch", async () => {
      const own = await LyingGateway.start(gateway.run, clock);
      try {
        const second = await enclaveOn("tdx", gateway.run.runId);
        const entries = [own.logged(), own.logged(second)].map(({ log_entry }) => auditEntry.decode(log_entry));
        const { problems } = replayRun(entries, toHex(gateway.run.runId));
        assert.deepEqual(problems, ["entry 1: a second enclave of epoch 1 was started"]);
        assert.deepEqual(replayRun([entries[0], entries[0]], toHex(gateway.run.runId)).problems, []);
        const published = { type: "key.published", subject: "enclave epoch 1", digest: new Uint8Array(32) } as const;
        const foreign = replayRun([entries[0], { ...entries[0], ...published }], toHex(gateway.run.runId));
        assert.deepEqual(foreign.problems, [
          "entry 1: the key of epoch 1 is not that of the enclave that the log names",
        ]);
      } finally {
        await own.close();
      }
    });

    it("and each is in a log of its own, neither device ever follows the other's", async () => {
      const log = gateway.log;
      const second = await enclaveOn("tdx", gateway.run.runId);
      const [ours, theirs] = [log.fork(), log.fork()];
      const started = (run: Run) => ({ type: "enclave.started", digest: run.codeDigest, data: run.identity }) as const;
      const index = ours.append(started(gateway.run));
      theirs.append(started(second));
      const honest = await enrolled();
      gateway.log = ours;
      gateway.lie = (answer, request) => {
        if (request.after_round > 1) return FINISHED;
        const isFirst = request.after_round === 0;
        gateway.log = isFirst ? ours : theirs;
        const evidence = request.nonce === null ? null : { ...answer.evidence, ...ours.prove(index) };
        return { ...answer, evidence };
      };
      const rounds: number[] = [];
      await assert.rejects(async () => {
        for await (const round of honest.rounds()) rounds.push(round.number);
      }, coded("log.fork"));
      await honest.close();
      assert.deepEqual(rounds, [1]);
      gateway.log = log;
    });
  });

  it("follows the log of its own run and server alone", async () => {
    const other = await LyingGateway.start(await enclaveOn("tdx", gateway.run.runId), clock);
    try {
      const foreign = other.logged(other.run);
      await assertRefused(
        async (answer, request) => {
          const told = await truthOf(other.run)(answer, request);
          const task = { ...told.task!, log: await other.log.view(request.log_size) };
          return { ...told, task, evidence: { ...told.evidence!, ...foreign } };
        },
        /not signed by the pinned key/,
        {},
        "log.signature",
      );
    } finally {
      await other.close();
    }
  });
});
