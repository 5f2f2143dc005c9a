// What is hashed, signed, sealed and derived, part by part, as data. The code gathers its bytes by these tables and
// scripts/prove writes its models from them, so that what is proved is what runs.

import { concat, lengthPrefixed, utf8 } from "../core/bytes.ts";
import { LABELS } from "./labels.ts";

type Label = `qflare/v1 ${string}`;

/**
 * Parts in their order: a label, which stands for its own text, or the name of a value. The parts of an inner list
 * stand each behind its length (LP); a part outside is as it is, so its length must be fixed, else two inputs could
 * meet in the same bytes.
 */
export type Input = readonly (string | readonly string[])[];

type PartOf<T> = T extends readonly (infer Inner)[] ? Inner : T;

/** Names of the values that an input needs. */
export type ValueOf<I extends Input> = Exclude<PartOf<I[number]>, Label>;

/**
 * th1 covers the first message, th2 all that the server signs, th3 all that the device confirms. A resumption has a th1
 * and a th3 of its own and no signatures. SHA-384.
 */
export const TRANSCRIPT = {
  th1: [[LABELS.hello, "hello", "helloSignature"]],
  th2: ["th1", ["answer", "serverKey"]],
  th3: ["th2", ["answerSignature", "serverConfirmation"]],
  resumeTh1: [[LABELS.resumeHello, "hello", "binder"]],
  resumeTh3: ["th2", ["serverConfirmation"]],
} as const satisfies Record<string, Input>;

/**
 * HKDF-SHA-384. secrets: Extract takes them in this order; the salt of the first is empty, that of each further one is
 * Expand(last, step). master and keys: the info of the Expand that makes them.
 */
export const KEY_SCHEDULE = {
  secrets: ["psk", "ephemeralSecret", "staticSecret"],
  step: [LABELS.derived],
  master: [LABELS.master, "th2"],
  keys: {
    clientKey: [LABELS.clientKey, "th2"],
    clientIv: [LABELS.clientIv, "th2"],
    serverKey: [LABELS.serverKey, "th2"],
    serverIv: [LABELS.serverIv, "th2"],
    confirmDevice: [LABELS.confirmDevice, "th2"],
    confirmServer: [LABELS.confirmServer, "th2"],
    resumption: [LABELS.resumption, "th2"],
    exporter: [LABELS.exporter, "th2"],
  },
} as const;

/** In place of secrets, for a resumption. */
export const RESUME_SECRETS = ["resumption", "ephemeralSecret"] as const;

/** Info of the key that proves that the device holds the resumption secret, and what it is a MAC over. */
export const RESUME_BINDER = {
  key: [LABELS.resumeBinderKey],
  mac: [LABELS.resumeBinder, ["hello"]],
} as const satisfies Record<string, Input>;

/** What each end's confirmation is a MAC over, by confirmServer and confirmDevice. */
export const CONFIRMATIONS = { server: ["th2"], device: ["th3"] } as const satisfies Record<string, Input>;

/** HMAC-SHA-384 by the token's secret. */
export const ENROLL_MAC = [LABELS.enrollMac, ["message", "signature"]] as const satisfies Input;

/** SHA-256, of which 16 bytes are taken. */
export const DEVICE_ID = [LABELS.deviceId, ["kemKeyHash", "signatureKeyHash"]] as const satisfies Input;

/** Associated data of a record. */
export const RECORD_CONTEXT = [
  [
    LABELS.record,
    ...(["direction", "method", "path", "sessionId"] as const),
    ...(["sequence", "answers", "contentType", "contentLength"] as const),
  ],
] as const satisfies Input;

/** Context of a sealed update: it opens under the same values alone. */
export const UPDATE_CONTEXT = [
  [
    LABELS.update,
    ...(["run_id", "round", "device_id"] as const),
    ...(["base_digest", "policy_hash", "enclave_key_hash"] as const),
  ],
] as const satisfies Input;

/** The bytes of an input. */
export function gather<const I extends Input>(
  input: I,
  values: Readonly<Record<ValueOf<I>, Uint8Array>>,
): Uint8Array<ArrayBuffer> {
  const known = values as Readonly<Record<string, Uint8Array>>;
  const bytesOf = (part: string): Uint8Array => (isLabel(part) ? utf8(part) : known[part]!);
  return concat(
    ...input.map((part) => (typeof part === "string" ? bytesOf(part) : lengthPrefixed(...part.map(bytesOf)))),
  );
}

export function isLabel(part: string): part is Label {
  return part.startsWith("qflare/v1 ");
}
