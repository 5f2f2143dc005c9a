// A device in a run: enrols once, then takes part in round after round.
//
//   const device = await Device.enroll({ link, keystore, allowSimulatedEnclave: true });
//   for await (const round of device.rounds()) {
//     const { delta, examples } = await train(round.parameters, JSON.parse(round.plan));
//     await round.submit(delta, examples);
//   }

import { existsSync } from "node:fs";
import { type AppraisalPolicy, readPolicy } from "../attestation/policy.ts";
import { ROOTS, type Roots } from "../attestation/roots.ts";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { bytesFromFloats } from "../core/floats.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, DevicePsk, Random } from "../core/ports.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { systemRandom } from "../crypto/random.ts";
import { schemeOfKey, signature } from "../crypto/signature.ts";
import { SUITE_NAMES, SUITES, type SuiteName } from "../crypto/suite.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { type ModelStatement, modelStatement, openModel, splitModel } from "../wire/model.ts";
import { type Manifest, manifestMessage, sealUpdate } from "../wire/update.ts";
import { NO_WITNESSES, parseWitnessPolicy, type WitnessPolicy } from "../wire/witness-policy.ts";
import type { Outcome, Task } from "../wire/work.ts";
import { Connection } from "./connection.ts";
import { type Assignment, Desk, type Offer, type SignedUpdate } from "./desk.ts";
import { EnclavePin } from "./enclave-pin.ts";
import { type Releases, type TrustedEnclave, trustEnclave } from "./enclave-trust.ts";
import { enrollDevice } from "./enroll.ts";
import type { DeviceEvent } from "./event.ts";
import { usableSuites } from "./handshake.ts";
import { BESIDE, checkKeystorePlace, type Keystore, loadKeystore, OpenKeystore, saveKeystore } from "./keystore.ts";
import { hasPendingRekey, rekeyDevice } from "./rekey.ts";
import type { ProvenReceipt, Round } from "./round.ts";
import type { Session } from "./session.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface DeviceOptions {
  /** Path of the key file; what the device has seen of the run lies beside it (.log, .enclave). */
  readonly keystore: string;
  /** Take evidence without hardware behind it. Without this, a simulated enclave is refused. */
  readonly allowSimulatedEnclave?: boolean;
  /** Which hardware evidence to take; without measurements in it, none. */
  readonly evidencePolicy?: AppraisalPolicy;
  /** Whose signatures count as the vendors'; by default theirs. */
  readonly evidenceRoots?: Roots;
  /** Take enclaves of these releases alone. */
  readonly releases?: Releases;
  /** An enclave that would aggregate fewer updates than this is refused; 2 by default: one alone would be readable. */
  readonly updatesMin?: number;
  /** Text of a C2SP tlog-policy: who must have cosigned the server's audit log; by default nobody. */
  readonly witnessPolicy?: string;
  /** Preferred first; the first one decides what keys an enrolment makes. */
  readonly suites?: readonly SuiteName[];
  /** Keys that device and server hold beforehand, to be mixed into each full handshake. */
  readonly psk?: DevicePsk;
  readonly onEvent?: (event: DeviceEvent) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What a submission needs: taken from the enclave that was checked when the round was opened. */
interface Work {
  readonly task: Task;
  readonly baseDigest: Bytes;
  readonly enclave: TrustedEnclave;
}

const systemClock: Clock = { nowMs: () => Date.now() };
const NONCE_BYTES = 32;
const UPDATES_MIN = 2;
/** So often an update is sealed again, because the enclave has another key by then. */
const RENEWALS_MAX = 3;

/** The round is over or never was this device's: nothing to repeat. */
const TOO_LATE: readonly string[] = [
  ...["round.closed", "round.wrong", "round.not_selected"],
  ...["update.base_model", "update.duplicate", "update.sequence"],
];

export class Device {
  readonly #open: OpenKeystore;
  readonly #options: DeviceOptions;
  readonly #suites: readonly SuiteName[];
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #desk: Desk;
  readonly #pin: EnclavePin;
  #enclave: TrustedEnclave | undefined;
  #lastSequence = 0;

  private constructor(keystore: Keystore, options: DeviceOptions, witnesses: WitnessPolicy) {
    this.#open = new OpenKeystore(options.keystore, keystore);
    this.#options = options;
    this.#suites = options.suites ?? SUITE_NAMES;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    const ports = {
      clock: this.#clock,
      random: this.#random,
      onRetry: (reason: string, waitMs: number) => this.#emit({ event: "retry", reason, wait_ms: Math.round(waitMs) }),
      onSession: ({ suite, hasPsk }: Session, resumed: boolean) =>
        this.#emit({ event: "session", suite, resumed, psk: hasPsk }),
      ...(options.psk === undefined ? {} : { psk: options.psk }),
    };
    this.#connection = new Connection(this.#open, ports, this.#suites);
    const logPath = options.keystore + BESIDE.log;
    this.#desk = new Desk(this.#connection, this.#open, logPath, witnesses);
    const place = { path: options.keystore + BESIDE.enclave, runId: keystore.run_id };
    this.#pin = new EnclavePin({ ...place, isNew: !existsSync(logPath) });
  }

  /**
   * link: the printed enrolment token, which is not spent where this throws config.invalid: for a key file that has no
   * place, one that exists, what a device before has left beside it, or a witness policy that cannot be read.
   */
  static async enroll(options: DeviceOptions & { readonly link: string }): Promise<Device> {
    checkKeystorePlace(options.keystore);
    const witnesses = policyOf(options);
    const keystore = await enrollDevice(options.link, options.suites);
    saveKeystore(options.keystore, keystore);
    return new Device(keystore, options, witnesses);
  }

  /** A device that has enrolled before. */
  static open(options: DeviceOptions): Device {
    const keystore = loadKeystore(options.keystore);
    if (keystore === undefined) throw new QflareError("config.invalid", `keystore: there is no ${options.keystore}`);
    return new Device(keystore, options, policyOf(options));
  }

  get #keystore(): Keystore {
    return this.#open.current;
  }

  get name(): string {
    return this.#keystore.name;
  }

  get id(): string {
    return toHex(this.#keystore.device_id);
  }

  get url(): string {
    return this.#keystore.url;
  }

  /**
   * Replaces both keys by new ones, signed by old and new; the device's id becomes another. Goes on with what an
   * earlier call has begun. Not while rounds() runs: an update in the making is signed by the old key. suite: one of
   * those that the new keys shall serve, by default the one in use.
   */
  async rekey(suite: SuiteName = usableSuites(this.#keystore, this.#suites)[0]!): Promise<void> {
    await rekeyDevice(this.#connection, this.#open, SUITES[suite]);
  }

  /** A re-key whose answer was lost comes first: nobody knows which keys the server takes. */
  async #settle(): Promise<void> {
    if (hasPendingRekey(this.#open)) await this.rekey();
  }

  /** Opens a session, so that the server knows the device's keys work. */
  async connect(): Promise<void> {
    await this.#settle();
    await this.#askForWork(0, 0);
  }

  /** The rounds that this device is selected for, until the run is finished or the device is closed. */
  async *rounds(): AsyncGenerator<Round> {
    let afterRound = 0;
    let told = 0;
    await this.#settle();
    while (!this.#connection.isClosed) {
      const answer = await this.#askForWork(afterRound, LIMITS.longPollMsMax);
      told = this.#tellOutcome(answer.outcome, told);
      if (answer.state === "finished") return;
      if (answer.state === "wait" || answer.task === null) continue;
      if (answer.offer !== undefined) this.#enclave = this.#trust(answer.offer);
      if (!this.#isTrusted(answer.task)) {
        if (answer.offer !== undefined)
          throw new QflareError("evidence.refused", "the task is for another enclave or policy");
        this.#enclave = undefined;
        continue;
      }
      yield await this.#openRound(answer.task);
      afterRound = answer.task.round;
    }
  }

  /** Resolves when what was seen of the audit log is on disk. Throws what writing that threw. */
  async close(): Promise<void> {
    this.#connection.close();
    await this.#desk.close();
  }

  async #askForWork(afterRound: number, waitMs: number): Promise<Assignment> {
    const drawNonce = this.#enclave === undefined ? () => this.#random.bytes(NONCE_BYTES) : null;
    return await this.#desk.ask(afterRound, waitMs, drawNonce);
  }

  #tellOutcome(outcome: Outcome | null, told: number): number {
    if (outcome === null || outcome.round <= told) return told;
    this.#emit({ event: "outcome", ...outcome });
    return outcome.round;
  }

  /** Throws evidence.refused or log.*: this device seals nothing for such an enclave. */
  #trust({ evidence, nonce, checkpoint }: Offer): TrustedEnclave {
    const { allowSimulatedEnclave = false, evidencePolicy = {}, evidenceRoots, updatesMin, releases } = this.#options;
    const enclave = trustEnclave(evidence, {
      nowMs: this.#clock.nowMs(),
      runId: this.#keystore.run_id,
      nonce,
      evidencePolicy: readPolicy({
        ...readPolicy(evidencePolicy),
        ...(allowSimulatedEnclave ? { allow_simulated: true } : {}),
      }),
      roots: evidenceRoots ?? ROOTS,
      releases,
      updatesMin: updatesMin ?? UPDATES_MIN,
      checkpoint,
      pin: this.#pin,
    });
    const { isReplacement: replaced, verdict } = enclave;
    const { tee, epoch } = enclave.binding;
    this.#emit({ event: "enclave", tee, isolation: verdict.measurements.isolation ?? "tee", epoch, replaced });
    return enclave;
  }

  /** Whether the task is for the enclave and policy that were checked; if not, they are asked for again. */
  #isTrusted(task: Task): boolean {
    const enclave = this.#enclave;
    if (enclave === undefined || this.#clock.nowMs() > enclave.binding.not_after) return false;
    return equal(task.enclave_key_hash, enclave.keyHash) && equal(task.policy_hash, enclave.policyHash);
  }

  async #openRound(task: Task): Promise<Round> {
    const deadlineMs = this.#clock.nowMs() + task.remaining_ms;
    const model = await this.#fetchModel(task);
    const { parameters } = splitModel(model);
    const enclave = this.#enclave!;
    if (parameters.length !== enclave.policy.parameters) throw new QflareError("model.malformed");
    return {
      number: task.round,
      parameters: new Float32Array(parameters),
      model,
      plan: task.plan,
      deadlineMs,
      submit: (delta, examples) => this.#submit({ task, baseDigest: blobDigest(model), enclave }, delta, examples),
    };
  }

  /** Throws model.signature unless the attested enclave of this run signed exactly this model. */
  async #fetchModel(task: Task): Promise<Bytes> {
    const statement = this.#readStatement(task);
    const path = `/api/models/${toHex(task.model_blob)}`;
    const blob = await this.#connection.get(path, task.model_blob_length);
    const model = openModel(task.content_key, statement.model_digest, blob);
    if (!equal(blobDigest(model), statement.model_digest)) throw new QflareError("model.signature");
    return model;
  }

  #readStatement(task: Task): ModelStatement {
    const { binding } = this.#enclave!;
    const scheme = signature("ML-DSA-44");
    const isSigned = scheme.verify(
      binding.signature_public_key,
      task.statement,
      task.statement_signature,
      CONTEXTS.model,
    );
    if (!isSigned) throw new QflareError("model.signature");
    const statement = modelStatement.decode(task.statement);
    if (!equal(statement.run_id, this.#keystore.run_id) || statement.round >= task.round) {
      throw new QflareError("model.signature", "it is of another run or round");
    }
    return statement;
  }

  /** Where the enclave has another key by now, what was trained is sealed again, to that one. */
  async #submit(first: Work, delta: Float32Array, examples: number): Promise<ProvenReceipt | undefined> {
    const { task } = first;
    let work: Work | undefined = first;
    for (let renewals = 0; work !== undefined && renewals <= RENEWALS_MAX; renewals++) {
      if (this.#clock.nowMs() <= work.enclave.binding.not_after) {
        const result = await this.#sealAndSend(work, delta, examples);
        if (result !== "update.recipient") return result;
      }
      work = await this.#renew(work);
    }
    this.#emit({ event: "late", round: task.round, reason: "update.recipient" });
    return undefined;
  }

  /** The same work for the enclave's new key; undefined where there is none on the same model. */
  async #renew({ task: { round }, baseDigest }: Work): Promise<Work | undefined> {
    this.#enclave = undefined;
    const { task, offer } = await this.#askForWork(round - 1, LIMITS.longPollMsMax);
    if (task === null || offer === undefined) return undefined;
    const enclave = this.#trust(offer);
    this.#enclave = enclave;
    if (!this.#isTrusted(task)) throw new QflareError("evidence.refused", "the task is for another enclave or policy");
    return equal(this.#readStatement(task).model_digest, baseDigest) ? { task, baseDigest, enclave } : undefined;
  }

  async #sealAndSend(
    { task, baseDigest, enclave }: Work,
    delta: Float32Array,
    examples: number,
  ): Promise<ProvenReceipt | undefined | "update.recipient"> {
    if (delta.length !== enclave.policy.parameters) {
      throw new RangeError(`expected a delta of ${enclave.policy.parameters} values, got ${delta.length}`);
    }
    const place = {
      run_id: this.#keystore.run_id,
      round: task.round,
      device_id: this.#keystore.device_id,
      base_digest: baseDigest,
      policy_hash: enclave.policyHash,
      enclave_key_hash: enclave.keyHash,
    };
    const { kem_public_key } = enclave.binding;
    const blob = await sealUpdate(enclave.policy.suite, kem_public_key, place, bytesFromFloats(delta), this.#random);
    const digest = blobDigest(blob);
    // Time carries the counter over restarts without a file of its own.
    this.#lastSequence = Math.max(this.#lastSequence + 1, this.#clock.nowMs());
    const fields: Manifest = {
      v: 1,
      ...place,
      blob_digest: digest,
      blob_length: blob.length,
      encoding: "f32",
      examples,
      sequence: this.#lastSequence,
    };
    const manifest = manifestMessage.encode(fields);
    const { signature_public_key, signature_secret_key } = this.#keystore;
    const signed = schemeOfKey(signature_public_key)!.sign(signature_secret_key, manifest, CONTEXTS.update);
    return await this.#send({ round: task.round, manifest, signature: signed, blob, digest });
  }

  async #send(update: SignedUpdate): Promise<ProvenReceipt | undefined | "update.recipient"> {
    try {
      return await this.#desk.submit(update);
    } catch (error) {
      if (error instanceof QflareError && error.code === "update.recipient") return error.code;
      if (!(error instanceof QflareError) || !TOO_LATE.includes(error.code)) throw error;
      this.#emit({ event: "late", round: update.round, reason: error.code });
      return undefined;
    }
  }

  #emit(event: DeviceEvent): void {
    this.#options.onEvent?.(event);
  }
}

function policyOf({ witnessPolicy }: DeviceOptions): WitnessPolicy {
  return witnessPolicy === undefined ? NO_WITNESSES : parseWitnessPolicy(witnessPolicy);
}
