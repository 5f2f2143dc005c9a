// Models: the file (safetensors, 32-bit floats without gaps), the enclave's signed statement about it, and the sealed
// form in which it is stored and distributed.

import { fromUtf8, lengthPrefixed, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { floatsFromBytes } from "../core/floats.ts";
import { LIMITS } from "../core/limits.ts";
import type { Random } from "../core/ports.ts";
import { bytes, list, message, type Of, uint } from "../core/shape.ts";
import { open, seal } from "../crypto/chunked-seal.ts";
import { BLOB_DIGEST_BYTES } from "../crypto/merkle.ts";
import { LABELS } from "./labels.ts";
import { RUN_ID_BYTES } from "./policy.ts";

/**
 * base_digest: the model that the round started from, zeros for the first. report_digest: SHA-256 of the round's
 * report.
 */
export const modelStatement = message("model statement", 1024, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  round: uint(0, LIMITS.roundsMax),
  model_digest: bytes(BLOB_DIGEST_BYTES),
  model_length: uint(8, LIMITS.modelBytesMax),
  base_digest: bytes(BLOB_DIGEST_BYTES),
  report_digest: bytes(32),
  policy_hash: bytes(32),
  epoch: uint(1),
});

export type ModelStatement = Of<typeof modelStatement.shape>;

const LENGTH_BYTES = 8;
const HEADER_BYTES_MAX = 2 ** 20;

/** Splits a safetensors file: u64 little-endian header length, JSON header, data. Throws model.malformed. */
export function splitModel(file: Uint8Array): { head: Uint8Array; parameters: Float32Array<ArrayBuffer> } {
  if (file.length < LENGTH_BYTES) throw new QflareError("model.malformed", "expected a safetensors header");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerLength = view.getBigUint64(0, true);
  if (headerLength > HEADER_BYTES_MAX || LENGTH_BYTES + Number(headerLength) > file.length) {
    throw new QflareError("model.malformed", `its header claims ${headerLength} bytes`);
  }
  const dataStart = LENGTH_BYTES + Number(headerLength);
  if ((file.length - dataStart) % 4 !== 0) throw new QflareError("model.malformed", "expected whole 32-bit floats");
  return { head: file.subarray(0, dataStart), parameters: floatsFromBytes(file.subarray(dataStart)) };
}

const tensorSpan = list(uint(0, LIMITS.modelBytesMax), 2, 2);

/** Values of each tensor in the order of the file, from its head. Throws model.malformed. */
export function layersOfModel(head: Uint8Array): number[] {
  try {
    const header = JSON.parse(fromUtf8(head.subarray(LENGTH_BYTES))) as Record<string, { data_offsets?: unknown }>;
    const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
    const spans = tensors.map(([name, tensor]) => tensorSpan.read(tensor.data_offsets, name) as [number, number]);
    spans.sort(([a], [b]) => a - b);
    return spans.flatMap(([start, end]) => (end === start ? [] : [(end - start) / 4]));
  } catch (cause) {
    throw new QflareError("model.malformed", "its header does not name its layers", { cause });
  }
}

function modelContext(modelDigest: Uint8Array): Uint8Array {
  return lengthPrefixed(utf8(LABELS.model), modelDigest);
}

/** contentKey: 32 random bytes of this model alone; devices get it inside a session, caches and stores never. */
export function sealModel(
  contentKey: Uint8Array,
  modelDigest: Uint8Array,
  file: Uint8Array,
  random: Random,
): Uint8Array<ArrayBuffer> {
  return seal(contentKey, modelContext(modelDigest), file, random);
}

/** Throws model.malformed where the blob does not open. */
export function openModel(contentKey: Uint8Array, modelDigest: Uint8Array, blob: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = open(contentKey, modelContext(modelDigest), blob);
  if (file === undefined) throw new QflareError("model.malformed", "its blob does not open under its content key");
  return file;
}
