// FrodoKEM-640-AES (the salted variant) as the specification of 2023-03-14 reads: algorithms 12 to 14, one coefficient
// at a time, nothing of the product. Slow, and not safe against timing: for tests alone.

import { createCipheriv, createHash, randomBytes } from "node:crypto";

type Bytes = Uint8Array;
/** Coefficients modulo q, row by row. */
type Coefficients = number[];

const n = 640;
const nbar = 8;
const D = 15;
const q = 2 ** D;
const B = 2;
const SEED_A_BYTES = 16;
/** Of mu, s, k, pkh and the shared secret; seedSE and salt are twice as long. */
const MESSAGE_BYTES = 16;
const T_CHI = [4643, 13363, 20579, 25843, 29227, 31145, 32103, 32525, 32689, 32745, 32762, 32766, 32767];

export interface PlainKeyPair {
  readonly publicKey: Bytes;
  readonly secretKey: Bytes;
}

/** randomness: s, seedSE, z (64 bytes). */
export function generateKeyPair(randomness: Bytes = randomBytes(64)): PlainKeyPair {
  const s = randomness.subarray(0, 16);
  const seedSE = randomness.subarray(16, 48);
  const seedA = shake(16, randomness.subarray(48));
  const r = words(shake(2 * 2 * n * nbar, Uint8Array.of(0x5f), seedSE));
  const S = transpose(sampleMatrix(r.slice(0, n * nbar)), nbar, n);
  const E = sampleMatrix(r.slice(n * nbar));
  const b = pack(add(multiply(gen(seedA), S, n, n, nbar), E));
  const publicKey = Buffer.concat([seedA, b]);
  const pkh = shake(MESSAGE_BYTES, publicKey);
  return { publicKey, secretKey: Buffer.concat([s, publicKey, signedWords(transpose(S, n, nbar)), pkh]) };
}

/** randomness: mu, salt (48 bytes). */
export function encapsulate(
  publicKey: Bytes,
  randomness: Bytes = randomBytes(48),
): { ciphertext: Bytes; sharedSecret: Bytes } {
  const mu = randomness.subarray(0, 16);
  const salt = randomness.subarray(16);
  const { B1, C, k } = encrypt(publicKey, shake(MESSAGE_BYTES, publicKey), mu, salt);
  const ciphertext = Buffer.concat([pack(B1), pack(C), salt]);
  return { ciphertext, sharedSecret: shake(MESSAGE_BYTES, ciphertext, k) };
}

export function decapsulate(secretKey: Bytes, ciphertext: Bytes): Bytes {
  const s = secretKey.subarray(0, 16);
  const publicKey = secretKey.subarray(16, 16 + 9616);
  const S = transpose(readSigned(secretKey.subarray(16 + 9616, -16)), nbar, n);
  const pkh = secretKey.subarray(-16);
  const c1Bytes = (n * nbar * D) / 8;
  const B1 = unpack(ciphertext.subarray(0, c1Bytes));
  const C = unpack(ciphertext.subarray(c1Bytes, c1Bytes + (nbar * nbar * D) / 8));
  const M = add(C, negate(multiply(B1, S, nbar, n, nbar)));
  const again = encrypt(publicKey, pkh, decode(M), ciphertext.subarray(-32));
  const isSame = same(B1, again.B1) && same(C, again.C);
  return shake(MESSAGE_BYTES, ciphertext, isSame ? again.k : s);
}

function encrypt(
  publicKey: Bytes,
  pkh: Bytes,
  mu: Bytes,
  salt: Bytes,
): { B1: Coefficients; C: Coefficients; k: Bytes } {
  const seeds = shake(2 * MESSAGE_BYTES + MESSAGE_BYTES, pkh, mu, salt);
  const r = words(shake(2 * (2 * n + nbar) * nbar, Uint8Array.of(0x96), seeds.subarray(0, 32)));
  const S1 = sampleMatrix(r.slice(0, n * nbar));
  const E1 = sampleMatrix(r.slice(n * nbar, 2 * n * nbar));
  const E2 = sampleMatrix(r.slice(2 * n * nbar));
  const A = gen(publicKey.subarray(0, SEED_A_BYTES));
  const B1 = add(multiply(S1, A, nbar, n, n), E1);
  const V = add(multiply(S1, unpack(publicKey.subarray(SEED_A_BYTES)), nbar, n, nbar), E2);
  return { B1, C: add(V, encode(mu)), k: seeds.subarray(32) };
}

function shake(length: number, ...parts: Bytes[]): Bytes {
  return createHash("shake128", { outputLength: length }).update(Buffer.concat(parts)).digest();
}

/** Frodo.Gen with AES-128. */
function gen(seedA: Bytes): Coefficients {
  const blocks = Buffer.alloc(2 * n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j += 8) {
      blocks.writeUInt16LE(i, 2 * (i * n + j));
      blocks.writeUInt16LE(j, 2 * (i * n + j) + 2);
    }
  }
  const cipher = createCipheriv("aes-128-ecb", seedA, null).setAutoPadding(false);
  return words(cipher.update(blocks)).map((word) => word % q);
}

function words(bytes: Bytes): Coefficients {
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] + 256 * bytes[2 * i + 1]);
}

/** S is kept with its signs, as 16-bit words. */
function signedWords(values: Coefficients): Bytes {
  const out = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) out.writeInt16LE(value > q / 2 ? value - q : value, 2 * i);
  return out;
}

function readSigned(bytes: Bytes): Coefficients {
  return words(bytes).map((word) => word % q);
}

function sampleMatrix(r: Coefficients): Coefficients {
  return r.map((word) => {
    const t = word >> 1;
    const e = T_CHI.slice(0, -1).filter((bound) => t > bound).length;
    return word % 2 === 1 ? (q - e) % q : e;
  });
}

/** x of rows times inner, y of inner times columns. */
function multiply(x: Coefficients, y: Coefficients, rows: number, inner: number, columns: number): Coefficients {
  const out: Coefficients = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += x[i * inner + k] * y[k * columns + j];
      out.push(sum % q);
    }
  }
  return out;
}

function add(x: Coefficients, y: Coefficients): Coefficients {
  return x.map((value, i) => (value + y[i]) % q);
}

function negate(x: Coefficients): Coefficients {
  return x.map((value) => (q - value) % q);
}

function same(x: Coefficients, y: Coefficients): boolean {
  return x.every((value, i) => value === y[i]);
}

function transpose(x: Coefficients, rows: number, columns: number): Coefficients {
  return Array.from({ length: x.length }, (_, at) => x[(at % rows) * columns + Math.floor(at / rows)]);
}

/** D bits a coefficient, the most significant first. */
function pack(values: Coefficients): Bytes {
  const bits = values.map((value) => value.toString(2).padStart(D, "0")).join("");
  return Uint8Array.from(bits.match(/.{8}/g)!, (byte) => Number.parseInt(byte, 2));
}

function unpack(bytes: Bytes): Coefficients {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return Array.from(bits.match(new RegExp(`.{${D}}`, "g"))!, (value) => Number.parseInt(value, 2));
}

/** Two message bits a coefficient, the least significant first. */
function encode(mu: Bytes): Coefficients {
  return Array.from({ length: nbar * nbar }, (_, i) => ((mu[i >> 2] >> (2 * (i % 4))) % 2 ** B) * (q / 2 ** B));
}

function decode(M: Coefficients): Bytes {
  const out = new Uint8Array(MESSAGE_BYTES);
  for (const [i, value] of M.entries()) {
    out[i >> 2] |= (Math.floor((value * 2 ** B) / q + 0.5) % 2 ** B) << (2 * (i % 4));
  }
  return out;
}
