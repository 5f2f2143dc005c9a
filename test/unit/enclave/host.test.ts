import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, u32be } from "../../../src/core/bytes.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { AuditChain } from "../../../src/enclave/chain.ts";
import type { Enclave } from "../../../src/enclave/enclave.ts";
import { serve } from "../../../src/enclave/host.ts";
import { enclaveRecord } from "../../../src/wire/audit.ts";
import { ENCLAVE_OPERATIONS, type EnclaveOperation, enclaveCall, enclaveReply } from "../../../src/wire/enclave.ts";
import { FRAME_MESSAGE, FRAME_PIECE, FrameReader, framesOf } from "../../../src/wire/frame.ts";
import { policyMessage } from "../../../src/wire/policy.ts";
import { seededRandom } from "../../support/clock.ts";
import { AT, enclaveOf, FIRST_MODEL, openingOf, policyOf } from "../../support/enclave.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("host");
const NOTHING = new Uint8Array(0);
const OPERATIONS = Object.keys(ENCLAVE_OPERATIONS) as EnclaveOperation[];

function callOf(operation: EnclaveOperation, body: Uint8Array, blob: Uint8Array = NOTHING): Uint8Array<ArrayBuffer> {
  const call = enclaveCall.encode({ operation, body: new Uint8Array(body), blob_length: blob.length });
  return concat(...framesOf(call, blob));
}

const OPEN = callOf("open", ENCLAVE_OPERATIONS.open.request.encode(openingOf(policyMessage.encode(policyOf()))));
const GENESIS = callOf("genesis", ENCLAVE_OPERATIONS.genesis.request.encode({ at: AT }), FIRST_MODEL);

async function* streamOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** What a host wrote, as replies with their blobs. */
async function replies(chunks: readonly Uint8Array[], enclave: Enclave = enclaveOf(random)) {
  const reader = new FrameReader(enclaveReply.decode);
  const out: { error: string | null; body: Uint8Array; blob: Uint8Array }[] = [];
  await serve(enclave, streamOf(...chunks), async (bytes) => {
    for (const { message, blob } of reader.read(bytes)) {
      out.push({ error: message.error?.code ?? null, body: message.body, blob });
    }
  });
  return out;
}

describe("the enclave's message loop", () => {
  it("answers calls in their order, however the stream is cut", async () => {
    const stream = concat(OPEN, GENESIS, GENESIS);
    const cuts = Array.from({ length: Math.ceil(stream.length / 7) }, (_, i) => stream.subarray(7 * i, 7 * i + 7));
    const [opened, first, second] = await replies(cuts);
    assert.equal(ENCLAVE_OPERATIONS.open.answer.decode(opened.body).isolation, "none");
    assert.equal(first.error, null);
    assert.deepEqual([second.error, second.body.length], ["enclave.state", 0]);
  });

  it("goes on after a call that fails, with its code and no body", async () => {
    const answers = await replies([callOf("attest", NOTHING), callOf("genesis", Uint8Array.of(0xff)), OPEN]);
    assert.deepEqual(
      answers.map(({ error }) => error),
      ["message.malformed", "message.malformed", null],
    );
  });

  it("ends quietly with the stream, also in the middle of a call", async () => {
    assert.deepEqual(await replies([]), []);
    assert.deepEqual(await replies([OPEN.subarray(0, 30)]), []);
    assert.equal((await replies([OPEN, GENESIS.subarray(0, -1)])).length, 1);
  });

  it("ends with a code where the stream is no frames, or frames out of order", async () => {
    const frame = (kind: number, payload: Uint8Array) =>
      concat(u32be(payload.length + 1), Uint8Array.of(kind), payload);
    const call = enclaveCall.encode({ operation: "genesis", body: Uint8Array.of(1), blob_length: 4 });
    const broken: readonly (readonly [Uint8Array, string])[] = [
      [u32be(0), "message.too_large"],
      [u32be(LIMITS.frameBytesMax + 1), "message.too_large"],
      [frame(FRAME_PIECE, NOTHING), "message.malformed"],
      [frame(9, NOTHING), "message.malformed"],
      [frame(FRAME_MESSAGE, Uint8Array.of(0xff)), "message.malformed"],
      [frame(FRAME_MESSAGE, new Uint8Array(40)), "message.malformed"],
      [concat(frame(FRAME_MESSAGE, call), frame(FRAME_MESSAGE, call)), "message.malformed"],
      [concat(frame(FRAME_MESSAGE, call), frame(FRAME_PIECE, new Uint8Array(5))), "message.length_mismatch"],
    ];
    for (const [bytes, code] of broken)
      await assert.rejects(replies([bytes, new Uint8Array(8)]), coded(code), hex(bytes));
  });

  it("answers any bytes in any operation with a code, and lives", async () => {
    const bodies = fc.tuple(
      fc.constantFrom(...OPERATIONS),
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(bodies, { maxLength: 5 }), async (calls) => {
        const stream = calls.map(([operation, body, blob]) => callOf(operation, body, blob));
        const answers = await replies([OPEN, GENESIS, ...stream]);
        assert.equal(answers.length, calls.length + 2);
        for (const { error } of answers.slice(2)) assert.equal(error, "message.malformed");
      }),
      { numRuns: 40 },
    );
  });
});

describe("the enclave's chain", () => {
  const happening = { at: 1, operation: "attest", round: 0, subject: new Uint8Array(32), outcome: "done" } as const;

  it("names each record by the hash of the one before, from zeros on", () => {
    const chain = new AuditChain();
    assert.equal(hex(chain.head), "0".repeat(64));
    const first = chain.append(happening);
    const second = chain.append({ ...happening, outcome: "again" });
    assert.equal(hex(enclaveRecord.decode(second).previous), hex(sha256(first)));
    assert.equal(hex(chain.head), hex(sha256(second)));
    assert.equal(chain.sequence, 2);
  });

  it("goes on from a stored head, and gives copies of it away", () => {
    const chain = new AuditChain({ audit_sequence: 7, audit_head: new Uint8Array(32).fill(7) });
    chain.head.fill(0);
    const record = enclaveRecord.decode(chain.append(happening));
    assert.deepEqual([record.sequence, hex(record.previous)], [7, "07".repeat(32)]);
  });
});
