// A run in this process whose server can be stopped and started again on its folder, by a clock that the test moves.
// The enclave is a process of its own, the devices are the product's, and submit when the test says so.

import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Selectable } from "kysely";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { readLedger } from "../../src/cli/ledger.ts";
import type { Clock, Log } from "../../src/core/ports.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Device, type DeviceOptions } from "../../src/device/device.ts";
import type { DeviceEvent } from "../../src/device/event.ts";
import { initialParameters } from "../../src/learning/model.ts";
import { encodeModel } from "../../src/learning/model-file.ts";
import { type AuditSummary, verifyAudit } from "../../src/server/audit-verify.ts";
import { LEDGER_FILE } from "../../src/server/data-folder.ts";
import { readServerPublicKeys } from "../../src/server/keys.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/server.ts";
import { openDatabase } from "../../src/server/store/database.ts";
import type { Tables } from "../../src/server/store/schema.ts";
import { type AuditEntry, auditEntry } from "../../src/wire/audit.ts";
import { silentLog } from "./clock.ts";
import { temporaryFolder } from "./folder.ts";
import { Held } from "./held.ts";
import { RAISED, ROUNDS, RUN, TestClock, TINY_MODEL } from "./server.ts";

type Sealed = Pick<Selectable<Tables["run"]>, "enclave_keys" | "enclave_progress">;
type EvidenceOptions = "tee" | "evidencePolicy" | "evidenceRoots" | "evidenceCollateral";
type RunOptions = "enclave" | "epochs" | "rounds" | "lostEnclave" | "witnesses" | "publicUrl";
type Changed = Partial<Pick<ServerOptions, RunOptions | EvidenceOptions>>;

export interface Member {
  readonly device: Device;
  readonly held: Held;
  readonly events: DeviceEvent[];
}

export class LongRun {
  readonly folder = temporaryFolder();
  readonly dataDir = join(this.folder, "data");
  readonly clock = new TestClock();
  readonly warnings: string[] = [];
  /** What its devices ask of an enclave. */
  wanted: Partial<DeviceOptions> = { allowSimulatedEnclave: true };
  readonly changed: Changed;
  readonly #devices: Device[] = [];
  #running: RunningServer | undefined;
  #port = 0;

  private constructor(changed: Changed) {
    this.changed = changed;
  }

  /** Its server is not started yet. */
  static prepare(t: TestContext, changed: Changed = {}): LongRun {
    const run = new LongRun(changed);
    t.after(() => run.#close());
    return run;
  }

  static async open(t: TestContext, changed: Changed = {}): Promise<LongRun> {
    const run = LongRun.prepare(t, changed);
    await run.start();
    return run;
  }

  get server(): RunningServer {
    return this.#running!;
  }

  async start(changed: Changed = {}): Promise<void> {
    this.#running = await startServer({
      dataDir: this.dataDir,
      host: "127.0.0.1",
      port: this.#port,
      publicUrl: undefined,
      tls: undefined,
      suites: ["QF2-HYBRID"],
      run: { ...RUN, firstModel: encodeModel(TINY_MODEL, initialParameters(TINY_MODEL, 1)) },
      rounds: ROUNDS,
      rateLimits: RAISED,
      clock: this.clock,
      random: systemRandom,
      log: this.#log(),
      ...this.changed,
      ...changed,
    });
    this.#port = this.#running.port;
  }

  #log(): Log {
    const note = (fields: object, text: string): void => {
      this.warnings.push(`${text} ${JSON.stringify(fields)}`);
    };
    return { ...silentLog, warn: note, error: note };
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  async status(): Promise<Record<string, unknown>> {
    return await this.#asked((admin) => admin.call("status"));
  }

  async #asked<T>(ask: (admin: AdminClient) => Promise<T>): Promise<T> {
    const admin = await AdminClient.connect(this.dataDir);
    try {
      return await ask(admin);
    } finally {
      admin.close();
    }
  }

  /** clock: of the device, by default the run's. */
  async device(name: string, clock: Clock = this.clock): Promise<Member> {
    const asked = this.#asked((admin) => admin.call<{ token: string }>("token.create", { name, age_ms: 600_000 }));
    const { token: link } = await asked;
    return await this.#member(name, clock, (options) => Device.enroll({ ...options, link }));
  }

  /** The device of that name, after a restart of its own. */
  async deviceAgain(name: string): Promise<Member> {
    return await this.#member(name, this.clock, (options) => Device.open(options));
  }

  async #member(
    name: string,
    clock: Clock,
    make: (options: DeviceOptions) => Device | Promise<Device>,
  ): Promise<Member> {
    const events: DeviceEvent[] = [];
    const options = { keystore: join(this.folder, `${name}.key`), updatesMin: 1, clock, ...this.wanted };
    const device = await make({ ...options, onEvent: (event) => events.push(event) });
    this.#devices.push(device);
    return { device, held: new Held(device), events };
  }

  async devices(...names: string[]): Promise<Member[]> {
    return await Promise.all(names.map((name) => this.device(name)));
  }

  async entries(): Promise<AuditEntry[]> {
    const rows = await readLedger(this.dataDir, (db) =>
      db.selectFrom("audit").select("entry").orderBy("position").execute(),
    );
    return rows.map(({ entry }) => auditEntry.decode(entry));
  }

  /** Subjects of the keys that the log names for the enclave. */
  async epochs(): Promise<string[]> {
    const entries = await this.entries();
    return entries.map(({ subject }) => subject).filter((subject) => subject.startsWith("enclave epoch "));
  }

  /** Rounds by their state. */
  async rounds(): Promise<string[]> {
    const rows = await readLedger(this.dataDir, (db) => db.selectFrom("rounds").selectAll().orderBy("round").execute());
    return rows.map(({ round, state }) => `${round} ${state}`);
  }

  /** Resolves with the next round that this server publishes. */
  async published(): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.server.events.listen(({ event }) => event === "round.published" && done.resolve());
    await done.promise;
  }

  /** What the ledger holds of the enclave. */
  async sealed(): Promise<Sealed> {
    return await readLedger(this.dataDir, (db) =>
      db.selectFrom("run").select(["enclave_keys", "enclave_progress"]).executeTakeFirstOrThrow(),
    );
  }

  /** As a host does that wants the enclave to forget. */
  async putBack(sealed: Sealed): Promise<void> {
    const db = await openDatabase(join(this.dataDir, LEDGER_FILE));
    await db.updateTable("run").set(sealed).execute();
    await db.destroy();
  }

  /** What a stranger with the folder finds; throws where it does not hold. */
  async audit(): Promise<AuditSummary> {
    const key = readServerPublicKeys(this.dataDir);
    const report = await readLedger(this.dataDir, (db) => verifyAudit(db, key));
    assert.deepEqual(report.problems, []);
    return report;
  }

  async #close(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.close()));
    await this.stop();
  }
}

export function epochsSeen({ events }: Member): number[] {
  return events.flatMap((event) => (event.event === "enclave" ? [event.epoch] : []));
}
