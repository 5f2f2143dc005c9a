// An operator who runs two copies of one data folder behind one gateway: both logs are signed by the log's key and
// begin alike, and each device is shown one of them.

import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { readLedger } from "../../src/cli/ledger.ts";
import { fromUtf8 } from "../../src/core/bytes.ts";
import { verifyAudit } from "../../src/server/audit-verify.ts";
import { ENCLAVE_FOLDER } from "../../src/server/data-folder.ts";
import { readServerPublicKeys } from "../../src/server/keys.ts";
import { parseLogProof } from "../../src/wire/log-proof.ts";
import { receiptAnswer } from "../../src/wire/receipt.ts";
import { parseWitnessPolicy } from "../../src/wire/witness-policy.ts";
import { eventually } from "../support/cli.ts";
import { coded } from "../support/errors.ts";
import { epochsSeen, LongRun, type Member } from "../support/long-run.ts";
import { CuttingProxy } from "../support/remote.ts";
import { ROUNDS } from "../support/server.ts";
import { TestWitness } from "../support/witness.ts";

/** Whoever is there plays. */
const OPEN_ROUNDS = { ...ROUNDS, rounds: 1000, target: 2, quorum: 1, selectionMs: 200 };

type Changed = NonNullable<Parameters<LongRun["start"]>[0]>;

class Gateway {
  readonly run: LongRun;
  readonly copy: LongRun;
  readonly #proxy: CuttingProxy;

  private constructor(run: LongRun, copy: LongRun, proxy: CuttingProxy) {
    this.run = run;
    this.copy = copy;
    this.#proxy = proxy;
  }

  static async open(t: TestContext): Promise<Gateway> {
    const proxy = await CuttingProxy.open(t, 0);
    const changed = { rounds: OPEN_ROUNDS, publicUrl: `https://127.0.0.1:${proxy.port}` };
    const gateway = new Gateway(LongRun.prepare(t, changed), LongRun.prepare(t, changed), proxy);
    await gateway.run.start();
    gateway.show(gateway.run);
    return gateway;
  }

  /** From now on devices reach this one. */
  show(server: LongRun): void {
    this.#proxy.target = server.server.port;
    this.#proxy.cutNow();
  }

  /** The copy goes on from where the run is, as the run does; changed: of the copy and the run. */
  async fork(copyChanged: Changed = {}, runChanged: Changed = {}): Promise<void> {
    const { run, copy } = this;
    await run.stop();
    cpSync(run.dataDir, copy.dataDir, { recursive: true });
    if (copyChanged.lostEnclave === "replace") rmSync(join(copy.dataDir, ENCLAVE_FOLDER), { recursive: true });
    await run.start(runChanged);
    await copy.start(copyChanged);
  }

  /** A round of this device alone. Resolves with the note of the checkpoint under which its receipt stands. */
  async play(server: LongRun, { held }: Member): Promise<string> {
    this.show(server);
    const receipt = await held.submit(await held.next());
    const { log_proof } = receiptAnswer.decode((receipt as unknown as { encoded: Uint8Array }).encoded);
    return parseLogProof(fromUtf8(log_proof)).checkpoint;
  }

  async assertFork(server: LongRun, { held }: Member): Promise<void> {
    this.show(server);
    await assert.rejects(held.next(), coded("log.fork"));
  }
}

/** As qflare audit verify --from does on the server's folder. */
async function problemsOf({ dataDir }: LongRun, earlier: readonly string[]): Promise<readonly string[]> {
  const keys = readServerPublicKeys(dataDir);
  return (await readLedger(dataDir, (db) => verifyAudit(db, keys, { earlier }))).problems;
}

/** Text of a policy that wants a new witness of this run's log. */
async function witnessed(t: TestContext, run: LongRun): Promise<string> {
  return `${(await TestWitness.open(t, run, "one")).line}\nquorum one\n`;
}

function isWaitingForWitnesses({ events }: Member): boolean {
  return events.some((event) => event.event === "retry" && event.reason.includes("too few witnesses have cosigned"));
}

describe("a gateway with two logs", { concurrency: 2 }, () => {
  test("is found out as soon as either device, or whoever has a checkpoint of it, sees the other", async (t) => {
    const gateway = await Gateway.open(t);
    const { run, copy } = gateway;
    const [a, b] = (await run.devices("a", "b")) as [Member, Member];
    await gateway.play(run, a);
    await gateway.play(run, b);
    await gateway.fork();
    const receiptOfA = await gateway.play(run, a);
    const receiptOfB = await gateway.play(copy, b);
    for (const [server, own, other, name] of [
      [run, receiptOfA, receiptOfB, "b"],
      [copy, receiptOfB, receiptOfA, "a"],
    ] as const) {
      // Written behind the round: what the file has then is the checkpoint of the receipt.
      const kept = join(run.folder, `${name}.key.log`);
      await eventually(() => readFileSync(kept, "utf8") === other || undefined, "the device keeps what it has seen");
      assert.deepEqual(await problemsOf(server, [own]), []);
      const [problem] = await problemsOf(server, [other]);
      assert.match(problem!, /^earlier checkpoint 1 (has another root than the log|is over)/);
    }
    await gateway.assertFork(copy, a);
    await gateway.assertFork(run, b);
    await a.device.close();
    await gateway.assertFork(copy, await run.deviceAgain("a"));
  });

  test("shows an enclave that only one of them names to no device that wants a witness of the other", async (t) => {
    const gateway = await Gateway.open(t);
    const { run, copy } = gateway;
    const witnessPolicy = await witnessed(t, run);
    const witnesses = parseWitnessPolicy(witnessPolicy);
    await run.stop();
    await run.start({ witnesses });
    const [careless] = (await run.devices("careless")) as [Member];
    run.wanted = { ...run.wanted, witnessPolicy };
    const [careful, fresh] = (await run.devices("careful", "fresh")) as [Member, Member];
    await gateway.play(run, careful);
    await gateway.fork({ lostEnclave: "replace" }, { witnesses });
    await gateway.play(copy, careless);
    assert.deepEqual(epochsSeen(careless), [2]);
    gateway.show(copy);
    const stopped = assert.rejects(fresh.held.next(), coded("server.unavailable", /the device is stopping$/));
    await eventually(() => isWaitingForWitnesses(fresh) || undefined, "the device waits for witnesses");
    await fresh.device.close();
    await stopped;
    await gateway.play(run, careful);
    assert.deepEqual([epochsSeen(fresh), epochsSeen(careful)], [[], [1]]);
    await gateway.assertFork(run, careless);
  });
});
