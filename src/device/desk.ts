// What a device says to its server in the course of a round, and what it takes for an answer: work with the newest
// checkpoint of the audit log, a receipt with the proof that the log holds the update. Neither counts before the log is
// found to be one history with what this device has seen.

import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { schemeOfKey } from "../crypto/signature.ts";
import type { Checkpoint } from "../wire/checkpoint.ts";
import { serverKeyOf } from "../wire/identity.ts";
import { type Receipt, receiptAnswer, verifyReceipt } from "../wire/receipt.ts";
import { submitMessage } from "../wire/update.ts";
import { NO_WITNESSES, type WitnessPolicy } from "../wire/witness-policy.ts";
import { type EvidencePackage, type WorkAnswer, workAnswer, workRequest } from "../wire/work.ts";
import type { Connection } from "./connection.ts";
import type { Keystore, OpenKeystore } from "./keystore.ts";
import { LogWatch, type ShownLog } from "./log-watch.ts";
import { identitiesEver, identitiesNow, logTrustOf } from "./pins.ts";
import type { ProvenReceipt } from "./round.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Evidence, the nonce of the request that it came for, and the log's checkpoint that came with it. */
export interface Offer {
  readonly evidence: EvidencePackage;
  readonly nonce: Bytes;
  readonly checkpoint: Checkpoint;
}

export interface Assignment extends Pick<WorkAnswer, "state" | "task" | "outcome"> {
  readonly offer: Offer | undefined;
}

/** A signed manifest and its blob, for the round that the manifest names. */
export interface SignedUpdate {
  readonly round: number;
  readonly manifest: Bytes;
  readonly signature: Bytes;
  readonly blob: Bytes;
  readonly digest: Bytes;
}

interface Shown<T> {
  readonly answer: T;
  readonly shown: ShownLog | undefined;
}

/** nonce: of the very request that was answered. */
interface ShownWork extends Shown<WorkAnswer> {
  readonly nonce: Bytes | null;
}

type DrawNonce = () => Bytes;

export class Desk {
  readonly #connection: Connection;
  readonly #keystore: OpenKeystore;
  readonly #log: LogWatch;

  /** logPath: where the log's newest checkpoint is kept. Throws log.* where what is kept there is none of this run. */
  constructor(connection: Connection, keystore: OpenKeystore, logPath: string, policy: WitnessPolicy) {
    this.#connection = connection;
    this.#keystore = keystore;
    this.#log = new LogWatch({
      path: logPath,
      trust: () => logTrustOf(keystore.current, identitiesNow(keystore.current), policy),
      keptTrust: () => logTrustOf(keystore.current, identitiesEver(keystore.current), policy),
    });
  }

  /** Resolves when what was seen of the log is on disk. Throws what writing threw. */
  async close(): Promise<void> {
    await this.#log.close();
  }

  /**
   * What there is to do behind this round, under a checkpoint that the witnesses have cosigned which this device wants:
   * it waits for them. drawNonce: where evidence is wanted. Throws log.* but for log.witness.
   */
  async ask(afterRound: number, waitMs: number, drawNonce: DrawNonce | null): Promise<Assignment> {
    const ask = (draw: DrawNonce | null): Promise<ShownWork> =>
      this.#log.ask((size) => this.#askOnce(afterRound, waitMs, draw, size));
    let isAgain = false;
    const { answer, nonce, shown } = await this.#connection.untilWitnessed(async () => {
      // Evidence costs a quote and an entry in the log: once refused, it is wanted again after the witnesses have come.
      if (isAgain && drawNonce !== null) await ask(null);
      isAgain = true;
      return await ask(drawNonce);
    });
    const { state, task, outcome, evidence } = answer;
    const isOffered = evidence !== null && nonce !== null && shown !== undefined;
    const offer = isOffered ? { evidence, nonce, checkpoint: shown.checkpoint } : undefined;
    return { state, task, outcome, offer };
  }

  async #askOnce(
    after_round: number,
    wait_ms: number,
    drawNonce: DrawNonce | null,
    log_size: number,
  ): Promise<ShownWork> {
    let nonce = null as Bytes | null;
    // Anew for each try: evidence that the server made for an earlier one, and held back, is as old as that.
    const request = (): Bytes => {
      nonce = drawNonce === null ? null : drawNonce();
      return workRequest.encode({ after_round, wait_ms, nonce, log_size });
    };
    const encoded = await this.#connection.call("GET", "/api/global_model", request, workAnswer.bytesMax);
    const answer = workAnswer.decode(encoded);
    return { answer, nonce, shown: answer.task === null ? undefined : this.#log.opened(answer.task.log) };
  }

  /** Throws server.identity or log.* unless the pinned server signed for this update and its log holds it. */
  async submit(update: SignedUpdate): Promise<ProvenReceipt> {
    return (await this.#log.ask((size) => this.#submitOnce(update, size))).answer;
  }

  async #submitOnce(update: SignedUpdate, log_size: number): Promise<Shown<ProvenReceipt>> {
    const { manifest, signature, blob } = update;
    const submit = (): Bytes => submitMessage.encode({ manifest, signature, log_size });
    const encoded = await this.#connection.call("POST", "/api/submit_model", submit, receiptAnswer.bytesMax, blob);
    const keystore = this.#keystore.current;
    const { name } = schemeOfKey(keystore.signature_public_key)!;
    const identities = identitiesNow(keystore);
    // Not yet cosigned: the update was accepted this moment. The next task's checkpoint must reach this one.
    const trust = logTrustOf(keystore, identities, NO_WITNESSES);
    const serverKeys = identities.map((identity) => serverKeyOf(identity, name));
    const { receipt, ...shown } = verifyReceipt(encoded, serverKeys, trust);
    if (!isFor(receipt, update, keystore)) {
      throw new QflareError("server.identity", "its receipt is for another update");
    }
    return { answer: { ...receipt, encoded }, shown: { ...shown, isCosigned: false } };
  }
}

/** The log's entry names device, manifest and blob as the receipt does: so it holds this update, and no other. */
function isFor(receipt: Receipt, { round, manifest, digest }: SignedUpdate, { device_id }: Keystore): boolean {
  const isOfDevice = receipt.round === round && equal(receipt.device_id, device_id);
  return isOfDevice && equal(receipt.manifest_digest, sha256(manifest)) && equal(receipt.blob_digest, digest);
}
