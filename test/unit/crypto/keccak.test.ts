import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { Keccak } from "../../../src/crypto/keccak.ts";

// Around the rates 136 and 168, and what FrodoKEM hashes.
const INPUTS = [0, 1, 7, 8, 15, 16, 33, 135, 136, 137, 167, 168, 169, 335, 336, 337, 9616, 15632];
const OUTPUTS = [1, 16, 48, 135, 136, 137, 168, 169, 1000, 20608];

for (const bits of [128, 256] as const) {
  test(`SHAKE${bits} agrees with node:crypto on every length around its rate`, () => {
    const keccak = new Keccak();
    for (const input of INPUTS.map((length) => randomBytes(length))) {
      for (const length of OUTPUTS) {
        const expected = createHash(`shake${bits}`, { outputLength: length }).update(input).digest("hex");
        const got = keccak.shake(bits, input, length);
        assert.equal(Buffer.from(got).toString("hex"), expected, `${input.length} to ${length} bytes`);
      }
    }
  });

  test(`SHAKE${bits} leaves neither input nor output nor state behind`, () => {
    const keccak = new Keccak();
    const empty = Buffer.from(keccak.room.bytes);
    const [input, length] = [randomBytes(3000), 3000];
    keccak.shake(bits, input, length);
    assert.ok(empty.equals(keccak.room.bytes));
  });
}

test("rows of A do not disturb a sponge that comes after them", () => {
  const keccak = new Keccak();
  const before = keccak.shake(128, new Uint8Array(40), 300);
  keccak.rows(640)(randomBytes(16))(new Uint8Array(4 * 2 * 640), 100);
  assert.deepEqual(keccak.shake(128, new Uint8Array(40), 300), before);
});

test("rows of A start anywhere and are SHAKE128 of their number and seedA", () => {
  const seedA = randomBytes(16);
  const out = new Uint8Array(4 * 2 * 1344);
  new Keccak().rows(1344)(seedA)(out, 1340);
  for (let i = 0; i < 4; i++) {
    const row = 1340 + i;
    const expected = createHash("shake128", { outputLength: 2 * 1344 })
      .update(Uint8Array.of(row & 255, row >> 8))
      .update(seedA)
      .digest();
    assert.ok(expected.equals(out.subarray(i * 2 * 1344, (i + 1) * 2 * 1344)), `row ${row}`);
  }
});
