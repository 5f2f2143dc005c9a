// The policy of a run: what the enclave promises to do with updates. Its hash stands in the evidence, in each manifest
// and in each sealed update, so that an update opens under the policy that the device saw and no other.

import { LIMITS } from "../core/limits.ts";
import { bytes, float, message, type Of, oneOf, text, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { SUITE_NAMES } from "../crypto/suite.ts";

export const RUN_ID_BYTES = 32;
export const AGGREGATION_LENGTH_MAX = 8192;

/** aggregation: JSON text of the rule and what runs before it. updates_min: fewer are never aggregated. */
export const policyMessage = message("policy", 32_768, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  suite: oneOf(...SUITE_NAMES),
  aggregation: text(AGGREGATION_LENGTH_MAX),
  updates_min: uint(1, LIMITS.devicesPerRoundMax),
  parameters: uint(1, LIMITS.parametersMax),
  encoding: oneOf("f32"),
  norm_max: float(0),
  weight_cap: float(0),
});

export type Policy = Of<typeof policyMessage.shape>;

export function policyHash(encoded: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256(encoded);
}
