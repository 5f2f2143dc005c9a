// The messages of ETSI GS QKD 014 V1.1.1, section 6: what a key management entity (KME) and the applications at its
// door, the secure application entities (SAE), say to each other in JSON. The master asks its KME for a key, the slave
// asks its own for the same key by name.

import { QflareError } from "../core/error.ts";
import { entriesOf, list, type Of, object, type Shape, text, uint } from "../core/shape.ts";

/** Section 5.1: names of SAEs stand in paths. */
export const SAE_PATTERN = /^[A-Za-z0-9._-]+$/;
export const SAE_LENGTH_MAX = 64;
/** Section 6.3: a UUID, RFC 4122. */
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const KEY_ID_LENGTH = 36;
const KEY_BYTES_MAX = 1024;
export const KEYS_MAX = 128;
export const BODY_BYTES_MAX = 256 * 1024;

const sae = text(SAE_LENGTH_MAX, SAE_PATTERN);
export const keyIdShape = text(KEY_ID_LENGTH, UUID_PATTERN);

/** Table 9. Sizes in bits. */
export const statusShape = object({
  source_KME_ID: text(SAE_LENGTH_MAX),
  target_KME_ID: text(SAE_LENGTH_MAX),
  master_SAE_ID: sae,
  slave_SAE_ID: sae,
  key_size: uint(8, 8 * KEY_BYTES_MAX),
  stored_key_count: uint(),
  max_key_count: uint(),
  max_key_per_request: uint(),
  max_key_size: uint(8),
  min_key_size: uint(8),
  max_SAE_ID_count: uint(),
});
export type KmeStatus = Of<typeof statusShape>;

/** Table 10, for a single slave. size in bits. */
export const keyRequestShape = object({ number: uint(1, KEYS_MAX), size: uint(8, 8 * KEY_BYTES_MAX) });

/** Table 12. */
export const keyIdsShape = object({ key_IDs: list(object({ key_ID: keyIdShape }), 1, KEYS_MAX) });

/** Table 14. key: base64. */
export const keysShape = object({
  keys: list(object({ key_ID: keyIdShape, key: text(4 * Math.ceil(KEY_BYTES_MAX / 3)) }), 1, KEYS_MAX),
});

/** Table 15. */
export const refusalShape = object({ message: text(1024) });

export function keysPath(peer: string, what: "status" | "enc_keys" | "dec_keys"): string {
  return `/api/v1/keys/${peer}/${what}`;
}

/**
 * Reads JSON, passing over members that the standard leaves to vendors. defaults: for optional members. Throws
 * qkd.malformed with the place of what does not fit.
 */
export function readJson<T>(shape: Shape<T>, body: string, what: string, defaults: object = {}): T {
  try {
    const value: unknown = JSON.parse(body);
    return shape.read(
      known(shape, entriesOf(value) === undefined ? value : { ...defaults, ...(value as object) }),
      what,
    );
  } catch (cause) {
    const reason = cause instanceof QflareError ? cause.message : "it is no JSON";
    throw new QflareError("qkd.malformed", reason, { cause });
  }
}

/** The value without the members that the shape does not name. */
function known(shape: Shape<unknown>, value: unknown): unknown {
  if (Array.isArray(value)) return shape.inner === undefined ? value : value.map((item) => known(shape.inner!, item));
  const entries = entriesOf(value);
  if (entries === undefined || !("fields" in shape)) return value;
  const fields = shape.fields as Readonly<Record<string, Shape<unknown>>>;
  const named = entries.filter(([name]) => Object.hasOwn(fields, name));
  return Object.fromEntries(named.map(([name, inner]) => [name, known(fields[name]!, inner)]));
}
