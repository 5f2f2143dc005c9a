// One open round inside the enclave: which devices may take part, and the opened updates, or their sum where the rule
// needs no more. This is the only place where a single update exists in the clear; forget() ends that.

import type { Report } from "../aggregation/defence.ts";
import type { RowArena } from "../aggregation/row-arena.ts";
import type { StreamingDefence } from "../aggregation/streaming-defence.ts";
import { equal, toHex, wipe } from "../core/bytes.ts";
import { type ErrorCode, QflareError } from "../core/error.ts";
import { bytesFromFloats, floatsFromBytes } from "../core/floats.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { verifyUnderKey } from "../crypto/signature.ts";
import type { EnclaveRequest } from "../wire/enclave.ts";
import { deviceId } from "../wire/enroll.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { splitModel } from "../wire/model.ts";
import type { Reputation } from "../wire/report.ts";
import { epochKeyHash, type Manifest, manifestMessage, openUpdate, openUpdatePieces } from "../wire/update.ts";
import type { EnclaveKeys } from "./keys.ts";

/** Signature keys of the devices that may take part, by device id in hexadecimal. */
type Members = ReadonlyMap<string, Uint8Array>;

export interface KeptUpdate {
  readonly deviceId: Uint8Array;
  readonly examples: number;
  /** undefined for an update that was refused on opening, or judged. */
  readonly delta: Float32Array | undefined;
  readonly reason: ErrorCode | undefined;
  /** Of an update that was judged as it came: it is in the sum, or rejected. */
  readonly report?: Report;
}

type Opened = Pick<KeptUpdate, "delta" | "reason" | "report">;

interface OpeningKey {
  readonly suite: EnclaveKeys["suite"];
  readonly secretKey: Uint8Array;
}

/** Throws message.malformed where a device id is not the hash of the keys beside it: identities cannot be lent. */
export function membersOf(cohort: EnclaveRequest<"begin">["cohort"]): Members {
  for (const { device_id, kem_key_hash, signature_public_key } of cohort) {
    if (!equal(deviceId(kem_key_hash, signature_public_key), device_id)) {
      throw new QflareError("message.malformed", "a device id is not the hash of its keys");
    }
  }
  return new Map(cohort.map(({ device_id, signature_public_key }) => [toHex(device_id), signature_public_key]));
}

const UNREADABLE: Opened = { delta: undefined, reason: "update.unreadable" };

export class EnclaveRound {
  readonly number: number;
  readonly baseDigest: Uint8Array;
  /** The model file that the round starts from: everything before its parameters, and those. */
  readonly head: Uint8Array;
  readonly base: Float32Array<ArrayBuffer>;
  readonly #file: Uint8Array<ArrayBuffer>;
  /** As the round before left them. */
  readonly reputations: readonly Reputation[];
  /** Where there is one, it takes the updates as they come, and none is kept. */
  readonly streaming: StreamingDefence | undefined;
  /** Where the others are opened to. */
  readonly rows: RowArena;
  readonly #members: Members;
  readonly #updates = new Map<string, KeptUpdate>();

  /** rows and the memory of the file: this round's alone until it is forgotten. */
  constructor(
    number: number,
    base: {
      digest: Uint8Array;
      file: Uint8Array<ArrayBuffer>;
      reputations: readonly Reputation[];
    },
    members: Members,
    rows: RowArena,
    streaming?: StreamingDefence,
  ) {
    this.number = number;
    this.baseDigest = base.digest;
    const { head, parameters } = splitModel(base.file);
    this.head = head;
    this.base = parameters;
    this.#file = base.file;
    this.reputations = base.reputations;
    this.streaming = streaming;
    this.rows = rows;
    this.#members = members;
    if (streaming === undefined) rows.open(members.size, parameters.length);
  }

  /** In the order of device ids, so that the result does not depend on who was first. */
  get updates(): KeptUpdate[] {
    return [...this.#updates].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, update]) => update);
  }

  get missing(): Uint8Array[] {
    const ids = [...this.#members.keys()].filter((id) => !this.#updates.has(id)).sort();
    return ids.map((id) => Uint8Array.from(Buffer.from(id, "hex")));
  }

  /**
   * Checks that this device signed this manifest for this round and blob; throws the coded error where not, and nothing
   * changes. A second update of a device is the first one again or refused: one device, one vote.
   */
  admit(request: EnclaveRequest<"update">, blob: Uint8Array, keys: EnclaveKeys): Manifest {
    const manifest = manifestMessage.decode(request.manifest);
    const publicKey = this.#members.get(toHex(manifest.device_id));
    if (publicKey === undefined) throw new QflareError("round.not_selected");
    if (!verifyUnderKey(publicKey, request.manifest, request.signature, CONTEXTS.update)) {
      throw new QflareError("update.signature");
    }
    if (manifest.round !== this.number) {
      throw new QflareError("round.wrong", `expected round ${this.number}, got ${manifest.round}`);
    }
    if (!equal(manifest.base_digest, this.baseDigest)) throw new QflareError("update.base_model");
    if (!equal(manifest.run_id, keys.run_id) || !equal(manifest.policy_hash, keys.policy_hash)) {
      throw new QflareError("round.wrong", "expected this run under this policy");
    }
    if (this.#secretKeyFor(manifest, keys) === undefined) throw new QflareError("update.recipient");
    if (manifest.blob_length !== blob.length || !equal(blobDigest(blob), manifest.blob_digest)) {
      throw new QflareError("update.digest");
    }
    if (this.#updates.has(toHex(manifest.device_id))) throw new QflareError("update.duplicate");
    return manifest;
  }

  /** The key in force, or the one before where this round was open when it was replaced. */
  #secretKeyFor({ enclave_key_hash }: Manifest, keys: EnclaveKeys): Uint8Array | undefined {
    if (equal(enclave_key_hash, epochKeyHash(keys.kem_public_key))) return keys.kem_secret_key;
    const { former, former_kem_secret_key } = keys;
    if (former?.round !== this.number || !equal(enclave_key_hash, epochKeyHash(former.kem_public_key)))
      return undefined;
    return former_kem_secret_key ?? undefined;
  }

  /** Opens the sealed delta and keeps or adds it, or keeps the reason why it cannot be used. */
  async keep(manifest: Manifest, blob: Uint8Array, keys: EnclaveKeys): Promise<KeptUpdate> {
    const common = { deviceId: manifest.device_id, examples: manifest.examples };
    const key = { suite: keys.suite, secretKey: this.#secretKeyFor(manifest, keys)! };
    const opened =
      this.streaming === undefined
        ? await this.#whole(key, manifest, blob)
        : await this.#streamed(this.streaming, key, manifest, blob);
    const update: KeptUpdate = { ...common, ...opened };
    this.#updates.set(toHex(manifest.device_id), update);
    return update;
  }

  async #whole({ suite, secretKey }: OpeningKey, manifest: Manifest, blob: Uint8Array): Promise<Opened> {
    const fits = (length: number): boolean => length === 4 * this.base.length;
    const room = (length: number) => (fits(length) ? bytesFromFloats(this.rows.take()) : new Uint8Array(length));
    const plaintext = await openUpdate(suite, secretKey, manifest, blob, room);
    if (plaintext === undefined) return UNREADABLE;
    if (fits(plaintext.length)) return { delta: floatsFromBytes(plaintext), reason: undefined };
    wipe(plaintext);
    return { delta: undefined, reason: "update.length" };
  }

  async #streamed(
    streaming: StreamingDefence,
    { suite, secretKey }: OpeningKey,
    manifest: Manifest,
    blob: Uint8Array,
  ): Promise<Opened> {
    const report = await openUpdatePieces(suite, secretKey, manifest, blob, (pieces) =>
      streaming.add(pieces, manifest.examples),
    );
    return report === undefined ? UNREADABLE : { delta: undefined, reason: report.reason ?? undefined, report };
  }

  /**
   * The model file that the round ends with, written over the one that it started from. Throws aggregation.precondition
   * where a parameter is not finite, and leaves nothing of the sum behind.
   */
  end(delta: Float32Array): Uint8Array<ArrayBuffer> {
    const { base } = this;
    if (!base.every((value, i) => Number.isFinite(Math.fround(value + delta[i]!)))) {
      throw new QflareError("aggregation.precondition", "the sum of model and update is not finite");
    }
    for (let i = 0; i < base.length; i++) base[i] = base[i]! + delta[i]!;
    this.#file.set(bytesFromFloats(base), this.head.length);
    return this.#file;
  }

  /** Overwrites every opened update, and their sum. */
  forget(): void {
    this.streaming?.wipe();
    this.rows.wipe();
    this.#updates.clear();
  }
}
