// One open round inside the enclave: which devices may take part, and the opened updates. This is the only place
// where a single update exists in the clear; forget() ends that.

import { equal, toHex, wipe } from "../core/bytes.ts";
import { type ErrorCode, QflareError } from "../core/error.ts";
import { floatsFromBytes } from "../core/floats.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { verifyUnderKey } from "../crypto/signature.ts";
import type { EnclaveRequest } from "../wire/enclave.ts";
import { deviceId } from "../wire/enroll.ts";
import { CONTEXTS } from "../wire/labels.ts";
import type { Reputation } from "../wire/report.ts";
import { epochKeyHash, type Manifest, manifestMessage, openUpdate } from "../wire/update.ts";
import type { EnclaveKeys } from "./keys.ts";

type Cohort = EnclaveRequest<"begin">["cohort"];

export interface KeptUpdate {
  readonly deviceId: Uint8Array;
  readonly examples: number;
  /** undefined for an update that was refused on opening. */
  readonly delta: Float32Array | undefined;
  readonly reason: ErrorCode | undefined;
}

export class EnclaveRound {
  readonly number: number;
  readonly baseDigest: Uint8Array;
  readonly base: Float32Array<ArrayBuffer>;
  /** Everything of the model file before its parameters. */
  readonly head: Uint8Array;
  /** As the round before left them. */
  readonly reputations: readonly Reputation[];
  readonly #cohort: ReadonlyMap<string, Uint8Array>;
  readonly #updates = new Map<string, KeptUpdate>();

  /** Throws message.malformed where a device id is not the hash of the keys beside it: identities cannot be lent. */
  constructor(
    number: number,
    base: {
      digest: Uint8Array;
      head: Uint8Array;
      parameters: Float32Array<ArrayBuffer>;
      reputations: readonly Reputation[];
    },
    cohort: Cohort,
  ) {
    this.number = number;
    this.baseDigest = base.digest;
    this.base = base.parameters;
    this.head = base.head;
    this.reputations = base.reputations;
    const members = new Map<string, Uint8Array>();
    for (const member of cohort) {
      if (!equal(deviceId(member.kem_key_hash, member.signature_public_key), member.device_id)) {
        throw new QflareError("message.malformed", "a device id is not the hash of its keys");
      }
      members.set(toHex(member.device_id), member.signature_public_key);
    }
    this.#cohort = members;
  }

  /** In the order of device ids, so that the result does not depend on who was first. */
  get updates(): KeptUpdate[] {
    return [...this.#updates].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, update]) => update);
  }

  get missing(): Uint8Array[] {
    const ids = [...this.#cohort.keys()].filter((id) => !this.#updates.has(id)).sort();
    return ids.map((id) => Uint8Array.from(Buffer.from(id, "hex")));
  }

  /**
   * Checks that this device signed this manifest for this round and blob; throws the coded error where not, and nothing
   * changes. A second update of a device is the first one again or refused: one device, one vote.
   */
  admit(request: EnclaveRequest<"update">, blob: Uint8Array, keys: EnclaveKeys): Manifest {
    const manifest = manifestMessage.decode(request.manifest);
    const publicKey = this.#cohort.get(toHex(manifest.device_id));
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

  /** Opens the sealed delta and keeps it, or keeps the reason why it cannot be used. */
  async keep(manifest: Manifest, blob: Uint8Array, keys: EnclaveKeys): Promise<KeptUpdate> {
    const secretKey = this.#secretKeyFor(manifest, keys)!;
    const plaintext = await openUpdate(keys.suite, secretKey, manifest, blob);
    const isWhole = plaintext !== undefined && plaintext.length === 4 * this.base.length;
    if (!isWhole && plaintext !== undefined) wipe(plaintext);
    const update: KeptUpdate = {
      deviceId: manifest.device_id,
      examples: manifest.examples,
      delta: isWhole ? floatsFromBytes(plaintext) : undefined,
      reason: plaintext === undefined ? "update.unreadable" : isWhole ? undefined : "update.length",
    };
    this.#updates.set(toHex(manifest.device_id), update);
    return update;
  }

  /** Overwrites every opened update. */
  forget(): void {
    for (const update of this.#updates.values()) update.delta?.fill(0);
    this.#updates.clear();
  }
}
