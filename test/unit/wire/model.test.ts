import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, utf8 } from "../../../src/core/bytes.ts";
import { bytesFromFloats } from "../../../src/core/floats.ts";
import { blobDigest } from "../../../src/crypto/merkle.ts";
import { layersOfModel, openModel, sealModel, splitModel } from "../../../src/wire/model.ts";
import { policyHash, policyMessage } from "../../../src/wire/policy.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { hex } from "../crypto/hex.ts";

function lengthOf(value: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value, true);
  return out;
}

function fileOf(header: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(lengthOf(BigInt(header.length)), utf8(header), data);
}

const random = seededRandom("models");

describe("a model file", () => {
  it("names its layers in the order of their bytes, and is refused where it does not", () => {
    const headOf = (header: string) => splitModel(fileOf(header, new Uint8Array(0))).head;
    const span = (start: number, end: number) => ({ data_offsets: [start, end] });
    const header = { __metadata__: { a: "b" }, y: span(8, 24), x: span(0, 8), none: span(24, 24) };
    assert.deepEqual(layersOfModel(headOf(JSON.stringify(header))), [2, 4]);
    assert.deepEqual(layersOfModel(headOf("{}")), []);
    for (const bad of ["", "[1]", "null", '{"x":1}', '{"x":{"data_offsets":[0]}}', '{"x":{"data_offsets":[0,-4]}}']) {
      assert.throws(() => layersOfModel(headOf(bad)), coded("model.malformed"), bad);
    }
  });

  it("splits into head and parameters, which are all its bytes, whatever the alignment", () => {
    const floats = fc.array(fc.float({ noNaN: true }), { maxLength: 20 }).map((list) => Float32Array.from(list));
    const headers = fc.stringMatching(/^[ -~]{0,40}$/);
    fc.assert(
      fc.property(headers, floats, fc.nat(7), (header, parameters, shift) => {
        const file = fileOf(header, bytesFromFloats(parameters));
        const split = splitModel(concat(new Uint8Array(shift), file).subarray(shift));
        assert.deepEqual(split.parameters, parameters);
        assert.equal(hex(concat(split.head, bytesFromFloats(split.parameters))), hex(file));
      }),
    );
  });

  it("is refused with a code where its header's length is a lie", () => {
    const data = new Uint8Array(16);
    for (const length of [17n, 2n ** 20n + 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      assert.throws(
        () => splitModel(concat(lengthOf(length), data)),
        coded("model.malformed", /claims \d+ bytes$/),
        `${length}`,
      );
    }
    assert.doesNotThrow(() => splitModel(concat(lengthOf(16n), data)));
    for (let length = 0; length < 8; length++) {
      assert.throws(() => splitModel(new Uint8Array(length)), coded("model.malformed", /header$/));
    }
  });

  it("is refused where its data are no whole floats", () => {
    for (const length of [1, 2, 3, 5]) {
      assert.throws(() => splitModel(fileOf("{}", new Uint8Array(length))), coded("model.malformed", /whole 32-bit/));
    }
  });

  it("of random bytes splits or is refused with a code", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(40), (bytes, length) => {
        try {
          splitModel(concat(lengthOf(BigInt(length)), bytes));
        } catch (error) {
          assert.ok(coded("model.malformed")(error), String(error));
        }
      }),
    );
  });
});

describe("a sealed model", () => {
  const file = fileOf("{}", new Uint8Array(400));
  const digest = blobDigest(file);
  const key = random.bytes(32);

  it("opens under its key and digest, and under no other", () => {
    const blob = sealModel(key, digest, file, random);
    assert.equal(hex(openModel(key, digest, blob)), hex(file));
    assert.throws(() => openModel(random.bytes(32), digest, blob), coded("model.malformed"));
    assert.throws(() => openModel(key, random.bytes(32), blob), coded("model.malformed"));
    assert.throws(() => openModel(key, digest, blob.subarray(1)), coded("model.malformed"));
    assert.throws(() => openModel(key, digest, new Uint8Array(0)), coded("model.malformed"));
  });
});

describe("a policy", () => {
  const policy = {
    v: 1,
    run_id: new Uint8Array(32),
    suite: "QF2-HYBRID" as const,
    aggregation: '{"rule":"mean"}',
    updates_min: 3,
    parameters: 10,
    encoding: "f32" as const,
    norm_max: 1.5,
    weight_cap: 2,
  };

  it("has another hash for any other content", () => {
    const hash = (changed: Partial<typeof policy>) => hex(policyHash(policyMessage.encode({ ...policy, ...changed })));
    const hashes = [
      hash({}),
      hash({ run_id: new Uint8Array(32).fill(1) }),
      hash({ aggregation: '{"rule":"median"}' }),
      hash({ updates_min: 2 }),
      hash({ parameters: 11 }),
      hash({ norm_max: 1.25 }),
      hash({ weight_cap: 3 }),
    ];
    assert.equal(new Set(hashes).size, hashes.length);
    assert.equal(hash({}), hash({}));
  });

  it("is refused with bounds that mean nothing", () => {
    for (const wrong of [
      { updates_min: 0 },
      { parameters: 0 },
      { norm_max: -1 },
      { weight_cap: Number.NaN },
      { v: 2 },
    ]) {
      assert.throws(() => policyMessage.encode({ ...policy, ...wrong }), coded("message.malformed"));
    }
  });
});
