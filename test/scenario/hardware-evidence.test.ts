// Runs whose enclave is on hardware: every device holds out for genuine evidence, over epochs, restarts of the enclave
// and of the device, and an enclave on another machine.

import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import { toHex, utf8 } from "../../src/core/bytes.ts";
import { QflareError } from "../../src/core/error.ts";
import { EVIDENCE_FILE } from "../../src/server/data-folder.ts";
import { serveEnclave } from "../../src/server/enclave-serve.ts";
import { loadLinkIdentity } from "../../src/server/link-identity.ts";
import { silentLog } from "../support/clock.ts";
import { coded } from "../support/errors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { epochsSeen, LongRun, type Member } from "../support/long-run.ts";
import { ROUNDS } from "../support/server.ts";
import { type FakeVendors, fakeVendors, MEASUREMENTS } from "../support/tee/fake-attesters.ts";
import { FakeMachine, type TsmTee } from "../support/tee/fake-machine.ts";
import { DAY_MS, NOW } from "../support/tee/fake-sev-snp.ts";

const FOUR_ROUNDS = { ...ROUNDS, rounds: 4, target: 2, quorum: 2 };

describe("an enclave on hardware", { concurrency: 2 }, () => {
  let vendors: FakeVendors;

  before(() => {
    vendors = fakeVendors();
  });

  /** Two rounds an epoch; server and devices want this hardware alone. */
  function prepare(t: TestContext, tee: TsmTee): LongRun {
    const { intel, amd, roots: evidenceRoots } = vendors;
    const collateral = tee === "tdx" ? intel.collateral({ tee }) : { ark_crl: amd.list() };
    const evidencePolicy = { allowed_measurements: [MEASUREMENTS[tee]] };
    const evidence = { tee, evidencePolicy, evidenceRoots, evidenceCollateral: () => utf8(JSON.stringify(collateral)) };
    const run = LongRun.prepare(t, { rounds: FOUR_ROUNDS, epochs: { rounds: 2, timeMs: DAY_MS / 2 }, ...evidence });
    run.clock.move(NOW.getTime() - Date.now());
    run.wanted = { evidencePolicy, evidenceRoots };
    return run;
  }

  const both = async (members: readonly Member[], act: (member: Member) => Promise<unknown>): Promise<void> => {
    await Promise.all(members.map(act));
  };

  /** Two rounds of the first epoch; kill() in the middle of the third; one device starts anew for the fourth. */
  async function play(run: LongRun, tee: TsmTee, kill: () => void): Promise<void> {
    const members = await run.devices("a", "b");
    const [a, b] = members as [Member, Member];
    for (const round of [1, 2]) {
      await both(members, async ({ held }) => {
        const work = await held.next();
        assert.equal(work.number, round);
        await held.submit(work);
      });
    }
    const [first, second] = await Promise.all([a.held.next(), b.held.next()]);
    await a.held.submit(first);
    kill();
    await b.held.submit(second);
    const [, last] = await Promise.all([a.held.next(), b.held.next()]);
    await a.device.close();
    const again = await run.deviceAgain("a");
    await again.held.submit(await again.held.next());
    await b.held.submit(last);
    await both([again, b], async ({ held }) => await held.finish());
    await run.server.finished;
    await run.stop();
    assert.deepEqual([epochsSeen(a), epochsSeen(b), epochsSeen(again)], [[1, 2], [1, 2], [2]]);
    for (const event of [a, b, again].flatMap(({ events }) => events)) {
      if (event.event === "enclave") assert.deepEqual([event.tee, event.replaced], [tee, false]);
    }
    assert.deepEqual(await run.rounds(), ["1 published", "2 published", "3 published", "4 published"]);
    const { updates, models } = await run.audit();
    assert.deepEqual([updates, models], [8, 5]);
  }

  function assertFresh({ reportData, boots }: FakeMachine): void {
    assert.ok(boots >= 2);
    assert.ok(reportData.length >= 4);
    assert.equal(new Set(reportData.map(toHex)).size, reportData.length);
  }

  test("shows new evidence for each epoch, is killed, and the devices go on", async (t) => {
    const run = prepare(t, "sev-snp");
    const machine = new FakeMachine(vendors, "sev-snp");
    await run.start({ enclave: machine });
    await play(run, "sev-snp", () => machine.kill());
    assertFresh(machine);
  });

  test("does so on another machine, too", async (t) => {
    const run = prepare(t, "tdx");
    const machine = new FakeMachine(vendors, "tdx");
    const identity = await loadLinkIdentity(temporaryFolder());
    const { pin: serverPin } = await loadLinkIdentity(run.dataDir);
    const where = { host: "127.0.0.1", port: 0 };
    const serving = await serveEnclave({ ...where, identity, serverPin, enclave: machine, log: silentLog });
    t.after(() => serving.close());
    await run.start({ enclave: { address: { ...where, port: serving.port }, pin: identity.pin } });
    await play(run, "tdx", () => machine.kill());
    assertFresh(machine);
  });

  test("is waited for where its firmware, its collateral or the disk fails it while it is started again", async (t) => {
    const run = prepare(t, "sev-snp");
    const machine = new FakeMachine(vendors, "sev-snp");
    let isGone = false;
    const { evidenceCollateral } = run.changed;
    const reading = (): Uint8Array<ArrayBuffer> | null => {
      if (!isGone) return evidenceCollateral!();
      isGone = false;
      throw new QflareError("collateral.unavailable", "it is being replaced");
    };
    await run.start({ enclave: machine, evidenceCollateral: reading });
    const kept = join(run.dataDir, EVIDENCE_FILE);
    const takeDisk = (): void => {
      rmSync(kept);
      mkdirSync(join(kept, "in the way"), { recursive: true });
    };
    await play(run, "sev-snp", () => {
      takeDisk();
      isGone = true;
      machine.refusals = 1;
      machine.kill();
    });
    assertFresh(machine);
    assert.ok(machine.boots >= 4);
    const warnings = run.warnings.join("\n");
    for (const reason of [/the firmware refuses/, /it is being replaced/, /cannot be kept/])
      assert.match(warnings, reason);
  });

  test("of another measurement than its server's policy names gets no run", async (t) => {
    const run = prepare(t, "tdx");
    const evidencePolicy = { allowed_measurements: ["00".repeat(48)] };
    const enclave = new FakeMachine(vendors, "tdx");
    await assert.rejects(
      run.start({ enclave, evidencePolicy }),
      coded("evidence.refused", /measurement \w+ is not allowed/),
    );
  });
});
