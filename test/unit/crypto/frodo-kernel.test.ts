import assert from "node:assert/strict";
import { createCipheriv, createHash, randomFillSync } from "node:crypto";
import { test } from "node:test";
import { FrodoMemory } from "../../../src/crypto/frodo-kernel.ts";
import { FrodoMatrix } from "../../../src/crypto/frodo-matrix.ts";
import { FRODO } from "../../../src/crypto/frodo-parameters.ts";
import { KernelPrimitives } from "../../../src/crypto/kernel-primitives.ts";
import { NATIVE_PRIMITIVES } from "../../../src/crypto/native-primitives.ts";
import { decode, encode, type Matrix, mod, mulAdd, pack, rowsOf, sample, transpose } from "./frodo-twin.ts";

const memory = new FrodoMemory();
const { arithmetic } = memory;

/** One row of the table for each modulus, size and message width. */
const SETS = [FRODO["FrodoKEM-640-AES"], FRODO["FrodoKEM-976-AES"], FRODO["FrodoKEM-1344-AES"]];

function randomWords(count: number): Uint16Array<ArrayBuffer> {
  return randomFillSync(new Uint16Array(count));
}

/** Error samples as the kernel stores them, the extremes among them. */
function smallWords(count: number): Uint16Array<ArrayBuffer> {
  return randomWords(count).map((word, i) => (i % 97 === 0 ? 0xfff4 : (word % 25) - 12));
}

function signed(words: Uint16Array): number[] {
  return [...new Int16Array(words.buffer)];
}

function place(words: Uint16Array): number {
  const address = memory.reserve(words.byteLength);
  memory.words(address, words.length).set(words);
  return address;
}

function coefficients(address: number, columns: number, rows: number, D: number): number[][] {
  return rowsOf(
    Array.from(memory.words(address, rows * columns), (word) => mod(word, 2 ** D)),
    columns,
  );
}

/** Multiplies stripe by stripe, the last one shorter, as the engine does. */
function forEachStripe(n: number, visit: (rowFirst: number, rows: number) => void): void {
  for (let row = 0; row < n; row += 50) visit(row, Math.min(50, n - row));
}

for (const { n, D, B, cdf } of SETS) {
  const q = 2 ** D;

  test(`A S + E and S' A + E' agree with the slow products at n = ${n}`, () => {
    const [a, s, e] = [randomWords(n * n), smallWords(8 * n), smallWords(8 * n)];
    const [aAt, sAt, asAt, saAt] = [place(a), place(s), place(e), place(e)];
    const spread = memory.reserve(32 * 50);
    forEachStripe(n, (row, rows) => {
      arithmetic.mulAddAS(asAt + 16 * row, aAt + 2 * n * row, sAt, n, rows);
      arithmetic.mulAddSA(saAt, aAt + 2 * n * row, sAt + 2 * row, spread, n, rows);
    });
    const [A, S]: Matrix[] = [rowsOf(a, n), rowsOf(signed(s), n)];
    assert.deepEqual(coefficients(asAt, 8, n, D), mulAdd(A, transpose(S), rowsOf(signed(e), 8), q));
    assert.deepEqual(coefficients(saAt, n, 8, D), mulAdd(S, A, rowsOf(signed(e), n), q));
  });

  test(`S' B + E'' and C - B' S agree with the slow products at n = ${n}`, () => {
    const [b, s, e] = [randomWords(8 * n), smallWords(8 * n), smallWords(64)];
    const [bAt, sAt, vAt, cAt] = [place(b), place(s), place(e), place(e)];
    arithmetic.mulAddSB(vAt, sAt, bAt, n);
    const S = rowsOf(signed(s), n);
    assert.deepEqual(coefficients(vAt, 8, 8, D), mulAdd(S, rowsOf(b, 8), rowsOf(signed(e), 8), q));
    const mAt = memory.reserve(128);
    arithmetic.subBS(mAt, cAt, bAt, sAt, n);
    const minusB = rowsOf(b, n).map((row) => row.map((value) => -value));
    assert.deepEqual(coefficients(mAt, 8, 8, D), mulAdd(minusB, transpose(S), rowsOf(signed(e), 8), q));
  });

  test(`pack agrees with a string of ${D} bits a word, and unpack undoes it`, () => {
    const words = randomWords((n + 8) * 8);
    const at = place(words);
    const packed = memory.reserve((words.length * D) / 8);
    arithmetic.pack(packed, at, words.length, D);
    const reduced = Array.from(words, (word) => mod(word, q));
    assert.deepEqual([...memory.view(packed, (words.length * D) / 8)], pack(reduced, D));
    arithmetic.unpack(at, packed, words.length, D);
    assert.deepEqual([...memory.words(at, words.length)], reduced);
  });

  test(`the sampler agrees with the table on all 65,536 words at n = ${n}`, () => {
    const words = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const at = place(words);
    arithmetic.sample(at, words.length, place(Uint16Array.from(cdf)), cdf.length);
    const expected = Array.from(words, (word) => mod(sample(word, cdf), 65536));
    assert.deepEqual([...memory.words(at, words.length)], expected);
  });

  test(`a message of ${B} bits a coefficient is added as the specification encodes it`, () => {
    const mu = randomFillSync(new Uint8Array(8 * B));
    const c = randomWords(64);
    const [cAt, muAt] = [place(c), memory.reserve(8 * B + 1)];
    memory.load(muAt, mu);
    arithmetic.addEncoded(cAt, muAt, B, D);
    const expected = encode(mu, B, D).map((value, i) => mod(c[i] + value, q));
    assert.deepEqual(coefficients(cAt, 64, 1, D), [expected]);
  });

  test(`every coefficient decodes to the nearest of 2^${B} messages`, () => {
    const [cAt, muAt] = [memory.reserve(128), memory.reserve(8 * B + 1)];
    for (let first = 0; first < 65536; first += 64) {
      const words = Uint16Array.from({ length: 64 }, (_, i) => first + i);
      memory.words(cAt, 64).set(words);
      arithmetic.decode(muAt, cAt, B, D);
      const expected = Array.from(words, (word) => decode(mod(word, q), B, D) * 2 ** (D - B));
      assert.deepEqual(encode(memory.view(muAt, 8 * B), B, D), expected);
    }
  });

  test(`one differing bit in any word below 2^${D} selects the other value`, () => {
    const count = (n + 8) * 8;
    const x = randomWords(count);
    const [xAt, yAt] = [place(x), place(x)];
    const [k, s, out] = [place(randomWords(16)), place(randomWords(16)), memory.reserve(32)];
    const selected = (): string => {
      arithmetic.selectIfEqual(out, k, s, 32, xAt, yAt, count, D);
      const got = Buffer.from(memory.view(out, 32));
      return got.equals(memory.view(k, 32)) ? "k" : got.equals(memory.view(s, 32)) ? "s" : "neither";
    };
    assert.equal(selected(), "k");
    for (let i = 0; i < count; i += 13) {
      for (const bit of [0, i % D, D - 1]) {
        memory.words(yAt, count)[i] = x[i] ^ (1 << bit);
        assert.equal(selected(), "s", `word ${i}, bit ${bit}`);
      }
      memory.words(yAt, count)[i] = D === 16 ? x[i] : x[i] ^ 0x8000; // what lies above q does not count
      assert.equal(selected(), "k", `word ${i}`);
    }
  });
}

/** Rows of A, block by block and row by row. */
function slowRow(generator: "AES" | "SHAKE", seedA: Uint8Array, n: number, row: number): Buffer {
  const word = (value: number): number[] => [value & 255, value >> 8];
  if (generator === "SHAKE") {
    return createHash("shake128", { outputLength: 2 * n })
      .update(Uint8Array.from([...word(row), ...seedA]))
      .digest();
  }
  const cipher = createCipheriv("aes-128-ecb", seedA, null).setAutoPadding(false);
  const block = (column: number) =>
    cipher.update(Uint8Array.from([...word(row), ...word(column), ...Array(12).fill(0)]));
  return Buffer.concat(Array.from({ length: n / 8 }, (_, j) => block(8 * j)));
}

const PATHS = { "node:crypto": NATIVE_PRIMITIVES, "kernels alone": new KernelPrimitives() };
const NAMES = ["FrodoKEM-640-AES", "FrodoKEM-976-AES", "FrodoKEM-1344-AES", "FrodoKEM-640-SHAKE"] as const;

for (const [name, [path, primitives]] of NAMES.flatMap((name) =>
  Object.entries(PATHS).map((path) => [name, path] as const),
)) {
  test(`the stripes of A of ${name} by ${path} are its rows, each once and in order`, () => {
    const { n, generator } = FRODO[name];
    const own = new FrodoMemory();
    const matrix = new FrodoMatrix(own, FRODO[name], primitives);
    const seedA = randomFillSync(new Uint8Array(16));
    const seen: Buffer[] = [];
    matrix.visitOnce(seedA, (address, rowFirst, rows) => {
      assert.equal(rowFirst, seen.length);
      assert.ok(rows % 4 === 0 && rows <= matrix.stripeRowsMax);
      for (let i = 0; i < rows; i++) seen.push(Buffer.from(own.view(address + 2 * n * i, 2 * n)));
    });
    assert.equal(seen.length, n);
    for (let row = 0; row < n; row += row < n - 9 ? 31 : 1) {
      assert.ok(seen[row].equals(slowRow(generator, seedA, n, row)), `row ${row}`);
    }
    const whole = own.reserve(matrix.matrixBytes);
    matrix.make(seedA, whole);
    assert.ok(Buffer.concat(seen).equals(own.view(whole, matrix.matrixBytes)));
  });
}
