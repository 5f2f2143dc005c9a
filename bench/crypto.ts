// Times of the key exchange and signatures beside two references of the same process. "openssl" is what one
// encapsulation of FrodoKEM-640-AES cannot do without, through node:crypto alone: AES-128-ECB of the 819,200 bytes of
// A and SHAKE128 of its 9,616 + 33 + 9,768 bytes. "liboqs" is the same operation by the npm package @oqs/liboqs-js.
// Ratios are of p50, below 1 where ours takes less. Hot has A in its cache, kernel is the browser's path. Arguments:
// part of a name, --rounds count, --json (one object a line), --native path of a liboqs.so built for this machine.

import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import {
  frodoKernelOperations,
  frodoOperations,
  mlKemOperations,
  signatureOperations,
} from "../src/cli/crypto-operations.ts";
import { type Figures, measure, type Operation } from "../src/cli/measure.ts";
import type { KemName } from "../src/crypto/kem.ts";
import { kemNames } from "../src/crypto/kem-table.ts";
import { SIGNATURE_SIZES, type SignatureName } from "../src/crypto/signature.ts";
import { LIBOQS_MISSING, type Liboqs, loadLiboqs } from "../test/support/liboqs.ts";
import { nativeKem } from "./support/native-liboqs.ts";

const OPENSSL = "openssl";
const LIBOQS = "liboqs ";
const NATIVE = "native liboqs ";
const SIGNATURES = Object.keys(SIGNATURE_SIZES) as SignatureName[];

function openSslOperation(): Operation {
  const blocks = randomBytes(2 * 640 * 640);
  const key = randomBytes(16);
  const hashed = [
    { input: randomBytes(9616), outputLength: 16 }, // pkh
    { input: randomBytes(1 + 32), outputLength: 2 * (2 * 640 + 8) * 8 }, // S', E', E''
    { input: randomBytes(9752 + 16), outputLength: 16 }, // shared secret
  ];
  const run = (): void => {
    const encrypted = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(blocks);
    encrypted.buffer.transfer(0);
    for (const { input, outputLength } of hashed) createHash("shake128", { outputLength }).update(input).digest();
  };
  return { name: OPENSSL, run };
}

function ourOperations(name: KemName): Operation[] {
  if (name === "ML-KEM-768" || name === "ML-KEM-1024") return mlKemOperations(name);
  return [...frodoOperations(name), ...frodoKernelOperations(name)];
}

async function liboqsKem(liboqs: Liboqs, name: KemName): Promise<Operation[]> {
  const kem = await liboqs.kem(name);
  const { publicKey, secretKey } = kem.generateKeyPair();
  const { ciphertext } = kem.encapsulate(publicKey);
  return [
    { name: `${LIBOQS}${name} generate key pair`, run: () => kem.generateKeyPair() },
    { name: `${LIBOQS}${name} encapsulate`, run: () => kem.encapsulate(publicKey) },
    { name: `${LIBOQS}${name} decapsulate`, run: () => kem.decapsulate(ciphertext, secretKey) },
  ];
}

async function liboqsSignature(liboqs: Liboqs, name: string): Promise<Operation[]> {
  const scheme = await liboqs.signature(name);
  const { publicKey, secretKey } = scheme.generateKeyPair();
  const message = new Uint8Array(64);
  const signed = scheme.sign(message, secretKey);
  return [
    { name: `${LIBOQS}${name} generate key pair`, run: () => scheme.generateKeyPair() },
    { name: `${LIBOQS}${name} sign`, run: () => scheme.sign(message, secretKey) },
    { name: `${LIBOQS}${name} verify`, run: () => scheme.verify(message, signed, publicKey) },
  ];
}

/** What an operation of ours is held against: the same verb of the same algorithm, hot or cold. */
function counterpart(whose: string, name: string): string {
  return `${whose}${name.replace(/ (?:hot|kernel)\b/g, "")}`;
}

function print(json: boolean, item: Figures, all: readonly Figures[]): void {
  const ratioTo = (name: string): number => item.p50 / (all.find((other) => other.name === name)?.p50 ?? Number.NaN);
  const ratios = {
    openssl: ratioTo(OPENSSL),
    liboqs: ratioTo(counterpart(LIBOQS, item.name)),
    native: ratioTo(counterpart(NATIVE, item.name)),
  };
  if (json) {
    console.log(JSON.stringify({ ...item, unit: "us", ratio: ratios }));
    return;
  }
  const times = [item.min, item.p50, item.p95].map((us) => us.toFixed(1).padStart(9)).join("");
  const rest = [item.spread, ratios.openssl, ratios.liboqs, ratios.native]
    .map((ratio) => cell(ratio).padStart(9))
    .join("");
  console.log(`${item.name.padEnd(52)}${times}${rest}`);
}

function cell(ratio: number): string {
  if (Number.isNaN(ratio)) return "";
  return ratio < 0.1 ? ratio.toFixed(3) : ratio.toFixed(2);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "100" },
      native: { type: "string" },
    },
  });
  const isWanted = (name: string): boolean => name.includes(positionals[0] ?? "");
  const liboqs = await loadLiboqs();
  if (liboqs === undefined) console.error(`no ratio to liboqs: ${LIBOQS_MISSING}`);
  const titles = ["min", "p50", "p95", "p95/p50", "/openssl", "/liboqs", "/native"]
    .map((title) => title.padStart(9))
    .join("");
  if (!values.json) console.log(`${"microseconds".padEnd(52)}${titles}`);
  const report = (operations: readonly Operation[]): void => {
    const all = measure(operations, Number(values.rounds));
    for (const item of all) print(values.json, item, all);
  };
  for (const name of kemNames().filter(isWanted)) {
    const reference = name.includes("Frodo") ? [openSslOperation()] : [];
    const native = values.native === undefined ? [] : nativeKem(values.native, NATIVE, name);
    report([...reference, ...ourOperations(name), ...native, ...(liboqs ? await liboqsKem(liboqs, name) : [])]);
  }
  for (const name of SIGNATURES.filter(isWanted)) {
    report([...signatureOperations(name), ...(liboqs ? await liboqsSignature(liboqs, name) : [])]);
  }
}

await main();
