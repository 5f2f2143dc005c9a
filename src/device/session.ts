// A session from the device's side, once it is settled: protected requests, and the ticket with which it goes on.

import { toBase64Url, toHex, u32be, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { AEAD_TAG_BYTES } from "../crypto/aead-sizes.ts";
import type { SuiteName } from "../crypto/suite.ts";
import { type SessionKeys, wipeSession } from "../wire/handshake.ts";
import {
  HEADERS,
  openRecord,
  RECORD_TYPE,
  type RecordPlace,
  SequenceWindow,
  SUBMIT_TYPE,
  sealRecord,
} from "../wire/record.ts";
import { errorOf, type HttpAnswer, type HttpCall, type Transport, Unreachable } from "./transport.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** New keys are made this long, and so many bytes, before the server would refuse the old ones. */
export const RENEWAL_MARGIN_MS = 60_000;
const RENEWAL_MARGIN_BYTES = 2 ** 20;

/** What a handshake, full or resumed, has settled. */
export interface Settled {
  readonly id: Bytes;
  readonly suite: SuiteName;
  readonly keys: SessionKeys;
  readonly confirmation: Bytes;
  /** End of these keys. */
  readonly expiresAtMs: number;
  /** When a full handshake is due. */
  readonly fullUntilMs: number;
  /** The server's signature key in this session. */
  readonly serverKey: Bytes;
  /** Whether a key held beforehand is mixed in; resumptions hand it on. */
  readonly hasPsk: boolean;
}

/** With it a session goes on under new keys, once. */
export interface DeviceTicket extends Pick<Settled, "id" | "suite" | "fullUntilMs" | "serverKey" | "hasPsk"> {
  readonly resumption: Bytes;
}

export class Session {
  readonly suite: SuiteName;
  readonly hasPsk: boolean;
  readonly #transport: Transport;
  readonly #settled: Settled;
  readonly #window = new SequenceWindow();
  /** Of the next request. */
  nextSequence = 0;
  /** Bytes of records, both ways. */
  recordBytes = 0;
  #isConfirmed = false;
  #isClosed = false;

  constructor(transport: Transport, settled: Settled) {
    this.#transport = transport;
    this.#settled = settled;
    this.suite = settled.suite;
    this.hasPsk = settled.hasPsk;
  }

  /** Whether new keys are due: these have sealed enough, or are old. */
  isDue(nowMs: number): boolean {
    const isSpent =
      this.nextSequence >= LIMITS.sessionRecordsMax - 1 ||
      this.recordBytes >= LIMITS.sessionBytesMax - RENEWAL_MARGIN_BYTES;
    return isSpent || nowMs >= this.#settled.expiresAtMs - RENEWAL_MARGIN_MS;
  }

  /** undefined until the server has confirmed the session: before that it keeps no ticket. */
  ticket(): DeviceTicket | undefined {
    if (!this.#isConfirmed || this.#isClosed) return undefined;
    const { id, suite, keys, fullUntilMs, serverKey, hasPsk } = this.#settled;
    return { id, suite, fullUntilMs, serverKey, hasPsk, resumption: new Uint8Array(keys.resumption) };
  }

  /** One protected request; blob follows the record in the body of a POST. Throws the server's coded error. */
  async call(
    method: "GET" | "POST",
    path: string,
    plaintext: Uint8Array,
    bytesMax: number,
    blob?: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Bytes> {
    this.#requireOpen();
    // Calls that were let in together may be more than the numbers that are left: each goes on in the next session.
    if (this.nextSequence >= LIMITS.sessionRecordsMax) throw new QflareError("session.refused");
    const place = this.#place(method, path, blob);
    const record = sealRecord(this.#settled.keys.client, place, plaintext);
    this.recordBytes += record.length;
    const headers: Record<string, string> = {
      [HEADERS.session]: toHex(this.#settled.id),
      [HEADERS.sequence]: String(place.sequence),
      ...(this.#isConfirmed ? {} : { [HEADERS.confirm]: toHex(this.#settled.confirmation) }),
    };
    const answer = await this.#transport.call({
      method,
      path,
      ...carried(method, headers, record, blob),
      bodyBytesMax: bytesMax + AEAD_TAG_BYTES,
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.status !== 200) throw errorOf(answer);
    return this.#open(place, answer);
  }

  #place(method: string, path: string, blob: Uint8Array | undefined): RecordPlace {
    const sequence = this.nextSequence++;
    return {
      direction: "c2s",
      method,
      path,
      sessionId: this.#settled.id,
      sequence,
      answers: sequence,
      contentType: blob === undefined ? RECORD_TYPE : SUBMIT_TYPE,
      contentLength: blob?.length ?? 0,
    };
  }

  #open(place: RecordPlace, answer: HttpAnswer): Bytes {
    this.#requireOpen();
    const sequence = Number(answer.headers[HEADERS.sequence] ?? Number.NaN);
    const answerPlace = { ...place, direction: "s2c", sequence, contentType: RECORD_TYPE, contentLength: 0 } as const;
    const plaintext = this.#window.isFresh(sequence)
      ? openRecord(this.#settled.keys.server, answerPlace, answer.body)
      : undefined;
    if (plaintext === undefined || !this.#window.take(sequence)) {
      throw new QflareError("server.identity", "its answer was not sealed in this session for this request");
    }
    this.recordBytes += answer.body.length;
    this.#isConfirmed = true;
    return plaintext;
  }

  /** Wiped keys are zeros, which anybody can seal with: a call that outlived its session is made again in another. */
  #requireOpen(): void {
    if (this.#isClosed) throw new Unreachable("the session was closed");
  }

  close(): void {
    this.#isClosed = true;
    wipeSession(this.#settled.keys);
    wipe(this.#settled.confirmation);
  }
}

/** Where the record travels: in a header of a GET, alone in the body of a POST, or before the blob. */
function carried(
  method: string,
  headers: Record<string, string>,
  record: Bytes,
  blob: Uint8Array | undefined,
): Pick<HttpCall, "headers" | "body"> {
  if (method === "GET") return { headers: { ...headers, [HEADERS.record]: toBase64Url(record) } };
  const contentType = blob === undefined ? RECORD_TYPE : SUBMIT_TYPE;
  const body = blob === undefined ? [record] : [u32be(record.length), record, blob];
  return { headers: { ...headers, "content-type": contentType }, body };
}
