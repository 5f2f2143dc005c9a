import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concat, utf8 } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { initialParameters, type ModelDescription } from "../../../src/learning/model.ts";
import { decodeModel, encodeModel } from "../../../src/learning/model-file.ts";
import { decodeTensors, encodeTensors } from "../../../src/learning/safetensors.ts";

function file(header: string, data: Uint8Array, headerLength?: bigint): Uint8Array {
  const json = utf8(header);
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20);
  padded.set(json);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, headerLength ?? BigInt(padded.length), true);
  return concat(length, padded, data);
}

function entry(shape: readonly number[], start: number, end: number, dtype = "F32"): unknown {
  return { dtype, shape, data_offsets: [start, end] };
}

function assertRefused(bytes: Uint8Array, text: RegExp, read: (bytes: Uint8Array) => unknown = decodeTensors): void {
  assert.throws(
    () => read(bytes),
    (error) => {
      assert.ok(error instanceof QflareError, String(error));
      assert.equal(error.code, "model.malformed");
      assert.match(error.message, text);
      return true;
    },
  );
}

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
const names = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" }).filter((name) => name !== "__metadata__");
const files = fc.record({
  tensors: fc.uniqueArray(fc.tuple(names, shapes), { selector: ([name]) => name, maxLength: 5 }).map((list) =>
    list
      .filter(([name]) => !/^\d+$/.test(name)) // a JSON object puts whole numbers first, whatever their order
      .map(([name, shape]) => ({ name, shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5) })),
  ),
  metadata: fc.dictionary(
    names.filter((name) => name !== "__proto__"),
    fc.string(),
    { maxKeys: 3, noNullPrototype: true },
  ),
});
const models: fc.Arbitrary<ModelDescription> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("softmax" as const),
      inputs: fc.integer({ min: 1, max: 9 }),
      classes: fc.integer({ min: 2, max: 5 }),
    },
    { noNullPrototype: true },
  ),
  fc.record(
    {
      kind: fc.constant("mlp" as const),
      inputs: fc.integer({ min: 1, max: 9 }),
      hidden: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
      classes: fc.integer({ min: 2, max: 5 }),
    },
    { noNullPrototype: true },
  ),
);

/** Small images through layers of every kind that has parameters. */
const sequences: fc.Arbitrary<ModelDescription> = fc
  .record({
    channels: fc.integer({ min: 1, max: 3 }),
    kernel: fc.integer({ min: 1, max: 4 }),
    outputs: fc.integer({ min: 1, max: 9 }),
    loss: fc.constantFrom("cross-entropy" as const, "mse" as const),
  })
  .map(({ channels, kernel, outputs, loss }) => ({
    kind: "sequential",
    input: [channels, 6, 5],
    layers: [
      { kind: "group-norm", groups: channels },
      { kind: "conv2d", channels: outputs, kernel, stride: 1, padding: 0 },
      { kind: "layer-norm" },
      { kind: "flatten" },
      { kind: "dense", outputs: 2 },
    ],
    loss,
  }));

describe("safetensors", () => {
  it("gives back the tensors and metadata it was given, from aligned data", () => {
    fc.assert(
      fc.property(files, (tensorFile) => {
        const encoded = encodeTensors(tensorFile);
        assert.equal(new DataView(encoded.buffer).getUint8(0) % 8, 0);
        const decoded = decodeTensors(encoded);
        assert.deepEqual({ ...decoded.metadata }, { ...tensorFile.metadata });
        const byName = new Map(decoded.tensors.map((tensor) => [tensor.name, tensor]));
        assert.equal(byName.size, tensorFile.tensors.length);
        for (const tensor of tensorFile.tensors) assert.deepEqual(byName.get(tensor.name), tensor);
      }),
    );
  });

  it("reads a header whose tensors stand in another order than their bytes", () => {
    const header = JSON.stringify({ b: entry([1], 4, 8), a: entry([1], 0, 4) });
    const data = new Uint8Array(Float32Array.of(1, 2).buffer);
    assert.deepEqual(
      decodeTensors(file(header, data)).tensors.map(({ name, data }) => [name, ...data]),
      [
        ["a", 1],
        ["b", 2],
      ],
    );
  });

  it("refuses gaps, overlaps, trailing bytes and lengths that differ from the shape", () => {
    const refused = (header: unknown, bytes: number, text: RegExp) =>
      assertRefused(file(JSON.stringify(header), new Uint8Array(bytes)), text);
    refused({ a: entry([1], 4, 8) }, 8, /a to begin at 0, got 4/);
    refused({ a: entry([1], 0, 4), b: entry([1], 8, 12) }, 12, /b to begin at 4, got 8/);
    refused({ a: entry([2], 0, 8), b: entry([1], 4, 8) }, 8, /b to begin at 8, got 4/);
    refused({ a: entry([1], 0, 4), b: entry([1], 0, 4) }, 4, /b to begin at 4, got 0/);
    refused({ a: entry([1], 0, 4) }, 5, /expected 4 bytes of tensors, got 5/);
    refused({ a: entry([1], 0, 4) }, 3, /expected 4 bytes of tensors, got 3/);
    refused({ a: entry([2], 0, 4) }, 4, /expected 8 bytes of a, got 4/);
    refused({ a: entry([1], 4, 0) }, 4, /begin at 0, got 4/);
    refused({ a: entry([1e8, 1e8, 1e8], 0, 4) }, 4, /expected 4e\+24 bytes of a, got 4/);
  });

  it("refuses headers of another form", () => {
    const refused = (header: string, text: RegExp) => assertRefused(file(header, new Uint8Array(4)), text);
    const one = JSON.stringify(entry([1], 0, 4));
    refused(`{"a":${JSON.stringify(entry([1], 0, 4, "F16"))}}`, /expected "F32"/);
    refused(`{"a":${one},"a":${one}}`, /every key of the header once/);
    refused(`{"a":${one},"\\u0061":${one}}`, /every key of the header once/);
    refused(`{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, /every key/);
    refused(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, /no such member/);
    refused(`{"a":{"dtype":"F32","shape":[1]}}`, /the member to be there/);
    refused(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, /list of 2 to 2/);
    refused(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, /whole number/);
    refused(`{"__metadata__":{"x":1},"a":${one}}`, /text to text/);
    refused(`{"__metadata__":[],"a":${one}}`, /text to text/);
    refused(` {"a":${one}}`, /begins with \{/);
    refused("[]", /begins with \{/);
    refused("{", /JSON in UTF-8/);
    refused("", /JSON in UTF-8/);
    refused("[".repeat(200_000), /JSON in UTF-8/);
    refused(`{"${"x".repeat(200_000)}":1}`, /name of at most 256 characters, got 200000/);
  });

  it("refuses header lengths that are huge, not aligned or beyond the file", () => {
    const header = JSON.stringify({ a: entry([1], 0, 4) });
    for (const [length, text] of [
      [2n ** 64n - 1n, /at most/],
      [BigInt(LIMITS.modelHeaderBytesMax + 8), /at most/],
      [57n, /whole 8 bytes/],
      [8000n, /expected 8000 header bytes/],
      [0n, /JSON/],
    ] as const) {
      assertRefused(file(header, new Uint8Array(4), length), text);
    }
  });
});

describe("model file", () => {
  it("gives back the model, with the same bytes for the same model", () => {
    fc.assert(
      fc.property(fc.oneof(models, sequences), fc.integer({ min: 0, max: 1000 }), (description, seed) => {
        const parameters = initialParameters(description, seed);
        const encoded = encodeModel(description, parameters);
        const decoded = decodeModel(encoded);
        assert.deepEqual(decoded, { description, parameters });
        const reordered = Object.fromEntries(Object.entries(description).reverse()) as unknown as ModelDescription;
        assert.deepEqual(encodeModel(reordered, parameters), encoded);
      }),
    );
  });

  it("is refused, with a code, whatever bytes are changed, cut or added, unless it is a whole model again", () => {
    const description: ModelDescription = { kind: "mlp", inputs: 3, hidden: [2], classes: 2 };
    const encoded = encodeModel(description, initialParameters(description, 1));
    const decode = (bytes: Uint8Array): void => {
      try {
        const { description, parameters } = decodeModel(bytes);
        decodeModel(encodeModel(description, parameters));
      } catch (error) {
        assert.ok(error instanceof QflareError && error.code === "model.malformed", String(error));
      }
    };
    const position = fc.nat({ max: encoded.length - 1 });
    fc.assert(
      fc.property(position, fc.nat({ max: 255 }), (at, byte) => decode(encoded.with(at, byte))),
      { numRuns: 500 },
    );
    for (let length = 0; length < encoded.length; length++) {
      assertRefused(encoded.subarray(0, length), /expected/, decodeModel);
    }
    assertRefused(concat(encoded, new Uint8Array(4)), /bytes of tensors/, decodeModel);
  });

  it("refuses tensors that are not those of its description, and values that are not finite", () => {
    const softmax = { kind: "softmax", inputs: 2, classes: 2 };
    const weight = { name: "0.weight", shape: [2, 2], data: new Float32Array(4) };
    const bias = { name: "0.bias", shape: [2], data: new Float32Array(2) };
    const metadata = { "qflare.model": JSON.stringify(softmax) };
    const refused = (tensors: (typeof weight)[], text: RegExp, data: Record<string, string> = metadata) =>
      assertRefused(encodeTensors({ tensors, metadata: data }), text, decodeModel);
    refused([weight], /expected 2 tensors, got 1/);
    refused([weight, { ...bias, name: "1.bias" }], /expected a tensor 0\.bias/);
    refused([{ ...weight, shape: [4] }, bias], /expected 0\.weight of 2 x 2, got 4/);
    refused([weight, { ...bias, data: Float32Array.of(1, Number.NaN) }], /finite values in 0\.bias/);
    refused([weight, bias], /expected the description/, {});
    refused([weight, bias], /description of JSON/, { "qflare.model": "{" });
    refused([weight, bias], /every key of the description once/, {
      "qflare.model": '{"kind":"softmax","inputs":2,"classes":2,"classes":2}',
    });
    refused([weight, bias], /model\.kind/, { "qflare.model": "{}" });
  });
});
