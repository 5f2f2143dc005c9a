// Reference values (RFC 9334): which program and which hardware measurements belong to a release, signed by whoever
// released it. A device's policy names the release key and takes measurements from such a file, not from a person.

import { equal, fromBase64Url, toBase64Url, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";
import { bytes, list, message, type Of, object, oneOf, text, uint } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { signature } from "../crypto/signature.ts";
import type { Binding } from "./binding.ts";
import type { Verdict } from "./evidence.ts";

export const REFERENCE_CONTEXT = "qflare/v1 reference values";
const MEASUREMENTS_MAX = 256;
// In base64, with key and signature, within LIMITS.referenceBytesMax.
const VALUES_BYTES_MAX = 32_768;
const HARDWARE = ["sev-snp", "tdx", "sgx", "nitro"] as const;

/**
 * program: SHA-256 of the file. node: version of Node that runs it. measurement: of a launched image, 32 or 48 bytes;
 * an image may have several, one for each shape of machine. not_after: milliseconds since 1970.
 */
export const referenceValues = message("reference values", VALUES_BYTES_MAX, {
  v: uint(1, 1),
  release: text(64),
  program: bytes(32),
  node: text(32),
  measurements: list(object({ tee: oneOf(...HARDWARE), measurement: bytes(32, 48) }), 0, MEASUREMENTS_MAX),
  not_after: uint(),
});

export type ReferenceValues = Of<typeof referenceValues.shape>;
export type Hardware = (typeof HARDWARE)[number];

export function isHardware(name: string): name is Hardware {
  return (HARDWARE as readonly string[]).includes(name);
}

export interface ReleaseKeys {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** Name of a release key: SHA-256 of the public key. */
export function releaseKeyHash(publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  return sha256(publicKey);
}

/** JSON with the values in hexadecimal beside their signed form, so that people and programs read one file. */
export function signReferenceValues(values: ReferenceValues, { publicKey, secretKey }: ReleaseKeys): string {
  const signed = referenceValues.encode(values);
  const shown = {
    release: values.release,
    program: toHex(values.program),
    node: values.node,
    measurements: values.measurements.map(({ tee, measurement }) => ({ tee, measurement: toHex(measurement) })),
    not_after: values.not_after,
    signed: toBase64Url(signed),
    release_key: toBase64Url(publicKey),
    signature: toBase64Url(signature("ML-DSA-44").sign(secretKey, signed, REFERENCE_CONTEXT)),
  };
  return `${JSON.stringify(shown, null, 2)}\n`;
}

/**
 * The signed values; what the file shows beside them is not looked at. Throws message.malformed for what is no such
 * file, evidence.refused where the signature is not by the key of that hash, does not hold, or the time is over.
 */
export function readReferenceValues(file: string, keyHash: Uint8Array, nowMs: number): ReferenceValues {
  const { signed, release_key, signature: signedBy } = readFile(file);
  const isKey = equal(releaseKeyHash(release_key), keyHash);
  if (!isKey || !signature("ML-DSA-44").verify(release_key, signed, signedBy, REFERENCE_CONTEXT)) {
    throw new QflareError("evidence.refused", "reference values: their signature is not by the release key");
  }
  const values = referenceValues.decode(signed);
  if (nowMs > values.not_after) throw new QflareError("evidence.refused", "reference values: they have expired");
  return values;
}

/** The file without what it shows beside its signed form. Throws message.malformed. */
export function toSignedForm(file: string): string {
  const { signed, release_key, signature: signedBy } = readFile(file);
  return JSON.stringify({
    signed: toBase64Url(signed),
    release_key: toBase64Url(release_key),
    signature: toBase64Url(signedBy),
  });
}

/** SHA-256 of the signed values, by which the audit log names them. Throws message.malformed. */
export function referenceDigest(file: string): Uint8Array<ArrayBuffer> {
  return sha256(readFile(file).signed);
}

/**
 * Why the release does not vouch for this enclave; undefined where it does: its program, and on hardware a measurement
 * that the release names for that kind.
 */
export function notOfRelease(
  values: ReferenceValues,
  { code_log_entry }: Binding,
  verdict: Verdict,
): string | undefined {
  const { tee, measurement } = verdict;
  const program = tee === "simulated" ? measurement : toHex(code_log_entry);
  if (!equal(code_log_entry, values.program) || program !== toHex(values.program)) {
    return `release ${values.release}: expected program ${toHex(values.program)}, got ${program}`;
  }
  const isMeasured = values.measurements.some((one) => one.tee === tee && toHex(one.measurement) === measurement);
  return tee === "simulated" || isMeasured ? undefined : `release ${values.release}: it names no ${tee} ${measurement}`;
}

function readFile(file: string): Record<"signed" | "release_key" | "signature", Uint8Array> {
  let members: Record<string, unknown> | null;
  try {
    members = parseJson(file) as typeof members;
  } catch (cause) {
    throw new QflareError("message.malformed", "reference values: expected JSON with every key once", { cause });
  }
  const read = (name: string): Uint8Array => {
    const value = members?.[name];
    const decoded = typeof value === "string" ? fromBase64Url(value) : undefined;
    if (decoded === undefined) throw new QflareError("message.malformed", `reference values: expected ${name}`);
    return decoded;
  };
  return { signed: read("signed"), release_key: read("release_key"), signature: read("signature") };
}
