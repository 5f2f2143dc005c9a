// Protected requests: from HTTP headers and a record to an authenticated session, and back.

import type { FastifyReply, FastifyRequest } from "fastify";
import { fromBase64Url, fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { HEADERS, openRecord, RECORD_TYPE, type RecordPlace, sealRecord } from "../wire/record.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SEQUENCE = /^(0|[1-9][0-9]{0,15})$/;

export interface Opened {
  readonly session: Session;
  readonly plaintext: Bytes;
  /** Where the request's record stood. */
  readonly place: RecordPlace;
}

export interface Sealed {
  readonly record: Uint8Array;
  readonly contentType: string;
  /** Bytes of the body behind the record. */
  readonly contentLength: number;
}

/** Throws session.refused for anything that is not a fresh record of a live session in its own place. */
export async function openProtected(sessions: Sessions, request: FastifyRequest, sealed: Sealed): Promise<Opened> {
  const sessionId = fromHex(header(request, HEADERS.session));
  const sequenceText = header(request, HEADERS.sequence);
  const confirm = request.headers[HEADERS.confirm];
  if (sessionId === undefined || !SEQUENCE.test(sequenceText)) throw new QflareError("session.refused");
  const confirmation = typeof confirm === "string" ? (fromHex(confirm) ?? new Uint8Array(0)) : undefined;
  const sequence = Number(sequenceText);
  const session = sessions.use(sessionId, confirmation);
  const place: RecordPlace = {
    direction: "c2s",
    method: request.method,
    path: request.url,
    sessionId,
    sequence,
    answers: sequence,
    contentType: sealed.contentType,
    contentLength: sealed.contentLength,
  };
  const plaintext = session.window.isFresh(sequence)
    ? openRecord(session.keys.client, place, sealed.record)
    : undefined;
  if (plaintext === undefined || !session.window.take(sequence)) throw new QflareError("session.refused");
  session.recordBytes += sealed.record.length;
  await sessions.confirm(session);
  return { session, plaintext, place };
}

/** The record of a request without a body. */
export function headerRecord(request: FastifyRequest): Sealed {
  const record = fromBase64Url(header(request, HEADERS.record));
  if (record === undefined) throw new QflareError("session.refused");
  return { record, contentType: RECORD_TYPE, contentLength: 0 };
}

/**
 * Throws session.refused where the session was closed while the answer was made (sealed under wiped keys, anybody could
 * read it), or where its keys have sealed enough.
 */
export function sendProtected(reply: FastifyReply, { session, place }: Opened, plaintext: Uint8Array): FastifyReply {
  if (session.isClosed || session.isSpent) throw new QflareError("session.refused");
  const sequence = session.nextSequence++;
  const answerPlace: RecordPlace = {
    ...place,
    direction: "s2c",
    sequence,
    contentType: RECORD_TYPE,
    contentLength: 0,
  };
  const record = sealRecord(session.keys.server, answerPlace, plaintext);
  session.recordBytes += record.length;
  return reply.header(HEADERS.sequence, String(sequence)).type(RECORD_TYPE).send(Buffer.from(record.buffer));
}

function header(request: FastifyRequest, name: string): string {
  const value = request.headers[name];
  return typeof value === "string" ? value : "";
}
