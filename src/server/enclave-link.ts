// The run's link to its enclave, across restarts of the enclave: opens the run anew from sealed keys and progress, and
// stores what every answer leaves behind.

import type { Kysely, Transaction } from "kysely";
import { QflareError } from "../core/error.ts";
import type { Clock, Log } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { syncFolder } from "../crypto/secret-file.ts";
import { type IsolationLevel, isIsolationLevel } from "../isolation/level.ts";
import type { EnclaveAnswer, EnclaveOperation, EnclaveRequest } from "../wire/enclave.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { AuditLog } from "./audit.ts";
import { launchEnclave } from "./enclave-launch.ts";
import { EnclaveProcess } from "./enclave-process.ts";
import { enclaveProgram } from "./enclave-program.ts";
import { type HostIsolation, requireIsolation } from "./isolation.ts";
import { requireSealingKey } from "./sealing-key.ts";
import type { Tables } from "./store/schema.ts";
import type { Write, Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface EnclavePorts {
  readonly db: Kysely<Tables>;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Log;
  readonly keyFolder: string;
  readonly policy: Bytes;
  /** How long evidence about an epoch's key holds. */
  readonly evidenceMs: number;
  readonly isolation: HostIsolation;
  /** The enclave is ended where it says that it has reached less. */
  readonly isolationRequired: IsolationLevel;
}

/** What the enclave said when the run was opened, or its key renewed. */
export interface EnclaveFacts {
  readonly signaturePublicKey: Bytes;
  readonly kemKeyHash: Bytes;
  readonly epoch: number;
  /** The first that began in this epoch. */
  readonly firstRound: number;
  /** The end of the epoch's evidence. */
  readonly notAfterMs: number;
  /** The key before, which this round's updates may still be sealed to. */
  readonly former: { readonly kemKeyHash: Bytes; readonly round: number } | undefined;
  readonly isolation: IsolationLevel;
  /** What would raise it. */
  readonly raise: string;
}

export interface EnclaveReply<K extends EnclaveOperation> {
  readonly answer: EnclaveAnswer<K>;
  readonly blob: Uint8Array;
}

type EpochAnswer = Pick<EnclaveAnswer<"rotate">, "epoch" | "kem_public_key" | "not_after" | "former">;

/** What every answer leaves behind; keys where they have changed. */
interface Trace {
  readonly progress: Bytes;
  readonly record: Bytes;
  readonly keys?: Bytes | null;
}

const nothing: Write<void> = async () => undefined;

export class EnclaveLink {
  readonly #ports: EnclavePorts;
  #process: EnclaveProcess | undefined;
  #pid: number | undefined;
  #facts: EnclaveFacts | undefined;
  #opening: Promise<void> | undefined;
  #generation = 0;
  /** Of the newest answer whose turn came, stored or not. */
  #progress: Bytes | undefined;
  /** Resolves when every earlier answer has been handed to the writer, or leaves nothing to store. */
  #turn: Promise<void> = Promise.resolve();
  /** Resolves when everything handed over is stored or has failed. */
  #settled: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(ports: EnclavePorts) {
    this.#ports = ports;
  }

  /** Grows with every start: what an earlier process was told is forgotten. */
  get generation(): number {
    return this.#generation;
  }

  get facts(): EnclaveFacts {
    if (this.#facts === undefined) throw new QflareError("enclave.unavailable", "no run is open");
    return this.#facts;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  get isAlive(): boolean {
    return this.#process?.isAlive ?? false;
  }

  /** Starts the process and opens the run where needed. */
  async ready(): Promise<void> {
    if (this.isAlive && this.#opening === undefined) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  async #open(): Promise<void> {
    const { db, clock, log, keyFolder, policy, isolation, audit, evidenceMs } = this.#ports;
    if (this.#isClosed) throw new QflareError("enclave.unavailable", "the server is stopping");
    // What the process before has answered belongs in front of what this one will.
    await this.#settled;
    const row = await db.selectFrom("run").selectAll().executeTakeFirstOrThrow();
    const keys = row.enclave_keys;
    const progress = row.enclave_progress;
    const resume = keys === null || progress === null ? null : { keys, progress };
    if (resume !== null) requireSealingKey(keyFolder);
    const launched = launchEnclave(keyFolder, isolation);
    const child = new EnclaveProcess(launched.child, log);
    try {
      const newest = await audit.newestEnclaveRecord();
      const start = { epoch: 1, first_round: 1, valid_ms: evidenceMs };
      this.#facts = await this.#openRun(child, { policy, resume, newest, start, at: clock.nowMs() });
      this.#pid = await launched.pid;
    } catch (error) {
      child.kill();
      throw error;
    }
    this.#process = child;
    this.#generation += 1;
    log.info({ pid: this.#pid, isolation: this.#facts.isolation, resumed: resume !== null }, "enclave is open");
  }

  async #openRun(child: EnclaveProcess, request: EnclaveRequest<"open">): Promise<EnclaveFacts> {
    const { answer } = await child.call("open", request);
    // Before anything sealed under a new key: the enclave has no folder to put on disk.
    syncFolder(this.#ports.keyFolder);
    const { keys, progress, signature_public_key } = answer;
    const isolation = this.#checkLevel(answer.isolation);
    const { audit, writer } = this.#ports;
    await writer.write(async (tx) => {
      const digest = sha256(enclaveProgram());
      await audit.append(tx, { type: "enclave.started", subject: `isolation ${isolation}`, digest });
      await audit.appendEnclaveRecord(tx, answer.record);
      const opened = { enclave_keys: keys, enclave_public_key: signature_public_key, enclave_progress: progress };
      await tx.updateTable("run").set(opened).execute();
      if (request.resume !== null) return;
      await this.#publishKey(tx, answer);
    });
    this.#progress = progress;
    const { raise } = this.#ports.isolation;
    const firstRound = answer.first_round;
    return { signaturePublicKey: signature_public_key, firstRound, ...epochFacts(answer), isolation, raise };
  }

  async #publishKey(tx: Transaction<Tables>, { epoch, kem_public_key }: EpochAnswer): Promise<void> {
    const subject = `enclave epoch ${epoch}`;
    await this.#ports.audit.append(tx, { type: "key.published", subject, digest: epochKeyHash(kem_public_key) });
  }

  /** The next epoch. The round that is open may go on under the key before; firstRound is the one behind it. */
  async rotate(firstRound: number): Promise<void> {
    const request = { first_round: firstRound, valid_ms: this.#ports.evidenceMs, at: this.#ports.clock.nowMs() };
    const { answer } = await this.call("rotate", request, undefined, async ({ answer }) => {
      return async (tx) => await this.#publishKey(tx, answer);
    });
    this.#facts = { ...this.facts, firstRound, ...epochFacts(answer) };
    this.#ports.log.info({ epoch: answer.epoch }, "enclave has a new key");
  }

  /** What the process found from inside counts, not what it was started with. */
  #checkLevel(reached: string): IsolationLevel {
    if (!isIsolationLevel(reached)) throw new QflareError("message.malformed", "expected a level of isolation");
    requireIsolation(reached, this.#ports.isolationRequired, this.#ports.isolation.raise);
    return reached;
  }

  /**
   * One operation. The enclave's audit record and progress are stored in one transaction with what `follow` makes of
   * the reply; without `follow` they go to disk on their own while the next operation runs. Either way in the order of
   * the replies, and none without those before it. Throws the enclave's coded error, or enclave.unavailable where it
   * died: call ready() then and tell it all again.
   */
  async call<K extends Exclude<EnclaveOperation, "open">>(
    operation: K,
    request: EnclaveRequest<K>,
    blob?: Uint8Array,
    follow?: (reply: EnclaveReply<K>) => Promise<Write<unknown>>,
  ): Promise<EnclaveReply<K>> {
    const child = this.#process;
    if (child === undefined || !child.isAlive) throw new QflareError("enclave.unavailable");
    const reply = child.call(operation, request, blob);
    const stored = this.#storeInTurn(child, reply, follow);
    this.#settled = Promise.allSettled([this.#settled, stored]).then(() => undefined);
    const answered = await reply;
    if (follow !== undefined) await stored;
    return answered;
  }

  /** Calls are answered in their order, so a turn is taken when the call is made. */
  async #storeInTurn<K extends EnclaveOperation>(
    child: EnclaveProcess,
    reply: Promise<EnclaveReply<K>>,
    follow: ((reply: EnclaveReply<K>) => Promise<Write<unknown>>) | undefined,
  ): Promise<void> {
    const before = this.#turn;
    const own = Promise.withResolvers<void>();
    this.#turn = before.then(() => own.promise);
    try {
      const answered = await reply;
      await before;
      await this.#storeOrKill(child, answered, follow, own.resolve);
    } finally {
      own.resolve();
    }
  }

  /** Where storing fails the process is ahead of the ledger: resuming from stored progress puts both in step again. */
  async #storeOrKill<K extends EnclaveOperation>(
    child: EnclaveProcess,
    reply: EnclaveReply<K>,
    follow: ((reply: EnclaveReply<K>) => Promise<Write<unknown>>) | undefined,
    onHandedOver: () => void,
  ): Promise<void> {
    const { answer } = reply;
    const earlier = this.#progress!;
    this.#progress = answer.progress;
    try {
      const stored = this.#store(answer, earlier, follow === undefined ? nothing : await follow(reply));
      onHandedOver();
      await stored;
    } catch (error) {
      this.#ports.log.error({ error: String(error) }, "what the enclave answered cannot be stored");
      child.kill();
      throw error;
    }
  }

  /** A compare-and-set: behind an answer that was not stored, this one would leave a gap in the chain. */
  async #store(trace: Trace, earlier: Bytes, also: Write<unknown>): Promise<void> {
    await this.#ports.writer.write(async (tx) => {
      await this.#ports.audit.appendEnclaveRecord(tx, trace.record);
      const keys = trace.keys ?? null;
      const changedKeys = keys === null ? {} : { enclave_keys: keys };
      const next = tx.updateTable("run").set({ enclave_progress: trace.progress, ...changedKeys });
      const changed = await next.where("enclave_progress", "=", earlier).returning("id").executeTakeFirst();
      if (changed === undefined) throw new QflareError("enclave.unavailable", "its answer before is not stored");
      await also(tx);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    await this.#process?.close();
    await this.#settled;
  }
}

function epochFacts(answer: EpochAnswer): Pick<EnclaveFacts, "kemKeyHash" | "epoch" | "notAfterMs" | "former"> {
  const { epoch, kem_public_key, not_after, former } = answer;
  const before = former === null ? undefined : { kemKeyHash: epochKeyHash(former.kem_public_key), round: former.round };
  return { kemKeyHash: epochKeyHash(kem_public_key), epoch, notAfterMs: not_after, former: before };
}
