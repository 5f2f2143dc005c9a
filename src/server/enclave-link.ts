// The run's link to its enclave, across restarts of the enclave: opens the run anew from sealed keys and progress, and
// stores what every answer leaves behind.

import type { Kysely, Transaction } from "kysely";
import { TEES, type Tee } from "../attestation/evidence.ts";
import { decodeEvidence } from "../attestation/evidence-message.ts";
import { QflareError } from "../core/error.ts";
import type { Clock, Log, Random } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { type IsolationLevel, isIsolationLevel } from "../isolation/level.ts";
import type { EnclaveAnswer, EnclaveOperation, EnclaveRequest } from "../wire/enclave.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { AuditLog } from "./audit.ts";
import { type OwnEvidence, requireOwnEnclave, requireOwnEvidence } from "./enclave-examination.ts";
import type { EnclaveHost } from "./enclave-host.ts";
import { EnclaveProcess } from "./enclave-process.ts";
import type { EnclaveRegister, Started } from "./enclave-register.ts";
import { requireIsolation } from "./isolation.ts";
import type { Ledger } from "./ledger.ts";
import type { ModelVault } from "./models.ts";
import type { Tables } from "./store/schema.ts";
import type { Write, Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface EnclavePorts {
  readonly db: Kysely<Tables>;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly host: EnclaveHost;
  readonly policy: Bytes;
  readonly ledger: Ledger;
  readonly models: ModelVault;
  /** Whether a run goes on with new keys where those of its enclave are lost. */
  readonly lostEnclave: LostEnclave;
  /** How long evidence about an epoch's key holds. */
  readonly evidenceMs: number;
  /** The enclave is ended where it says that it has reached less. */
  readonly isolationRequired: IsolationLevel;
  readonly own: OwnEvidence;
  readonly register: EnclaveRegister;
}

/** stop: the operator is to bring back the sealing key. replace: new keys, for the devices and the log to see. */
export const LOST_ENCLAVE = ["stop", "replace"] as const;
export type LostEnclave = (typeof LOST_ENCLAVE)[number];

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
  readonly tee: Tee;
  /** What the audit log says of the enclave in this epoch. */
  readonly started: Started;
}

export interface EnclaveReply<K extends EnclaveOperation> {
  readonly answer: EnclaveAnswer<K>;
  readonly blob: Uint8Array;
}

type Shown = EnclaveAnswer<"attest">;
type EpochAnswer = Pick<EnclaveAnswer<"rotate">, "epoch" | "kem_public_key" | "not_after" | "former">;

/** What every answer leaves behind; keys where they have changed. */
interface Trace {
  readonly progress: Bytes;
  readonly record: Bytes;
  readonly keys?: Bytes | null;
}

const NONCE_BYTES = 32;

export class EnclaveLink {
  readonly #ports: EnclavePorts;
  #process: EnclaveProcess | undefined;
  #pid: number | undefined;
  #facts: EnclaveFacts | undefined;
  #opening: Promise<void> | undefined;
  /** Until it is examined and stored. */
  #candidate: EnclaveProcess | undefined;
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
    const { log, host, lostEnclave, register } = this.#ports;
    if (this.#isClosed) throw new QflareError("enclave.unavailable", "the server is stopping");
    // What the process before has answered belongs in front of what this one will.
    await this.#settled;
    const lost = (await this.#hasSealedKeys()) ? host.lostKey() : undefined;
    if (lost !== undefined && lostEnclave === "stop") throw lost;
    await register.requireAnnounced();
    const launched = await host.reach();
    const child = new EnclaveProcess(launched.child, log);
    this.#candidate = child;
    try {
      this.#facts = await this.#openRun(child, lost);
      this.#pid = await launched.pid;
    } catch (error) {
      child.kill();
      throw error;
    } finally {
      this.#candidate = undefined;
    }
    this.#process = child;
    this.#generation += 1;
    log.info({ pid: this.#pid, isolation: this.#facts.isolation, epoch: this.#facts.epoch }, "enclave is open");
  }

  async #hasSealedKeys(): Promise<boolean> {
    const { enclave_keys } = await this.#ports.db.selectFrom("run").selectAll().executeTakeFirstOrThrow();
    return enclave_keys !== null;
  }

  /** From the sealed state, or with new keys where there is none, or where it is lost and may be replaced. */
  async #openRun(child: EnclaveProcess, lost: QflareError | undefined): Promise<EnclaveFacts> {
    const { db, clock, policy, audit, evidenceMs, log, lostEnclave } = this.#ports;
    const row = await db.selectFrom("run").selectAll().executeTakeFirstOrThrow();
    const newest = await audit.newestEnclaveRecord();
    const first = { epoch: 1, first_round: 1, valid_ms: evidenceMs };
    const opening = { policy, newest, start: first, at: clock.nowMs() };
    const { enclave_keys: keys, enclave_progress: progress } = row;
    if (keys === null || progress === null) return await this.#begin(child, { ...opening, resume: null }, undefined);
    try {
      if (lost !== undefined) throw lost;
      return await this.#begin(child, { ...opening, resume: { keys, progress } }, undefined);
    } catch (error) {
      const isLost = error instanceof QflareError && error.code === "enclave.state";
      if (!isLost || lostEnclave === "stop") throw error;
      log.error({ reason: error.message }, "the enclave's keys are lost: a new one begins an epoch with new keys");
      const start = { ...first, ...(await this.#nextEpoch()) };
      return await this.#begin(child, { ...opening, start, resume: null }, row.enclave_public_key!);
    }
  }

  /** The round that was open has lost its key; the epoch begins behind it. */
  async #nextEpoch(): Promise<{ epoch: number; first_round: number }> {
    const { ledger, audit } = this.#ports;
    const newest = await ledger.newestRound();
    const isUntold = newest?.state === "selecting";
    const firstRound = newest === undefined ? 1 : isUntold ? newest.round : newest.round + 1;
    return { epoch: (await audit.newestEpoch()) + 1, first_round: firstRound };
  }

  /** ended: identity of the enclave whose place this one takes. */
  async #begin(
    child: EnclaveProcess,
    request: EnclaveRequest<"open">,
    ended: Bytes | undefined,
  ): Promise<EnclaveFacts> {
    const { answer } = await child.call("open", request);
    // Before anything sealed under a new key: the enclave has no folder to put on disk.
    const { host, writer } = this.#ports;
    host.settle();
    const isolation = this.#checkLevel(answer.isolation);
    const tee = this.#checkTee(answer.tee);
    await this.#ports.register.requireSameTee(tee);
    const isNew = request.resume === null;
    const shown = await this.#examine(child, answer, isNew);
    const started = await writer.write((tx) => this.#storeOpened(tx, answer, { isNew, ended, shown }));
    this.#progress = shown.progress;
    if (answer.latest_round === null) await this.#adopt(child);
    const { signature_public_key: signaturePublicKey, first_round: firstRound } = answer;
    const { raise } = host;
    return { signaturePublicKey, firstRound, ...epochFacts(answer), isolation, raise, tee, started };
  }

  /**
   * Before anything of it is stored, or it is told anything of the run: a program that does not attest takes the place
   * of none.
   */
  async #examine(child: EnclaveProcess, opened: EnclaveAnswer<"open">, isNew: boolean): Promise<Shown> {
    const { clock, random, policy, own, host } = this.#ports;
    const nonce = random.bytes(NONCE_BYTES);
    const { answer } = await child.call("attest", { nonces: [nonce], at: clock.nowMs() });
    own.keep(decodeEvidence(answer.evidence));
    const offer = { ...answer, collateral: own.collateral(), nonce_index: 0, nonce_count: 1, nonce_path: [] };
    const enclave = requireOwnEvidence(own, offer, { nowMs: clock.nowMs(), isResumed: !isNew, nonce, policy });
    requireOwnEnclave(enclave, opened, host.programDigest);
    return answer;
  }

  async #storeOpened(
    tx: Transaction<Tables>,
    answer: EnclaveAnswer<"open">,
    { isNew, ended, shown }: { isNew: boolean; ended: Bytes | undefined; shown: Shown },
  ): Promise<EnclaveFacts["started"]> {
    const { audit, register } = this.#ports;
    const { keys, signature_public_key, record, epoch, kem_public_key } = answer;
    const started = await register.name(tx, answer, isNew);
    if (ended !== undefined) {
      const fact = { subject: `epoch ${epoch}`, digest: sha256(signature_public_key), data: ended };
      await audit.append(tx, { type: "enclave.replaced", ...fact });
    }
    await audit.appendEnclaveRecord(tx, record);
    await audit.appendEnclaveRecord(tx, shown.record);
    const opened = {
      enclave_keys: keys,
      enclave_public_key: signature_public_key,
      enclave_progress: shown.progress,
    };
    await tx.updateTable("run").set(opened).execute();
    if (isNew) await register.publishKey(tx, epoch, kem_public_key);
    return started;
  }

  /** The newest model of the run, signed anew by the enclave that is to go on from it; nothing at a run's start. */
  async #adopt(child: EnclaveProcess): Promise<void> {
    const { ledger, models, clock, audit, writer } = this.#ports;
    const model = await ledger.newestModel();
    if (model === undefined) return;
    const request = { statement: model.statement, at: clock.nowMs() };
    const { answer } = await child.call("adopt", request, await models.readOnce(model));
    await writer.write(async (tx) => {
      await audit.appendEnclaveRecord(tx, answer.record);
      await tx.updateTable("run").set({ enclave_progress: answer.progress }).execute();
      await ledger.adoptModel(tx, model.round, answer);
    });
    this.#progress = answer.progress;
  }

  /** The next epoch. The round that is open may go on under the key before; firstRound is the one behind it. */
  async rotate(firstRound: number): Promise<void> {
    const request = { first_round: firstRound, valid_ms: this.#ports.evidenceMs, at: this.#ports.clock.nowMs() };
    const { signaturePublicKey: signature_public_key, tee, isolation } = this.facts;
    const { register } = this.#ports;
    let { started } = this.facts;
    const { answer } = await this.call("rotate", request, undefined, async ({ answer }) => async (tx) => {
      started = await register.name(tx, { ...answer, signature_public_key, tee, isolation }, true);
      await register.publishKey(tx, answer.epoch, answer.kem_public_key);
    });
    this.#facts = { ...this.facts, firstRound, ...epochFacts(answer), started };
    this.#ports.log.info({ epoch: answer.epoch }, "enclave has a new key");
  }

  /** Whether it can open what was sealed for this round; not where its keys were lost while the round was open. */
  holdsKeyOf(round: number): boolean {
    const { firstRound, former } = this.facts;
    return round >= firstRound || former?.round === round;
  }

  /** What the process found from inside counts, not what it was started with. */
  #checkLevel(reached: string): IsolationLevel {
    if (!isIsolationLevel(reached)) throw new QflareError("message.malformed", "expected a level of isolation");
    requireIsolation(reached, this.#ports.isolationRequired, this.#ports.host.raise);
    return reached;
  }

  #checkTee(found: string): Tee {
    const { tee: expected } = this.#ports.host;
    const tee = TEES.find((known) => known === found);
    if (tee !== undefined && (expected === undefined || tee === expected)) return tee;
    throw new QflareError("evidence.refused", `expected an enclave on ${expected ?? TEES.join(", ")}, got ${found}`);
  }

  /**
   * One operation. The enclave's audit record and progress are stored in one transaction with what `follow` makes of
   * the reply; without `follow` they go to disk with the next write while the next operation runs. Either way in the
   * order of the replies, and none without those before it. Throws the enclave's coded error, or enclave.unavailable
   * where it died: call ready() then and tell it all again.
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
      const { writer } = this.#ports;
      const stored =
        follow === undefined
          ? writer.writeIdly(this.#storing(answer, earlier))
          : writer.write(this.#storing(answer, earlier, await follow(reply)));
      onHandedOver();
      await stored;
    } catch (error) {
      this.#ports.log.error({ error: String(error) }, "what the enclave answered cannot be stored");
      child.kill();
      throw error;
    }
  }

  /** A compare-and-set: behind an answer that was not stored, this one would leave a gap in the chain. */
  #storing(trace: Trace, earlier: Bytes, also?: Write<unknown>): Write<void> {
    return async (tx) => {
      await this.#ports.audit.appendEnclaveRecord(tx, trace.record);
      const keys = trace.keys ?? null;
      const changedKeys = keys === null ? {} : { enclave_keys: keys };
      const next = tx.updateTable("run").set({ enclave_progress: trace.progress, ...changedKeys });
      const changed = await next.where("enclave_progress", "=", earlier).returning("id").executeTakeFirst();
      if (changed === undefined) throw new QflareError("enclave.unavailable", "its answer before is not stored");
      await also?.(tx);
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // Hardware may take a minute for its quote; what is not stored is asked for again.
    this.#candidate?.kill();
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
