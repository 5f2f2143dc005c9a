// Enrolment token: what an operator hands to one device out of band, as one printable string.
//
//   "qflare1_" base64url( id 8 | secret 24 | identity fingerprint 32 | name length u8 | name | URL | checksum 4 )
//
// The checksum (first bytes of SHA-256 over what precedes it) tells a mistyped token from a refused one. The secret
// never travels: enrolment sends a MAC under it.

import { concat, equal, fromBase64Url, fromUtf8, toBase64Url, utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { hmacSha384, sha256 } from "../crypto/hash.ts";
import { LABELS } from "./labels.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const TOKEN_ID_BYTES = 8;
const TOKEN_SECRET_BYTES = 24;
const FINGERPRINT_BYTES = 32;
const CHECKSUM_BYTES = 4;
const PREFIX = "qflare1_";
const FIXED_BYTES = TOKEN_ID_BYTES + TOKEN_SECRET_BYTES + FINGERPRINT_BYTES + 1 + CHECKSUM_BYTES;

export const DEVICE_NAME: RegExp = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/;

export interface Token {
  readonly id: Bytes;
  readonly secret: Bytes;
  readonly fingerprint: Bytes;
  readonly name: string;
  readonly url: string;
}

export function formatToken(token: Token): string {
  const name = utf8(token.name);
  const body = concat(token.id, token.secret, token.fingerprint, Uint8Array.of(name.length), name, utf8(token.url));
  const whole = concat(body, sha256(body).subarray(0, CHECKSUM_BYTES));
  const printed = PREFIX + toBase64Url(whole);
  wipe(body, whole);
  return printed;
}

/** Throws enroll.refused for anything but a whole token. */
export function parseToken(text: string): Token {
  const trimmed = text.trim();
  const raw = trimmed.startsWith(PREFIX) ? fromBase64Url(trimmed.slice(PREFIX.length)) : undefined;
  if (raw === undefined || raw.length < FIXED_BYTES || raw.length > FIXED_BYTES + 255 + LIMITS.urlLengthMax) {
    throw new QflareError("enroll.refused", `expected an enrolment token that starts with ${PREFIX}`);
  }
  const body = raw.subarray(0, raw.length - CHECKSUM_BYTES);
  if (!equal(sha256(body).subarray(0, CHECKSUM_BYTES), raw.subarray(body.length))) {
    throw new QflareError("enroll.refused", "the token is mistyped or cut off: its checksum differs");
  }
  let offset = 0;
  const take = (length: number): Bytes => {
    offset += length;
    return raw.slice(offset - length, offset);
  };
  const id = take(TOKEN_ID_BYTES);
  const secret = take(TOKEN_SECRET_BYTES);
  const fingerprint = take(FINGERPRINT_BYTES);
  const nameLength = take(1)[0]!;
  const name = textOf(take(nameLength));
  const url = textOf(body.subarray(offset));
  if (!DEVICE_NAME.test(name) || !isServerUrl(url)) {
    throw new QflareError("enroll.refused", "the token names no device or no server");
  }
  return { id, secret, fingerprint, name, url };
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}

function isServerUrl(url: string): boolean {
  return url.length <= LIMITS.urlLengthMax && /^https:\/\/[a-zA-Z0-9.[\]:-]+$/.test(url);
}

/** The server keeps no secret of a token: it derives it anew from its own key and the id. */
export function tokenSecret(pepper: Uint8Array, id: Uint8Array): Bytes {
  const mac = hmacSha384(pepper, utf8(LABELS.tokenSecret), id);
  const secret = concat(mac.subarray(0, TOKEN_SECRET_BYTES));
  wipe(mac);
  return secret;
}

/** What the registry stores. */
export function tokenHash(secret: Uint8Array): Bytes {
  return sha256(utf8(LABELS.tokenHash), secret);
}
