// A server in this process, with an enclave in a process of its own, and what can be seen of it from outside.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { readLedger } from "../../src/cli/ledger.ts";
import { toHex } from "../../src/core/bytes.ts";
import type { Clock, Log, ServerPsk } from "../../src/core/ports.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import type { SuiteName } from "../../src/crypto/suite.ts";
import { initialParameters, type ModelDescription, parameterCount } from "../../src/learning/model.ts";
import { decodeModel, encodeModel } from "../../src/learning/model-file.ts";
import { verifyAudit } from "../../src/server/audit-verify.ts";
import { readServerPublicKeys } from "../../src/server/keys.ts";
import type { RateLimits } from "../../src/server/limiter.ts";
import type { RoundSettings } from "../../src/server/rounds.ts";
import { type RunDefinition, type RunningServer, startServer } from "../../src/server/server.ts";
import { auditEntry, type EnclaveRecord, enclaveRecord } from "../../src/wire/audit.ts";
import { type Report, reportMessage } from "../../src/wire/report.ts";
import { exchange } from "./http.ts";

export const TINY_MODEL: ModelDescription = { kind: "softmax", inputs: 2, classes: 2 };
export const TINY_PARAMETERS: number = parameterCount(TINY_MODEL); // 2 * 2 + 2
export const RAISED: RateLimits = { enroll: 1e6, challenge: 1e6, submit: 1e6, model: 1e6, log: 1e6 };
const QUIET_MS_MAX = 10_000;

/** Runs with the system's time, unless it is held or moved. */
export class TestClock implements Clock {
  #offsetMs = 0;
  #heldMs: number | undefined;

  nowMs(): number {
    return (this.#heldMs ?? Date.now()) + this.#offsetMs;
  }

  hold(): void {
    this.#heldMs = Date.now();
  }

  move(ms: number): void {
    this.#offsetMs += ms;
  }

  release(): void {
    this.#heldMs = undefined;
    this.#offsetMs = 0;
  }
}

export interface TestServerOptions {
  readonly run?: Partial<RunDefinition>;
  readonly rounds?: Partial<RoundSettings>;
  readonly rateLimits?: RateLimits;
  readonly suites?: readonly SuiteName[];
  readonly psk?: ServerPsk;
}

export class TestServer {
  readonly dataDir: string;
  readonly clock: TestClock;
  readonly url: string;
  readonly port: number;
  readonly admin: AdminClient;
  readonly #running: RunningServer;
  readonly #faults: readonly string[];
  #isClosed = false;

  /** For hooks: a filter by name may end a file while its server is still starting, or before. */
  static readonly #started = new Set<Promise<TestServer>>();
  static #isOver = false;

  private constructor(
    running: RunningServer,
    parts: { dataDir: string; clock: TestClock; admin: AdminClient; faults: readonly string[] },
  ) {
    this.#running = running;
    this.url = running.url;
    this.port = running.port;
    this.dataDir = parts.dataDir;
    this.clock = parts.clock;
    this.admin = parts.admin;
    this.#faults = parts.faults;
  }

  /** One round of three updates under the mean, unless the options say otherwise. */
  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    if (TestServer.#isOver) throw new Error("no test is left that needs a server");
    const starting = TestServer.#start(options);
    TestServer.#started.add(starting);
    return await starting;
  }

  /** Hook after all tests of a file: closes what is not closed yet, also what is still starting. */
  static async closeAll(): Promise<void> {
    TestServer.#isOver = true;
    const results = await Promise.allSettled([...TestServer.#started].map(async (server) => (await server).close()));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  static async #start(options: TestServerOptions): Promise<TestServer> {
    const dataDir = mkdtempSync(join(tmpdir(), "qflare-attack-"));
    const clock = new TestClock();
    const faults: string[] = [];
    const running = await startServer({
      dataDir,
      host: "127.0.0.1",
      port: 0,
      publicUrl: undefined,
      tls: undefined,
      suites: options.suites ?? ["QF2-HYBRID", "QF1-FRODO"],
      run: { ...RUN, firstModel: encodeModel(TINY_MODEL, initialParameters(TINY_MODEL, 1)), ...options.run },
      rounds: { ...ROUNDS, ...options.rounds },
      rateLimits: options.rateLimits ?? RAISED,
      clock,
      random: systemRandom,
      log: faultLog(faults),
      ...(options.psk === undefined ? {} : { psk: options.psk }),
    });
    const admin = await AdminClient.connect(dataDir);
    return new TestServer(running, { dataDir, clock, admin, faults });
  }

  async token(name: string, ageMs = 3_600_000): Promise<string> {
    return (await this.admin.call<{ token: string }>("token.create", { name, age_ms: ageMs })).token;
  }

  /** Parameters of a published model; of the newest where no round is given. */
  async parameters(round?: number): Promise<Float32Array> {
    const params = round === undefined ? {} : { round };
    const { safetensors } = await this.admin.call<{ safetensors: string }>("model.read", params);
    return decodeModel(new Uint8Array(Buffer.from(safetensors, "base64"))).parameters;
  }

  async report(round: number): Promise<Report> {
    const row = await readLedger(this.dataDir, (db) =>
      db.selectFrom("rounds").select("report").where("round", "=", round).executeTakeFirstOrThrow(),
    );
    assert.ok(row.report !== null, `round ${round} is not published`);
    return reportMessage.decode(row.report);
  }

  /** Resolves when every planned round is published. */
  async finished(): Promise<void> {
    await this.#running.finished;
  }

  /** All that an attack must leave as it is, once nothing is on its way to the enclave any more. */
  async state(): Promise<ServerState> {
    const patience = AbortSignal.timeout(QUIET_MS_MAX);
    for (let ledger = await this.#ledger(); ; ledger = await this.#ledger()) {
      if (ledger.isQuiet) return { ...ledger, sessions: await this.sessions(), blobs: this.#blobs() };
      await sleep(5, undefined, { signal: patience });
    }
  }

  async sessions(): Promise<number> {
    const { body } = await exchange(this, { method: "GET", path: "/api/health" });
    return (JSON.parse(Buffer.from(body).toString()) as { sessions: number }).sessions;
  }

  /** Names of files under blobs/, those that are still being received too. */
  #blobs(): string[] {
    const entries = readdirSync(join(this.dataDir, "blobs"), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  }

  async #ledger(): Promise<Omit<ServerState, "sessions" | "blobs">> {
    return await readLedger(this.dataDir, async (db) => {
      const tokens = await db.selectFrom("tokens").selectAll().orderBy("id").execute();
      const devices = await db.selectFrom("devices").selectAll().orderBy("id").execute();
      const rounds = await db.selectFrom("rounds").selectAll().orderBy("round").execute();
      const updates = await db.selectFrom("updates").selectAll().orderBy("round").orderBy("device_id").execute();
      const models = await db.selectFrom("models").select("digest").orderBy("round").execute();
      const audit = await db.selectFrom("audit").select("entry").orderBy("position").execute();
      const entries = audit.map((row) => auditEntry.decode(row.entry));
      const traces = entries.filter((entry) => entry.type === "enclave.operation");
      const records = traces.map((entry) => enclaveRecord.decode(entry.data));
      const newest = rounds.at(-1);
      const accepted = updates.filter((row) => row.round === newest?.round).length;
      const isCollecting = newest?.state === "collecting";
      return {
        tokens: tokens.map(({ id, used_at, revoked_at }) => `${toHex(id)} ${used_at ?? "-"} ${revoked_at ?? "-"}`),
        devices: devices.map(({ id, name, state, sequence }) => `${toHex(id)} ${name} ${state} ${sequence}`),
        rounds: rounds.map(({ round, state, version }) => `${round} ${state} ${version}`),
        updates: updates.map(({ manifest, accepted_at }) => `${toHex(manifest)} ${accepted_at}`),
        models: models.map(({ digest }) => toHex(digest)),
        audit: entries.map(({ type, subject }) => `${type} ${subject}`),
        isQuiet: !isCollecting || isTold(records, newest.round, accepted),
      };
    });
  }

  /** Throws where the server met an error of its own, or where the audit log does not hold. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.admin.close();
    await this.#running.close();
    try {
      const key = readServerPublicKeys(this.dataDir);
      const { problems } = await readLedger(this.dataDir, (db) => verifyAudit(db, key));
      assert.deepEqual(problems, []);
      assert.deepEqual(this.#faults, []);
    } finally {
      rmSync(this.dataDir, { recursive: true, force: true });
      assert.ok(!existsSync(this.dataDir));
    }
  }
}

export interface ServerState {
  readonly tokens: readonly string[];
  readonly devices: readonly string[];
  readonly rounds: readonly string[];
  readonly updates: readonly string[];
  readonly models: readonly string[];
  readonly audit: readonly string[];
  readonly sessions: number;
  readonly blobs: readonly string[];
  readonly isQuiet: boolean;
}

/** Whether the enclave has heard of the round and of every update that was accepted in it. */
function isTold(records: readonly EnclaveRecord[], round: number, accepted: number): boolean {
  const told = records.filter((record) => record.round === round);
  const updates = told.filter((record) => record.operation === "update").length;
  return told.some((record) => record.operation === "begin") && updates === accepted;
}

export const RUN: Omit<RunDefinition, "firstModel"> = {
  suite: "QF2-HYBRID",
  aggregation: JSON.stringify({ rule: "mean" }),
  updates_min: 1,
  norm_max: 1e6,
  weight_cap: 2,
  plan: JSON.stringify({ epochs: 1 }),
};

export const ROUNDS: RoundSettings = {
  rounds: 1,
  target: 3,
  quorum: 3,
  overSelection: 1,
  selectionMs: 60_000,
  deadlineMs: 120_000,
};

function faultLog(faults: string[]): Log {
  const ignore = (): void => undefined;
  const error = (fields: Record<string, unknown>, text: string): void => {
    faults.push(`${text}: ${JSON.stringify(fields)}`);
  };
  return { debug: ignore, info: ignore, warn: ignore, error };
}
