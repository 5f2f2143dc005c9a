// The enclave's message loop over a byte stream: reads a call and its blob, runs the operation, writes the reply. One
// call at a time. A stream that breaks the frame format is closed; a call that fails gets its code.

import { concat } from "../core/bytes.ts";
import { type ErrorCode, QflareError } from "../core/error.ts";
import { ENCLAVE_OPERATIONS, type EnclaveOperation, enclaveCall, enclaveReply } from "../wire/enclave.ts";
import { FRAME_MESSAGE, FRAME_PIECE, FrameReader, framesOf } from "../wire/frame.ts";
import type { Enclave } from "./enclave.ts";

const DETAIL_LENGTH_MAX = 512;
const EMPTY = new Uint8Array(0);

interface Reply {
  readonly body: Uint8Array;
  readonly blob: Uint8Array;
}

/** Resolves when the input ends. Rejects on a broken frame or an error that is not coded: the process then ends. */
export async function serve(
  enclave: Enclave,
  input: AsyncIterable<Uint8Array>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  for await (const { operation, body, blob } of callsOf(input)) {
    const reply = await answer(enclave, operation, body, blob);
    const blobOut = "error" in reply ? EMPTY : reply.blob;
    const encoded = enclaveReply.encode({
      error: "error" in reply ? reply.error : null,
      body: new Uint8Array("error" in reply ? EMPTY : reply.body),
      blob_length: blobOut.length,
    });
    for (const frame of framesOf(encoded, blobOut)) await write(frame);
  }
}

interface Call {
  readonly operation: EnclaveOperation;
  readonly body: Uint8Array;
  readonly blob: Uint8Array;
}

async function* callsOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Call> {
  const reader = new FrameReader();
  let open:
    | { operation: EnclaveOperation; body: Uint8Array; length: number; pieces: Uint8Array[]; got: number }
    | undefined;
  for await (const chunk of input) {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (open === undefined) {
        if (frame.kind !== FRAME_MESSAGE) throw new QflareError("message.malformed", "expected a message frame");
        const call = enclaveCall.decode(frame.payload);
        open = { operation: call.operation, body: call.body, length: call.blob_length, pieces: [], got: 0 };
      } else {
        if (frame.kind !== FRAME_PIECE) throw new QflareError("message.malformed", "expected a piece of the blob");
        open.pieces.push(frame.payload);
        open.got += frame.payload.length;
      }
      if (open.got > open.length) throw new QflareError("message.length_mismatch");
      if (open.got < open.length) continue;
      const { operation, body, pieces } = open;
      open = undefined;
      yield { operation, body, blob: pieces.length === 1 ? pieces[0]! : concat(...pieces) };
    }
  }
}

async function answer(
  enclave: Enclave,
  operation: EnclaveOperation,
  body: Uint8Array,
  blob: Uint8Array,
): Promise<Reply | { error: { code: ErrorCode; detail: string } }> {
  try {
    return await run(enclave, operation, body, blob);
  } catch (error) {
    if (!(error instanceof QflareError)) throw error;
    return { error: { code: error.code, detail: error.message.slice(0, DETAIL_LENGTH_MAX) } };
  }
}

async function run(enclave: Enclave, operation: EnclaveOperation, body: Uint8Array, blob: Uint8Array): Promise<Reply> {
  const of = ENCLAVE_OPERATIONS;
  switch (operation) {
    case "open":
      return { body: of.open.answer.encode(await enclave.open(of.open.request.decode(body))), blob: EMPTY };
    case "rotate":
      return { body: of.rotate.answer.encode(await enclave.rotate(of.rotate.request.decode(body))), blob: EMPTY };
    case "attest":
      return { body: of.attest.answer.encode(enclave.attest(of.attest.request.decode(body))), blob: EMPTY };
    case "genesis":
      return { body: of.genesis.answer.encode(enclave.genesis(of.genesis.request.decode(body), blob)), blob: EMPTY };
    case "adopt":
      return { body: of.adopt.answer.encode(enclave.adopt(of.adopt.request.decode(body), blob)), blob: EMPTY };
    case "begin":
      return { body: of.begin.answer.encode(enclave.begin(of.begin.request.decode(body), blob)), blob: EMPTY };
    case "update":
      return { body: of.update.answer.encode(await enclave.update(of.update.request.decode(body), blob)), blob: EMPTY };
    case "aggregate": {
      const { answer: result, model } = enclave.aggregate(of.aggregate.request.decode(body));
      return { body: of.aggregate.answer.encode(result), blob: model };
    }
  }
}
