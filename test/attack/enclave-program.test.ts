// Attacks on the succession of the enclave's programs, by a gateway that holds the log's key and can run any program: a
// device takes another than it has trusted only where the log that it follows has announced it before.

import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import { referenceDigest } from "../../src/attestation/reference-values.ts";
import { toHex } from "../../src/core/bytes.ts";
import type { ErrorCode } from "../../src/core/error.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Device, type DeviceOptions } from "../../src/device/device.ts";
import { auditEntry } from "../../src/wire/audit.ts";
import { replayRun } from "../../src/wire/log-replay.ts";
import { epochKeyHash } from "../../src/wire/update.ts";
import type { Announcement } from "../../src/wire/work.ts";
import { FakeClock } from "../support/clock.ts";
import { coded } from "../support/errors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Lie, LyingGateway, openRun, type Run } from "../support/lying-gateway.ts";
import { releaseKey } from "../support/releases.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const clock = new FakeClock();
const owner = releaseKey();

describe("a device that has trusted one program of the enclave", () => {
  const folder = temporaryFolder();
  const runId = systemRandom.bytes(32);
  let first: Run;
  let second: Run;
  let third: Run;
  let gateway: LyingGateway;
  let keystore: string;
  let devices = 0;

  const enclaveOf = async (codeDigest: number, epoch: number): Promise<Run> =>
    await openRun(clock.nowMs(), runId, undefined, { codeDigest, epoch });

  before(async () => {
    first = await enclaveOf(1, 1);
    second = await enclaveOf(2, 2);
    third = await enclaveOf(1, 3);
  });

  beforeEach(async () => {
    gateway = await LyingGateway.start(first, clock);
    keystore = join(folder, `device-${devices++}.key`);
    await assertTrains({}, showing(first, null));
  });

  afterEach(async () => await gateway.close());

  const reference = (run: Run): string => owner.sign(run.codeDigest);

  /** In the log that is served; fields: of the entry, where it lies. */
  function announced(
    run: Run,
    file = reference(run),
    fields: Parameters<typeof gateway.log.append>[0] = {},
  ): Announcement {
    const data = referenceDigest(file);
    const fact = { type: "enclave.announced", subject: "release 2.0.0", digest: run.codeDigest, data } as const;
    return { reference: file, ...gateway.log.prove(gateway.log.append({ ...fact, ...fields })) };
  }

  const showing =
    (run: Run, announcement: Announcement | null): Lie =>
    async (answer, request) => {
      const shown = await gateway.evidenceFor([request.nonce!], run);
      const { statement, statementSignature: statement_signature } = run;
      const enclave_key_hash = epochKeyHash(run.kemPublicKey);
      const task = { ...answer.task, statement, statement_signature, enclave_key_hash };
      if (announcement === null) return { ...answer, task, evidence: shown };
      // Under the log as it is now.
      const { log_path } = gateway.log.prove(announcement.log_index);
      return { ...answer, task, evidence: { ...shown, announcement: { ...announcement, log_path } } };
    };

  /** Rounds that the device, started anew where it was there before, offers to train. */
  async function takePart(options: Partial<DeviceOptions>, lie: Lie): Promise<number> {
    const own = { keystore, clock, allowSimulatedEnclave: true, ...options };
    return await gateway.takePart(existsSync(keystore) ? Device.open(own) : await gateway.enroll(own), lie);
  }

  async function assertTrains(options: Partial<DeviceOptions>, lie: Lie): Promise<void> {
    assert.equal(await takePart(options, lie), 1);
  }

  async function assertRefused(lie: Lie, reason: RegExp, code: ErrorCode = "evidence.refused"): Promise<void> {
    await assert.rejects(takePart({}, lie), coded(code, reason));
  }

  const NOT_ANNOUNCED = /expected program 0101\w+ or one that the audit log announces, got 0202/;

  it("takes the next one that the log has announced before its start, also after a restart", async () => {
    const announcement = announced(second);
    await assertTrains({}, showing(second, announcement));
    await assertTrains({}, showing(second, announcement));
    await assertRefused(showing(second, null), NOT_ANNOUNCED);
  });

  it("refuses one that was not announced", async () => {
    await assertRefused(showing(second, null), NOT_ANNOUNCED);
  });

  it("and one that has trusted none takes the run's first program, and others where they were announced", async () => {
    keystore = `${keystore}.other`;
    await assertRefused(showing(second, null), NOT_ANNOUNCED);
    for (const first of [null, { ...gateway.first(), log_entry: gateway.log.prove(1).log_entry }]) {
      const lie: Lie = async (answer, request) => {
        const told = await showing(second, null)(answer, request);
        return { ...told, evidence: { ...told.evidence!, first } };
      };
      if (first === null) await assertRefused(lie, /nothing shows that its program is the run's first/);
      else await assertRefused(lie, /entry 0 is not proved/, "log.fork");
    }
    const other = await enclaveOf(3, 2);
    await assertTrains({}, showing(other, announced(other)));
  });

  it("ends where its pin is gone, and begins anew where all is gone that it had seen of the run", async () => {
    rmSync(`${keystore}.enclave`);
    await assert.rejects(takePart({}, showing(first, null)), coded("store.corrupt", /\.enclave is gone/));
    rmSync(`${keystore}.log`);
    await assertTrains({}, showing(first, null));
  });

  it("enrols nowhere beside what a device before has left, and spends no token on it", async () => {
    rmSync(keystore);
    const before = gateway.heard.length;
    for (const left of ["log", "enclave"]) {
      const refused = coded("config.invalid", new RegExp(`${left} exists already`));
      await assert.rejects(gateway.enroll({ keystore, clock }), refused);
      rmSync(`${keystore}.${left}`);
    }
    assert.equal(gateway.heard.length, before);
    await assertTrains({}, showing(first, null));
  });

  it("spends no token where its witness policy cannot be read", async () => {
    const before = gateway.heard.length;
    const unread = { keystore: `${keystore}.new`, clock, witnessPolicy: "quorum most\n" };
    await assert.rejects(gateway.enroll(unread), coded("config.invalid", /witness policy, line 1/));
    assert.equal(gateway.heard.length, before);
    assert.ok(!existsSync(unread.keystore));
  });

  it("refuses one in whose place another program or other reference values were announced", async () => {
    await assertRefused(showing(second, announced(first)), /the audit log announces another program or release/);
    const other = announced(second, owner.sign(second.codeDigest, { release: "3.0.0" }));
    const swapped = { ...other, reference: reference(second) };
    await assertRefused(showing(second, swapped), /announces another program or release/);
    const started = announced(second, undefined, { type: "enclave.started" });
    await assertRefused(showing(second, started), /announces another program or release/);
  });

  it("refuses an announcement that comes after the start", async () => {
    gateway.logged(second);
    await assertRefused(showing(second, announced(second)), /announced after its start/);
  });

  it("refuses an announcement that is in no log, or in another one than it follows", async () => {
    const log = gateway.log;
    const other = log.fork();
    log.append({ subject: "something else" });
    gateway.log = other;
    const hidden = announced(second);
    other.append({ type: "enclave.started", digest: second.codeDigest, data: second.identity });
    gateway.log = log;
    gateway.logged(second);
    await assertRefused(showing(second, hidden), /is not proved/, "log.fork");
    await assertTrains({}, showing(first, null));
    gateway.log = other;
    await assertRefused(showing(second, hidden), /trees of/, "log.fork");
  });

  it("refuses to go back to a program that was replaced, until that is announced anew", async () => {
    const early = announced(first);
    await assertTrains({}, showing(second, announced(second)));
    const back = /expected program 0202\w+ or one that the audit log has announced since, got 0101/;
    await assertRefused(showing(third, null), back);
    await assertRefused(showing(third, early), back);
    const index = gateway.log.append({ subject: "something else" });
    assert.ok(index > early.log_index);
    await assertRefused(showing(third, early), back);
    const fourth = await enclaveOf(1, 4);
    await assertTrains({}, showing(fourth, announced(fourth)));
  });

  it("with a release key takes no program of which it knows no signed values", async () => {
    const options = (references: readonly string[]): Partial<DeviceOptions> => ({
      releases: { keyHash: owner.hash, references },
    });
    const refused = async (references: readonly string[], lie: Lie, reason: RegExp): Promise<void> =>
      await assert.rejects(takePart(options(references), lie), coded("evidence.refused", reason));
    await assertTrains(options([reference(first)]), showing(first, null));
    await refused([], showing(first, null), /no reference values are known of its program/);
    await refused([reference(second)], showing(first, null), /no reference values are known of its program/);
    const foreign = announced(second, releaseKey(2).sign(second.codeDigest));
    const expired = announced(second, owner.sign(second.codeDigest, { not_after: 1 }));
    await refused([reference(first)], showing(second, foreign), /signature is not by the release key/);
    await refused([reference(first)], showing(second, expired), /they have expired/);
    await assertTrains(options([reference(first), reference(second)]), showing(second, expired));
  });

  it("with a release key takes what one of its files vouches for, whatever became of the others", async () => {
    const expired = owner.sign(first.codeDigest, { not_after: clock.nowMs() - 1 });
    const options = (...references: string[]) => ({ releases: { keyHash: owner.hash, references } });
    await assertTrains(options(expired, "{}", reference(first)), showing(first, null));
    const refused = coded("evidence.refused", /they have expired/);
    await assert.rejects(takePart(options(expired), showing(first, null)), refused);
    await assertTrains(options(expired), showing(second, announced(second)));
  });

  it("with a release key takes renewed values of its program in place of those that have expired", async () => {
    const expired = owner.sign(first.codeDigest, { not_after: clock.nowMs() - 1 });
    const options = { releases: { keyHash: owner.hash, references: [expired] } };
    const next = await enclaveOf(1, 2);
    await assert.rejects(takePart(options, showing(next, null)), coded("evidence.refused", /they have expired/));
    await assertTrains(options, showing(third, announced(third)));
  });

  it("and whoever reads the log sees a program that was started without an announcement", () => {
    const entry = (type: "enclave.started" | "enclave.announced", { codeDigest: digest, identity }: Run) =>
      auditEntry.decode(
        auditEntry.encode({
          v: 1,
          at: 0,
          type,
          subject: "x",
          digest,
          data: type === "enclave.started" ? identity : digest,
        }),
      );
    const started = (run: Run) => entry("enclave.started", run);
    const said = (run: Run) => entry("enclave.announced", run);
    const problemsOf = (...entries: ReturnType<typeof entry>[]): readonly string[] => replayRun(entries, "").problems;
    const of = (index: number, program: Bytes): string[] => [
      `entry ${index}: program ${toHex(program)} of the enclave was started without having been announced`,
    ];
    assert.deepEqual(problemsOf(started(first), said(second), started(second), said(third), started(third)), []);
    assert.deepEqual(problemsOf(started(first), started(second)), of(1, second.codeDigest));
    assert.deepEqual(problemsOf(started(first), started(second), said(second)), of(1, second.codeDigest));
    const back = problemsOf(said(first), started(first), said(second), started(second), started(third));
    assert.deepEqual(back, of(4, third.codeDigest));
  });
});
