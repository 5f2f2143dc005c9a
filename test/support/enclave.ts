// An enclave in this process with a run of its own, a small model, and devices that seal updates to it.

import { concat, utf8 } from "../../src/core/bytes.ts";
import { bytesFromFloats } from "../../src/core/floats.ts";
import type { Random } from "../../src/core/ports.ts";
import { sha256 } from "../../src/crypto/hash.ts";
import { blobDigest } from "../../src/crypto/merkle.ts";
import { signature } from "../../src/crypto/signature.ts";
import { Enclave } from "../../src/enclave/enclave.ts";
import { Vault } from "../../src/enclave/keys.ts";
import type { EnclaveAnswer, EnclaveRequest } from "../../src/wire/enclave.ts";
import { deviceId } from "../../src/wire/enroll.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { type Policy, policyHash, policyMessage } from "../../src/wire/policy.ts";
import { epochKeyHash, type Manifest, manifestMessage, sealUpdate } from "../../src/wire/update.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const PARAMETERS = 6;
export const AT = 1_750_000_000_000;
export const EPOCH_MS = 24 * 3_600_000;
const HEADER = "{}  ";

export function modelOf(parameters: readonly number[], header = HEADER): Bytes {
  const length = new Uint8Array(8);
  length[0] = header.length;
  return concat(length, utf8(header), bytesFromFloats(Float32Array.from(parameters)));
}

export const FIRST_MODEL: Bytes = modelOf([0, 1, 2, 3, 4, 5]);

export function policyOf(changed: Partial<Policy> = {}): Policy {
  return {
    v: 1,
    run_id: new Uint8Array(32).fill(5),
    suite: "QF2-HYBRID",
    aggregation: JSON.stringify({ rule: "mean" }),
    updates_min: 2,
    parameters: PARAMETERS,
    encoding: "f32",
    norm_max: 1000,
    weight_cap: 2,
    ...changed,
  };
}

/** A start of a run in epoch 1, unless the changes say otherwise. */
export function openingOf(policy: Bytes, changed: Partial<EnclaveRequest<"open">> = {}): EnclaveRequest<"open"> {
  const start = { epoch: 1, first_round: 1, valid_ms: EPOCH_MS };
  return { policy, resume: null, newest: null, start, at: AT, ...changed };
}

export interface TestDevice {
  readonly member: EnclaveRequest<"begin">["cohort"][number];
  readonly secretKey: Bytes;
}

export function deviceOf(random: Random): TestDevice {
  const { publicKey, secretKey } = signature("ML-DSA-44").generateKeyPair(random.bytes(32));
  const kemKeyHash = sha256(random.bytes(32));
  const id = deviceId(kemKeyHash, publicKey);
  return { member: { device_id: id, kem_key_hash: kemKeyHash, signature_public_key: publicKey }, secretKey };
}

export interface SignedModel {
  readonly statement: Bytes;
  readonly signature: Bytes;
  /** None for the first. */
  readonly report?: Bytes;
}

/** An open run: what a server knows of its enclave. */
export class TestRun {
  readonly enclave: Enclave;
  readonly policy: Policy;
  readonly random: Random;
  readonly opened: EnclaveAnswer<"open">;

  constructor(enclave: Enclave, policy: Policy, random: Random, opened: EnclaveAnswer<"open">) {
    this.enclave = enclave;
    this.policy = policy;
    this.random = random;
    this.opened = opened;
  }

  static async open(random: Random, changed: Partial<Policy> = {}): Promise<TestRun> {
    const enclave = enclaveOf(random);
    const policy = policyOf(changed);
    const opened = await enclave.open(openingOf(policyMessage.encode(policy)));
    return new TestRun(enclave, policy, random, opened);
  }

  devices(count: number): TestDevice[] {
    return Array.from({ length: count }, () => deviceOf(this.random));
  }

  begin(round: number, signed: SignedModel, file: Uint8Array, devices: readonly TestDevice[]) {
    const cohort = devices.map(({ member }) => member);
    const { statement, signature, report = null } = signed;
    return this.enclave.begin({ round, statement, signature, report, cohort, at: AT }, file);
  }

  manifest(device: TestDevice, round: number, file: Uint8Array): Omit<Manifest, "blob_digest" | "blob_length"> {
    return {
      v: 1,
      run_id: this.policy.run_id,
      round,
      device_id: device.member.device_id,
      base_digest: blobDigest(file),
      policy_hash: policyHash(policyMessage.encode(this.policy)),
      enclave_key_hash: epochKeyHash(this.opened.kem_public_key),
      encoding: "f32",
      examples: 10,
      sequence: round,
    };
  }

  async seal(place: Omit<Manifest, "blob_digest" | "blob_length">, delta: readonly number[]): Promise<Bytes> {
    const bytes = bytesFromFloats(Float32Array.from(delta));
    return await sealUpdate("QF2-HYBRID", this.opened.kem_public_key, place, bytes, this.random);
  }

  /** The request that goes with a blob; changed: members of the manifest as they are signed. */
  request(
    device: TestDevice,
    manifest: Omit<Manifest, "blob_digest" | "blob_length">,
    blob: Uint8Array,
    changed: Partial<Manifest> = {},
  ): EnclaveRequest<"update"> {
    const fields = { ...manifest, blob_digest: blobDigest(blob), blob_length: blob.length, ...changed };
    const encoded = manifestMessage.encode(fields);
    return {
      manifest: encoded,
      signature: signature("ML-DSA-44").sign(device.secretKey, encoded, CONTEXTS.update),
      at: AT,
    };
  }

  async send(device: TestDevice, round: number, file: Uint8Array, delta: readonly number[], examples = 10) {
    const manifest = { ...this.manifest(device, round, file), examples };
    const blob = await this.seal(manifest, delta);
    return await this.enclave.update(this.request(device, manifest, blob), blob);
  }
}

/** sealingKey: another number is another machine. */
export function enclaveOf(random: Random, sealingKey = 1): Enclave {
  return new Enclave(new Vault(new Uint8Array(32).fill(sealingKey), random), "none", new Uint8Array(32).fill(9));
}
