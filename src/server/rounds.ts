// The coordinator: carries one round after the other from selecting to published or failed. One loop makes every
// transition, so there is one writer of round state in a process; the ledger's compare-and-set guards against another.

import type { Kysely } from "kysely";
import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Log, Random } from "../core/ports.ts";
import type { Report } from "../wire/report.ts";
import { reportMessage } from "../wire/report.ts";
import type { Outcome, WorkAnswer, WorkRequest } from "../wire/work.ts";
import type { AuditLog } from "./audit.ts";
import { Changes } from "./changes.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { Events } from "./events.ts";
import type { EvidenceDesk } from "./evidence.ts";
import { cohortOf, type Ledger, type RoundRow, type UpdateRow } from "./ledger.ts";
import type { ModelVault } from "./models.ts";
import { OpenRound } from "./open-round.ts";
import type { Device, Registry } from "./registry.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Tables } from "./store/schema.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface RoundSettings {
  /** Published rounds after which the run is over. */
  readonly rounds: number;
  /** Accepted updates that close a round before its deadline. */
  readonly target: number;
  /** Fewer accepted updates at the deadline fail the round. */
  readonly quorum: number;
  /** How many devices are selected for each wanted update, from 1. */
  readonly overSelection: number;
  /** How long a round waits for more than quorum devices before it starts. */
  readonly selectionMs: number;
  readonly deadlineMs: number;
}

export interface RoundsPorts {
  readonly db: Kysely<Tables>;
  readonly ledger: Ledger;
  readonly registry: Registry;
  readonly blobs: BlobStore;
  readonly audit: AuditLog;
  readonly enclave: EnclaveLink;
  readonly evidence: EvidenceDesk;
  readonly models: ModelVault;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly plan: string;
  readonly policyHash: Bytes;
}

const RETRY_MS = 100;
const RETRY_MS_MAX = 5000;
const PAUSE_MS_MAX = 30_000;

export class Rounds {
  readonly #ports: RoundsPorts;
  readonly #settings: RoundSettings;
  /** Devices whose request for work is waiting, and how many such requests. */
  readonly #ready = new Map<string, number>();
  /** Who took part in the last round to its end, and so will be back for the next. */
  #expected: ReadonlySet<string> = new Set();
  #outcomes: ReadonlyMap<string, Outcome> = new Map();
  #open: OpenRound | undefined;
  #isFinished = false;
  #isStopped = false;
  #failuresInARow = 0;
  /** For devices: the state of the round changed. For the loop: something it may be waiting for happened. */
  readonly #forDevices = new Changes();
  readonly #forLoop = new Changes();

  constructor(ports: RoundsPorts, settings: RoundSettings) {
    this.#ports = ports;
    this.#settings = settings;
  }

  get current(): RoundRow | undefined {
    return this.#open?.row;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Runs until the planned rounds are published or stop() is called. A full disk is waited out. */
  async run(): Promise<void> {
    for (let waitMs = RETRY_MS; !this.#isStopped; ) {
      try {
        const published = await this.#ports.ledger.countPublished();
        if (published >= this.#settings.rounds) return this.#finish(published);
        await this.#carry(await this.#nextRow());
        waitMs = RETRY_MS;
      } catch (error) {
        if (!(error instanceof QflareError) || error.code !== "store.full") throw error;
        this.#ports.log.warn({ wait_ms: waitMs }, error.message);
        await this.#pause(waitMs);
        waitMs = Math.min(2 * waitMs, PAUSE_MS_MAX);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#forLoop.notify();
    this.#forDevices.notify();
  }

  #finish(rounds: number): void {
    this.#isFinished = true;
    this.#open = undefined;
    this.#forDevices.notify();
    this.#ports.events.emit({ event: "run.finished", rounds });
  }

  async #nextRow(): Promise<RoundRow> {
    const { ledger } = this.#ports;
    const newest = await ledger.newestRound();
    if (newest !== undefined && newest.state !== "published" && newest.state !== "failed") return newest;
    const base = await ledger.newestModel();
    if (base === undefined) throw new QflareError("store.corrupt", "the run has no model");
    return await ledger.openRound(base, (newest?.round ?? 0) + 1);
  }

  /** From whatever state the round is in: after a restart it goes on where it was. */
  async #carry(row: RoundRow): Promise<void> {
    const base = await this.#ports.ledger.newestModel();
    const open = new OpenRound(this.#ports, row, base!);
    this.#open = open;
    if (row.state === "selecting") await this.#select(open);
    else await this.#resume(open);
    if (open.row.state === "collecting" && !this.#isStopped) await this.#collect(open);
    if (open.row.state === "aggregating" && !this.#isStopped) await this.#aggregate(open);
  }

  async #select(open: OpenRound): Promise<void> {
    const { clock, ledger, events } = this.#ports;
    const untilMs = clock.nowMs() + this.#settings.selectionMs;
    while (!this.#isStopped && !this.#isSelected(untilMs)) {
      const leftMs = untilMs - clock.nowMs();
      await this.#forLoop.wait(leftMs > 0 ? leftMs : undefined);
    }
    if (this.#isStopped) return;
    const ids = this.#sample([...this.#ready.keys()], this.#selectMax());
    const cohort = ids.map((id) => Uint8Array.from(Buffer.from(id, "hex")));
    open.collects(await ledger.startCollecting(open.row, cohort, clock.nowMs() + this.#settings.deadlineMs));
    this.#forDevices.notify();
    events.emit({ event: "round.started", round: open.row.round, devices: await this.#names(ids) });
  }

  #selectMax(): number {
    const wanted = Math.ceil(this.#settings.target * this.#settings.overSelection);
    return Math.min(wanted, LIMITS.devicesPerRoundMax);
  }

  /** Enough devices are there, or all that are likely to come, or the time is up. */
  #isSelected(untilMs: number): boolean {
    const count = this.#ready.size;
    if (count >= this.#selectMax()) return true;
    if (count < this.#settings.quorum) return false;
    const areAllBack = this.#expected.size > 0 && [...this.#expected].every((id) => this.#ready.has(id));
    return areAllBack || this.#ports.clock.nowMs() >= untilMs;
  }

  /** Fisher-Yates with system randomness: who takes part must not be for an attacker to foresee. */
  #sample(ids: string[], count: number): string[] {
    if (ids.length <= count) return ids;
    for (let i = 0; i < count; i++) {
      const draw = new DataView(this.#ports.random.bytes(8).buffer).getBigUint64(0);
      const j = i + Number(draw % BigInt(ids.length - i));
      [ids[i], ids[j]] = [ids[j]!, ids[i]!];
    }
    return ids.slice(0, count);
  }

  /** After a restart: what was accepted counts, and devices get time to come back. */
  async #resume(open: OpenRound): Promise<void> {
    const { ledger, clock, log } = this.#ports;
    for (const update of await ledger.updatesOf(open.row.round)) open.add(update);
    const { round, state } = open.row;
    log.info({ round, state, accepted: open.acceptedCount }, "round goes on after a restart");
    const backByMs = clock.nowMs() + this.#settings.deadlineMs / 2;
    if (state === "collecting" && open.row.deadline_at! < backByMs) {
      open.collects(await ledger.extendDeadline(open.row, Math.ceil(backByMs)));
    }
  }

  async #collect(open: OpenRound): Promise<void> {
    const { clock, ledger } = this.#ports;
    const wanted = Math.min(this.#settings.target, open.cohortSize);
    while (!this.#isStopped && open.acceptedCount < wanted) {
      const leftMs = open.row.deadline_at! - clock.nowMs();
      if (leftMs <= 0) break;
      if (!open.hasUnfed) await this.#forLoop.wait(leftMs);
      else if (!(await this.#tryEnclave(() => open.feedOne()))) await this.#forLoop.wait(Math.min(leftMs, RETRY_MS));
    }
    if (this.#isStopped) return;
    open.row = await ledger.startAggregating(open.row);
    this.#forDevices.notify();
    for (const update of await ledger.updatesOf(open.row.round)) open.add(update);
  }

  async #aggregate(open: OpenRound): Promise<void> {
    if (open.acceptedCount < this.#settings.quorum) {
      return await this.#fail(open, `expected at least ${this.#settings.quorum} updates, got ${open.acceptedCount}`);
    }
    for (let waitMs = RETRY_MS; !this.#isStopped; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      if (await this.#tryEnclave(() => this.#finishRound(open))) return;
      await this.#forLoop.wait(waitMs);
    }
  }

  async #finishRound(open: OpenRound): Promise<void> {
    const { enclave, clock, ledger, models } = this.#ports;
    while (open.hasUnfed) await open.feedOne();
    const request = { round: open.row.round, at: clock.nowMs() };
    const { answer } = await enclave.call("aggregate", request, undefined, async ({ answer, blob }) => {
      const { result } = answer;
      if (result === null) return async () => undefined;
      const model = await models.store(result, open.row.round, blob);
      return async (tx) => {
        open.row = await ledger.publish(tx, open.row, model, result.report);
      };
    });
    if (answer.result === null) await this.#fail(open, answer.failure ?? "the enclave gave no reason");
    else await this.#published(open, reportMessage.decode(answer.result.report));
  }

  async #published(open: OpenRound, report: Report): Promise<void> {
    const { round, opened_at, closed_at, model_digest } = open.row;
    this.#failuresInARow = 0;
    this.#settle(open, report);
    await open.removeBlobs();
    await this.#ports.audit.checkpoint(this.#ports.db);
    const rejected = report.updates.filter((update) => update.verdict === "rejected");
    const accepted = report.updates.filter((update) => update.verdict !== "rejected");
    const reasons = await this.#names(rejected.map((update) => toHex(update.device_id)));
    this.#ports.events.emit({
      event: "round.published",
      round,
      accepted: await this.#names(accepted.map((update) => toHex(update.device_id))),
      rejected: rejected.map((update, i) => ({ device: reasons[i]!, reason: update.reason ?? "" })),
      missing: await this.#names(open.missing),
      model_digest: toHex(model_digest!),
      seconds: (closed_at! - opened_at) / 1000,
    });
  }

  async #fail(open: OpenRound, reason: string): Promise<void> {
    open.row = await this.#ports.ledger.fail(open.row, reason);
    this.#settle(open, undefined);
    await open.removeBlobs();
    this.#ports.events.emit({
      event: "round.failed",
      round: open.row.round,
      reason,
      missing: await this.#names(open.missing),
    });
    this.#failuresInARow += 1;
    await this.#pause(Math.min(RETRY_MS * 2 ** this.#failuresInARow, PAUSE_MS_MAX));
  }

  async #pause(ms: number): Promise<void> {
    const untilMs = this.#ports.clock.nowMs() + ms;
    while (!this.#isStopped && this.#ports.clock.nowMs() < untilMs) {
      await this.#forLoop.wait(untilMs - this.#ports.clock.nowMs());
    }
  }

  #settle(open: OpenRound, report: Report | undefined): void {
    const round = open.row.round;
    const outcomes = new Map<string, Outcome>();
    for (const { device_id, verdict, reason } of report?.updates ?? []) {
      outcomes.set(toHex(device_id), { round, verdict, reason });
    }
    for (const id of open.missing) outcomes.set(id, { round, verdict: "missing", reason: null });
    this.#outcomes = outcomes;
    const missing = new Set(open.missing);
    this.#expected = new Set(
      cohortOf(open.row)
        .map(toHex)
        .filter((id) => !missing.has(id)),
    );
  }

  /** False where the enclave was not to be reached; the caller tries again. */
  async #tryEnclave(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof QflareError) || error.code !== "enclave.unavailable") throw error;
      this.#ports.log.warn({ reason: error.message }, "enclave is not there, starting it again");
      return false;
    }
  }

  async #names(ids: readonly string[]): Promise<string[]> {
    const devices = await Promise.all(ids.map((id) => this.#ports.registry.findDevice(Buffer.from(id, "hex"))));
    return devices.map((device, i) => device?.name ?? ids[i]!).sort();
  }

  /** Waits until there is work for this device, but no longer than it asked for or the connection lasts. */
  async poll(device: Device, request: WorkRequest, signal: AbortSignal): Promise<WorkAnswer> {
    const id = toHex(device.id);
    const untilMs = this.#ports.clock.nowMs() + request.wait_ms;
    this.#ready.set(id, (this.#ready.get(id) ?? 0) + 1);
    this.#forLoop.notify();
    try {
      while (!this.#isStopped && !this.#isFinished && !signal.aborted && !this.#hasWork(id, request.after_round)) {
        const leftMs = untilMs - this.#ports.clock.nowMs();
        if (leftMs <= 0) break;
        await this.#forDevices.wait(leftMs, signal);
      }
    } finally {
      const others = this.#ready.get(id)! - 1;
      if (others === 0) this.#ready.delete(id);
      else this.#ready.set(id, others);
    }
    return await this.#answer(id, request);
  }

  #hasWork(id: string, afterRound: number): boolean {
    const open = this.#open;
    if (open === undefined || open.row.state !== "collecting" || open.row.round <= afterRound) return false;
    return open.has(id) && !open.hasAccepted(id);
  }

  async #answer(id: string, request: WorkRequest): Promise<WorkAnswer> {
    const outcome = this.#outcomes.get(id) ?? null;
    if (this.#isFinished) return { state: "finished", task: null, evidence: null, outcome };
    if (!this.#hasWork(id, request.after_round)) return { state: "wait", task: null, evidence: null, outcome };
    const open = this.#open!;
    const evidence = request.nonce === null ? null : await this.#ports.evidence.get(request.nonce);
    const remaining = Math.max(0, open.row.deadline_at! - this.#ports.clock.nowMs());
    const task = { ...open.task(this.#ports.plan, this.#ports.policyHash), remaining_ms: Math.floor(remaining) };
    return { state: "train", task, evidence, outcome };
  }

  /** The open round while it takes updates of this device. Throws the coded reason where it does not. */
  requireOpen(deviceId: Uint8Array, round: number): OpenRound {
    const open = this.#open;
    if (open === undefined || open.row.state !== "collecting") throw new QflareError("round.closed");
    if (open.row.round !== round)
      throw new QflareError("round.wrong", `expected round ${open.row.round}, got ${round}`);
    if (!open.has(toHex(deviceId))) throw new QflareError("round.not_selected");
    return open;
  }

  /** The gateway stored an update of the open round. */
  accepted(update: UpdateRow): void {
    if (this.#open?.row.round === update.round) this.#open.add(update);
    this.#forLoop.notify();
  }
}
