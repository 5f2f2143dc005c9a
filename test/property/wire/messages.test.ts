import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { QflareError } from "../../../src/core/error.ts";
import type { Message } from "../../../src/core/shape.ts";
import { auditEntry, enclaveRecord } from "../../../src/wire/audit.ts";
import { answerMessage, challengeAnswer, challengeRequest, helloMessage } from "../../../src/wire/challenge.ts";
import { ENCLAVE_OPERATIONS, enclaveCall, enclaveReply } from "../../../src/wire/enclave.ts";
import { enrollAnswer, enrolledMessage, enrollMessage, enrollRequest } from "../../../src/wire/enroll.ts";
import { identityMessage } from "../../../src/wire/identity.ts";
import { modelStatement } from "../../../src/wire/model.ts";
import { policyMessage } from "../../../src/wire/policy.ts";
import { receiptAnswer, receiptMessage } from "../../../src/wire/receipt.ts";
import { rekeyAnswer, rekeyedMessage, rekeyMessage, rekeyRequest } from "../../../src/wire/rekey.ts";
import { reportMessage } from "../../../src/wire/report.ts";
import { resumeAnswer, resumeChallengeAnswer, resumeHello, resumeRequest } from "../../../src/wire/resume.ts";
import { rotationAnnouncement, rotationMessage, rotationsAnswer } from "../../../src/wire/rotation.ts";
import { manifestMessage, submitMessage } from "../../../src/wire/update.ts";
import { workAnswer, workRequest } from "../../../src/wire/work.ts";
import { longestEncoding, valuesOf } from "../../support/from-schema.ts";

type AnyMessage = Message<unknown>;

const MESSAGES = [
  ...[auditEntry, enclaveRecord],
  ...[helloMessage, challengeRequest, answerMessage, challengeAnswer],
  ...[resumeHello, resumeRequest, resumeAnswer, resumeChallengeAnswer],
  ...[enrollMessage, enrollRequest, enrolledMessage, enrollAnswer],
  ...[rekeyMessage, rekeyRequest, rekeyedMessage, rekeyAnswer],
  ...[rotationMessage, rotationAnnouncement, rotationsAnswer],
  ...[identityMessage, modelStatement, policyMessage, receiptMessage, receiptAnswer, reportMessage],
  ...[manifestMessage, submitMessage, workRequest, workAnswer, enclaveCall, enclaveReply],
  ...Object.values(ENCLAVE_OPERATIONS).flatMap(({ request, answer }) => [request, answer]),
] as readonly AnyMessage[];

/** An envelope that holds an error or a body, never both. */
const EITHER: ReadonlySet<string> = new Set(["enclave reply"]);

describe("every message", () => {
  it("has a name of its own", () => {
    assert.equal(new Set(MESSAGES.map(({ name }) => name)).size, MESSAGES.length);
  });

  for (const message of MESSAGES) {
    const values = valuesOf(message.shape.schema);

    it(`"${message.name}" comes back as it was`, () => {
      fc.assert(
        fc.property(values, (value) => {
          const encoded = message.encode(value);
          assert.ok(encoded.length <= message.bytesMax);
          assert.deepEqual(message.decode(encoded), value);
        }),
        { numRuns: 30 },
      );
    });

    it(`"${message.name}" with bytes altered, cut, added or moved is refused with a code or is a message`, () => {
      fc.assert(
        fc.property(values, mutations, (value, mutate) => {
          const mutated = mutate(message.encode(value));
          try {
            const decoded = message.decode(mutated);
            assert.ok(Buffer.compare(message.encode(decoded), mutated) === 0, "two encodings of one message");
          } catch (error) {
            assert.ok(error instanceof QflareError, String(error));
          }
        }),
        { numRuns: 150 },
      );
    });

    if (!EITHER.has(message.name)) {
      it(`"${message.name}" can be written no longer than it is read`, () => {
        const longest = longestEncoding(message.shape.schema);
        assert.ok(longest <= message.bytesMax, `up to ${longest} bytes written, ${message.bytesMax} read`);
      });
    }
  }

  it("is no other message in disguise", () => {
    for (const message of MESSAGES) {
      const [value] = fc.sample(valuesOf(message.shape.schema), { numRuns: 1, seed: 7 });
      const encoded = message.encode(value);
      const readers = MESSAGES.filter((other) => isReadBy(other, encoded));
      assert.deepEqual(
        readers.map(({ name }) => name).filter((name) => !isAlike(name, message.name)),
        [message.name].filter((name) => !isAlike(name, message.name)),
      );
    }
  });
});

/** Same members on purpose. */
const ALIKE: readonly (readonly string[])[] = [
  // Their signatures stand under contexts of their own.
  ["enroll answer", "challenge request", "rekey answer"],
  // Both sign a model; an enclave answers in the order of its requests, on a way that nobody else writes to.
  ["genesis answer", "adopt answer"],
];

function isAlike(a: string, b: string): boolean {
  return a === b || ALIKE.some((names) => names.includes(a) && names.includes(b));
}

function isReadBy(message: AnyMessage, encoded: Uint8Array): boolean {
  try {
    message.decode(encoded);
    return true;
  } catch {
    return false;
  }
}

type Mutation = (bytes: Uint8Array) => Uint8Array;

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
/** The front holds heads and names: most of what a reader decides. */
const nearFront = place.map((x) => x ** 4);

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(nearFront, fc.integer({ min: 1, max: 255 })).map(
    ([at, mask]): Mutation =>
      (bytes) => {
        const out = bytes.slice();
        out[Math.floor(at * out.length)] ^= mask;
        return out;
      },
  ),
  place.map(
    (at): Mutation =>
      (bytes) =>
        bytes.slice(0, Math.floor(at * bytes.length)),
  ),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map(
    (more): Mutation =>
      (bytes) =>
        Buffer.concat([bytes, more]),
  ),
  fc.tuple(nearFront, fc.uint8Array({ maxLength: 9 })).map(
    ([at, put]): Mutation =>
      (bytes) => {
        const edge = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, edge), put, bytes.subarray(edge)]);
      },
  ),
  fc.tuple(nearFront, fc.nat(9)).map(
    ([at, count]): Mutation =>
      (bytes) => {
        const edge = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, edge), bytes.subarray(edge + count)]);
      },
  ),
  fc.uint8Array({ maxLength: 60 }).map(
    (bytes): Mutation =>
      () =>
        bytes,
  ),
);
