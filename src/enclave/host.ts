// The enclave's message loop over a byte stream: reads a call and its blob, runs the operation, writes the reply. One
// call at a time. A stream that breaks the frame format is closed; a call that fails gets its code.

import { type ErrorCode, QflareError } from "../core/error.ts";
import { Place } from "../core/place.ts";
import type { Of } from "../core/shape.ts";
import { ENCLAVE_OPERATIONS, type EnclaveOperation, enclaveCall, enclaveReply } from "../wire/enclave.ts";
import { FrameReader, framesOf } from "../wire/frame.ts";
import type { Enclave } from "./enclave.ts";

const DETAIL_LENGTH_MAX = 512;
const EMPTY = new Uint8Array(0);

type Call = Of<typeof enclaveCall.shape>;

interface Reply {
  readonly body: Uint8Array;
  readonly blob: Uint8Array;
}

/**
 * input: may use the bytes that it gave again when it is asked for more. Resolves when the input ends. Rejects on a
 * broken frame or an error that is not coded: the process then ends.
 */
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
    for (const part of framesOf(encoded, blobOut)) await write(part);
  }
}

/** A blob lies where the one before lay, and where the next will. */
async function* callsOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Call & { readonly blob: Uint8Array }> {
  const place = new Place();
  const reader = new FrameReader(enclaveCall.decode, ({ blob_length }) => place.of(blob_length));
  for await (const chunk of input) {
    for (const { message, blob } of reader.read(chunk)) yield { ...message, blob };
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
      return { body: of.attest.answer.encode(await enclave.attest(of.attest.request.decode(body))), blob: EMPTY };
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
