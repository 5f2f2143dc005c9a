// The coordinator: carries one round after the other from selecting to published or failed. One loop makes every
// transition, so there is one writer of round state in a process; the ledger's compare-and-set guards against another.

import { fromHex, toHex, wipe } from "../core/bytes.ts";
import { type ErrorCode, QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Log, Random } from "../core/ports.ts";
import type { Report } from "../wire/report.ts";
import { reportMessage } from "../wire/report.ts";
import type { Outcome } from "../wire/work.ts";
import { allEnded } from "./all-ended.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { Epochs } from "./epochs.ts";
import type { Events } from "./events.ts";
import type { Ledger, RoundRow } from "./ledger.ts";
import type { ModelVault } from "./models.ts";
import { OpenRound, RoundLost } from "./open-round.ts";
import type { Registry } from "./registry.ts";
import type { RunState } from "./run-state.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Writer } from "./store/writer.ts";
import type { Uploads } from "./uploads.ts";

export interface RoundSettings {
  /** Published rounds after which the run is over. */
  readonly rounds: number;
  /** Accepted updates that close a round before its deadline. */
  readonly target: number;
  /** Fewer accepted updates at the deadline fail the round; so few members that can still send one fail it at once. */
  readonly quorum: number;
  /** How many devices are selected for each wanted update, from 1. */
  readonly overSelection: number;
  /** How long a round waits for more than quorum devices before it starts. */
  readonly selectionMs: number;
  readonly deadlineMs: number;
}

export interface RoundsPorts {
  readonly writer: Writer;
  readonly ledger: Ledger;
  readonly registry: Registry;
  readonly blobs: BlobStore;
  readonly uploads: Pick<Uploads, "removeUnused">;
  readonly enclave: EnclaveLink;
  readonly epochs: Epochs;
  readonly models: ModelVault;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly state: RunState;
}

const RETRY_MS = 100;
const RETRY_MS_MAX = 5000;
const PAUSE_MS_MAX = 30_000;

export class Rounds {
  readonly #ports: RoundsPorts;
  readonly #settings: RoundSettings;
  readonly #state: RunState;
  #failuresInARow = 0;
  #publishedCount = 0;
  /** Resolves when the blobs of closed rounds are gone. */
  #removing: Promise<void> = Promise.resolve();

  constructor(ports: RoundsPorts, settings: RoundSettings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#state = ports.state;
  }

  /**
   * Runs until the planned rounds are published or stop() is called. A disk that is full or does not answer is waited
   * out.
   */
  async run(): Promise<void> {
    try {
      await this.#runAll();
    } finally {
      await this.#removing;
    }
  }

  async #runAll(): Promise<void> {
    this.#publishedCount = await this.#ports.ledger.countPublished();
    for (let waitMs = RETRY_MS; !this.#state.isStopped; ) {
      try {
        if (this.#publishedCount >= this.#settings.rounds) return await this.#finish();
        await this.#carry(await this.#nextRow());
        waitMs = RETRY_MS;
      } catch (error) {
        if (!isPassing(error)) throw error;
        this.#ports.log.warn({ wait_ms: waitMs }, error.message);
        await this.#pause(waitMs);
        waitMs = Math.min(2 * waitMs, PAUSE_MS_MAX);
      }
    }
  }

  stop(): void {
    this.#state.isStopped = true;
    this.#state.forLoop.notify();
    this.#state.forDevices.notify();
  }

  async #finish(): Promise<void> {
    this.#state.isFinished = true;
    this.#state.show(undefined);
    this.#state.forDevices.notify();
    this.#ports.events.emit({ event: "run.finished", rounds: this.#publishedCount });
  }

  async #nextRow(): Promise<RoundRow> {
    const { ledger } = this.#ports;
    const newest = await ledger.newestRound();
    if (newest !== undefined && newest.state !== "published" && newest.state !== "failed") return newest;
    const base = await ledger.newestModel();
    if (base === undefined) throw new QflareError("store.corrupt", "the run has no model");
    wipe(base.content_key);
    return await ledger.openRound(base, (newest?.round ?? 0) + 1);
  }

  /** From whatever state the round is in: after a restart it goes on where it was. */
  async #carry(row: RoundRow): Promise<void> {
    const base = await this.#ports.ledger.newestModel();
    const open = new OpenRound(this.#ports, row, base!);
    this.#state.show(open);
    try {
      if (row.state === "selecting") await this.#select(open);
      else await this.#resume(open);
      await open.findGone();
      if (open.row.state === "collecting" && !this.#state.isStopped) await this.#collect(open);
      if (open.row.state === "aggregating" && !this.#state.isStopped) await this.#aggregate(open);
    } catch (error) {
      if (!(error instanceof RoundLost)) throw error;
      this.#ports.log.error({ round: row.round, reason: error.message }, "the round is lost");
      await this.#fail(open, error.message);
    }
  }

  async #select(open: OpenRound): Promise<void> {
    const { clock, ledger, events } = this.#ports;
    const untilMs = clock.nowMs() + this.#settings.selectionMs;
    while (!this.#state.isStopped && !this.#isSelected(untilMs)) {
      const leftMs = untilMs - clock.nowMs();
      await this.#state.forLoop.wait(leftMs > 0 ? leftMs : undefined);
    }
    await this.#untilEnclave(() => this.#ports.epochs.beforeRound(open.row.round));
    if (this.#state.isStopped) return;
    await open.readSignature();
    const ids = this.#sample([...this.#state.ready.keys()], this.#selectMax());
    const cohort = ids.map((id) => fromHex(id)!);
    open.collects(await ledger.startCollecting(open.row, cohort, clock.nowMs() + this.#settings.deadlineMs));
    this.#state.forDevices.notify();
    events.emit({ event: "round.started", round: open.row.round, devices: await this.#names(ids) });
  }

  #selectMax(): number {
    const wanted = Math.ceil(this.#settings.target * this.#settings.overSelection);
    return Math.min(wanted, LIMITS.devicesPerRoundMax);
  }

  /** Enough devices are there, or all that are likely to come, or the time is up. */
  #isSelected(untilMs: number): boolean {
    const { ready, expected } = this.#state;
    if (ready.size >= this.#selectMax()) return true;
    if (ready.size < this.#settings.quorum) return false;
    const areAllBack = expected.size > 0 && [...expected].every((id) => ready.has(id));
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
    while (!this.#state.isStopped && !this.#isCollected(open)) {
      const leftMs = open.row.deadline_at! - clock.nowMs();
      if (leftMs <= 0) break;
      if (!open.hasUnfed) await this.#state.forLoop.wait(leftMs);
      else if (!(await this.#tryEnclave(() => open.feedSome())))
        await this.#state.forLoop.wait(Math.min(leftMs, RETRY_MS));
    }
    if (this.#state.isStopped) return;
    const starting = ledger.startAggregating(open.row).then((row) => {
      open.row = row;
    });
    const feeding = open.hasUnfed ? this.#tryEnclave(() => open.feedSome()) : undefined;
    await allEnded<unknown>([starting, feeding]);
    this.#state.forDevices.notify();
    for (const update of await ledger.updatesOf(open.row.round)) open.add(update);
  }

  /** Nothing more is wanted or can come, or what can come would not be enough. */
  #isCollected({ acceptedCount, possibleCount }: OpenRound): boolean {
    const { target, quorum } = this.#settings;
    return acceptedCount >= Math.min(target, possibleCount) || possibleCount < quorum;
  }

  async #aggregate(open: OpenRound): Promise<void> {
    if (open.acceptedCount < this.#settings.quorum) {
      return await this.#fail(open, `expected at least ${this.#settings.quorum} updates, got ${open.acceptedCount}`);
    }
    await this.#untilEnclave(() => this.#finishRound(open));
  }

  async #finishRound(open: OpenRound): Promise<void> {
    const { enclave, clock, ledger, models } = this.#ports;
    await enclave.ready();
    while (open.hasUnfed) {
      if (this.#state.isStopped) return;
      await open.feedSome();
    }
    const request = { round: open.row.round, at: clock.nowMs() };
    const isLast = this.#publishedCount + 1 >= this.#settings.rounds;
    let published = open.row;
    const { answer } = await models.storing((store) =>
      enclave.call("aggregate", request, undefined, async ({ answer: { result }, blob }) => {
        if (result === null) return async () => undefined;
        const model = await store(result, open.row.round, blob);
        return async (tx) => {
          published = await ledger.publish(tx, open.row, { model, report: result.report, isLast });
        };
      }),
    );
    if (answer.result === null) await this.#fail(open, answer.failure ?? "the enclave gave no reason");
    else {
      open.row = published;
      this.#publishedCount += 1;
      await this.#published(open, reportMessage.decode(answer.result.report));
    }
  }

  async #published(open: OpenRound, report: Report): Promise<void> {
    const { round, opened_at, closed_at, model_digest } = open.row;
    this.#failuresInARow = 0;
    this.#settle(open, report);
    this.#removeBlobs(open.row.round);
    const rejected = report.updates.filter((update) => update.verdict === "rejected");
    const accepted = report.updates.filter((update) => update.verdict !== "rejected");
    const rejectedNames = await this.#names(rejected.map((update) => toHex(update.device_id)));
    this.#ports.events.emit({
      event: "round.published",
      round,
      accepted: await this.#names(accepted.map((update) => toHex(update.device_id))),
      rejected: rejected.map((update, i) => ({ device: rejectedNames[i]!, reason: update.reason ?? "" })),
      missing: await this.#names(open.missing),
      model_digest: toHex(model_digest!),
      seconds: (closed_at! - opened_at) / 1000,
    });
  }

  async #fail(open: OpenRound, reason: string): Promise<void> {
    open.row = await this.#ports.ledger.fail(open.row, reason);
    this.#settle(open, undefined);
    this.#removeBlobs(open.row.round);
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
    while (!this.#state.isStopped && this.#ports.clock.nowMs() < untilMs) {
      await this.#state.forLoop.wait(untilMs - this.#ports.clock.nowMs());
    }
  }

  /** Sealed updates are of no use once the round is closed. The next round does not wait for their removal. */
  #removeBlobs(round: number): void {
    this.#removing = this.#removing.then(() => this.#tryRemovingBlobs(round));
  }

  async #tryRemovingBlobs(round: number): Promise<void> {
    const { uploads, ledger, log } = this.#ports;
    const failures: unknown[] = [];
    try {
      for (const digest of await ledger.blobsOf(round)) {
        await uploads.removeUnused(digest).catch((error: unknown) => failures.push(error));
      }
    } catch (error) {
      failures.push(error);
    }
    if (failures.length === 0) return;
    // The sweep at the next start takes what this one left.
    const fields = { failures: failures.length, error: String(failures[0]) };
    log.warn(fields, "blobs that are of no use any more cannot be removed");
  }

  #settle(open: OpenRound, report: Report | undefined): void {
    const round = open.row.round;
    const outcomes = new Map<string, Outcome>();
    for (const { device_id, verdict, reason } of report?.updates ?? []) {
      outcomes.set(toHex(device_id), { round, verdict, reason });
    }
    for (const id of open.missing) outcomes.set(id, { round, verdict: "missing", reason: null });
    this.#state.outcomes = outcomes;
    this.#state.expected = new Set(open.staying);
  }

  async #untilEnclave(work: () => Promise<void>): Promise<void> {
    for (let waitMs = RETRY_MS; !this.#state.isStopped; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      if (await this.#tryEnclave(work)) return;
      await this.#state.forLoop.wait(waitMs);
    }
  }

  /** False where the enclave was not to be reached; the caller tries again. */
  async #tryEnclave(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!isAway(error)) throw error;
      this.#ports.log.warn({ reason: error.message }, "enclave is not there, starting it again");
      return false;
    }
  }

  async #names(ids: readonly string[]): Promise<string[]> {
    return await Promise.all(ids.map(async (id) => (await this.#ports.registry.findDevice(fromHex(id)!))?.name ?? id));
  }
}

/** Also where its hardware, or what its vendor says of that, is away for a while: each start is examined anew. */
const AWAY: readonly ErrorCode[] = [
  "enclave.unavailable",
  "evidence.unavailable",
  "evidence.failed",
  "collateral.unavailable",
];

function isAway(error: unknown): error is QflareError {
  return error instanceof QflareError && AWAY.includes(error.code);
}

function isPassing(error: unknown): error is QflareError {
  return error instanceof QflareError && (error.code === "store.full" || error.code === "store.unavailable");
}
