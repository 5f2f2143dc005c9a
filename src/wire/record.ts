// Records: every request and answer of a session, sealed by AES-256-GCM.
//
//   nonce       iv XOR sequence number (u64 in its last 8 bytes)
//   associated  LP of: label, direction, method, path, session id, sequence u64, answered sequence u64, content type,
//               content length u64 (of what follows the record in the body)
//
// A record opens in its own place alone: another path, session, direction or position refuses it. An answer carries the
// sequence number of its request too, so that answers cannot be swapped.

import { u64be, utf8 } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { openAead, sealAead } from "../crypto/aead.ts";
import { AEAD_NONCE_BYTES } from "../crypto/aead-sizes.ts";
import type { RecordKeys } from "./handshake.ts";
import { gather, RECORD_CONTEXT } from "./transcript.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** HTTP header names of the protocol. */
export const HEADERS = {
  /** Session id, hexadecimal. */
  session: "qflare-session",
  /** Sequence number of the record, decimal. */
  sequence: "qflare-sequence",
  /** Device's confirmation, hexadecimal: on every request until the first answer arrives. */
  confirm: "qflare-confirm",
  /** The record itself, base64url, where the method has no body. */
  record: "qflare-record",
} as const;

export const RECORD_TYPE = "application/qflare-record";
export const SUBMIT_TYPE = "application/qflare-update";

export interface RecordPlace {
  readonly direction: "c2s" | "s2c";
  readonly method: string;
  readonly path: string;
  readonly sessionId: Uint8Array;
  readonly sequence: number;
  /** For an answer the sequence number of its request, for a request its own. */
  readonly answers: number;
  readonly contentType: string;
  readonly contentLength: number;
}

export function associatedData(place: RecordPlace): Bytes {
  return gather(RECORD_CONTEXT, {
    direction: utf8(place.direction),
    method: utf8(place.method),
    path: utf8(place.path),
    sessionId: place.sessionId,
    sequence: u64be(place.sequence),
    answers: u64be(place.answers),
    contentType: utf8(place.contentType),
    contentLength: u64be(place.contentLength),
  });
}

export function recordNonce(iv: Uint8Array, sequence: number): Bytes {
  const nonce = new Uint8Array(iv);
  const counter = u64be(sequence);
  for (let i = 0; i < counter.length; i++) nonce[AEAD_NONCE_BYTES - 8 + i]! ^= counter[i]!;
  return nonce;
}

export function sealRecord(keys: RecordKeys, place: RecordPlace, plaintext: Uint8Array): Bytes {
  return sealAead(keys.key, recordNonce(keys.iv, place.sequence), associatedData(place), plaintext);
}

/** undefined where the record was not sealed for this place. */
export function openRecord(keys: RecordKeys, place: RecordPlace, sealed: Uint8Array): Bytes | undefined {
  return openAead(keys.key, recordNonce(keys.iv, place.sequence), associatedData(place), sealed);
}

/**
 * Sequence numbers seen, as a window that slides (RFC 4303 section 3.4.3): each number is taken once, old ones never.
 */
export class SequenceWindow {
  readonly #bits = new Uint8Array(LIMITS.sequenceWindowBits);
  #highest = -1;

  /** Whether take would accept the number. Asked before the record is opened, so that a replay costs little. */
  isFresh(sequence: number): boolean {
    if (!Number.isSafeInteger(sequence) || sequence < 0 || sequence >= LIMITS.sessionRecordsMax) return false;
    if (sequence > this.#highest) return true;
    if (sequence <= this.#highest - LIMITS.sequenceWindowBits) return false;
    return this.#bits[sequence % LIMITS.sequenceWindowBits] === 0;
  }

  /** Called after the record has opened: a forged number must not move the window. */
  take(sequence: number): boolean {
    if (!this.isFresh(sequence)) return false;
    if (sequence > this.#highest) {
      const skipped = Math.min(sequence - this.#highest, LIMITS.sequenceWindowBits);
      for (let i = 0; i < skipped; i++) this.#bits[(sequence - i) % LIMITS.sequenceWindowBits] = 0;
      this.#highest = sequence;
    }
    this.#bits[sequence % LIMITS.sequenceWindowBits] = 1;
    return true;
  }
}
