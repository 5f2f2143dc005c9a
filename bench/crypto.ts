// Times of the key exchange beside a reference of the same process: what one encapsulation of FrodoKEM-640-AES cannot
// do without, through node:crypto alone, that is AES-128-ECB of the 819,200 bytes of A and SHAKE128 of its 9,616 + 33 +
// 9,768 bytes. Rounds alternate between reference and operations, so that load on the machine hits both. Prints one
// line an operation; --json prints one JSON object a line. A part of a name may follow: node bench/crypto.ts 640-AES

import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { FRODO } from "../src/crypto/frodo-parameters.ts";
import { FrodoKem } from "../src/crypto/frodokem.ts";
import type { FrodoName, KemName, SyncKem } from "../src/crypto/kem.ts";
import { syncKem } from "../src/crypto/kem-table.ts";

const ROUNDS = 400;

interface Operation {
  readonly name: string;
  readonly run: () => void;
  readonly us: number[];
}

function operation(name: string, run: () => void): Operation {
  return { name, run, us: [] };
}

function reference(): Operation {
  const blocks = randomBytes(2 * 640 * 640);
  const key = randomBytes(16);
  const hashed = [
    { input: randomBytes(9616), outputLength: 16 }, // pkh
    { input: randomBytes(1 + 32), outputLength: 2 * (2 * 640 + 8) * 8 }, // S', E', E''
    { input: randomBytes(9752 + 16), outputLength: 16 }, // shared secret
  ];
  return operation("reference", () => {
    const encrypted = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(blocks);
    encrypted.buffer.transfer(0);
    for (const { input, outputLength } of hashed) createHash("shake128", { outputLength }).update(input).digest();
  });
}

function operations(label: string, kem: SyncKem): Operation[] {
  const { publicKey, secretKey } = kem.generateKeyPair();
  const { ciphertext } = kem.encapsulate(publicKey);
  return [
    operation(`${label} encapsulate`, () => kem.encapsulate(publicKey)),
    operation(`${label} decapsulate`, () => kem.decapsulate(secretKey, ciphertext)),
  ];
}

function frodoOperations(name: FrodoName): Operation[] {
  const cold = new FrodoKem(name, { cacheBytesMax: 0 });
  return [
    operation(`${name} generate key pair`, () => cold.generateKeyPair()),
    ...operations(`${name} cold`, cold),
    ...operations(`${name} hot`, new FrodoKem(name)),
  ];
}

function mlKemOperations(name: KemName): Operation[] {
  const kem = syncKem(name);
  return [operation(`${name} generate key pair`, () => kem.generateKeyPair()), ...operations(name, kem)];
}

function timeUs(run: () => void): number {
  const start = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - start) / 1000;
}

/** Each round runs every operation twice and keeps the second time: its own data are then in the processor's caches. */
function measure(all: readonly Operation[]): void {
  for (let round = -20; round < ROUNDS; round++) {
    for (const { run, us } of all) {
      run();
      const time = timeUs(run);
      if (round >= 0) us.push(time);
    }
  }
}

function quantile(us: readonly number[], q: number): number {
  const sorted = [...us].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

function figures({ us }: Operation): { min: number; p50: number; p95: number } {
  return { min: quantile(us, 0), p50: quantile(us, 0.5), p95: quantile(us, 0.95) };
}

function print(json: boolean, item: Operation, base: Operation): void {
  const { min, p50, p95 } = figures(item);
  const ratio = { min: min / figures(base).min, p50: p50 / figures(base).p50 };
  if (json) {
    console.log(JSON.stringify({ name: item.name, unit: "us", min, p50, p95, ratio }));
    return;
  }
  const times = [min, p50, p95].map((us) => us.toFixed(1).padStart(8)).join("");
  console.log(`${item.name.padEnd(40)}${times}${ratio.min.toFixed(2).padStart(8)}${ratio.p50.toFixed(2).padStart(8)}`);
}

function main(args: readonly string[]): void {
  const json = args.includes("--json");
  const filter = args.find((arg) => !arg.startsWith("-")) ?? "";
  if (!json) console.log(`${"microseconds".padEnd(40)}     min     p50     p95   ratio of min, p50 to reference`);
  const groups: Operation[][] = [
    ...(Object.keys(FRODO) as FrodoName[]).filter((name) => name.includes(filter)).map(frodoOperations),
    ...(["ML-KEM-768", "ML-KEM-1024"] as const).filter((name) => name.includes(filter)).map(mlKemOperations),
  ];
  for (const group of groups) {
    const base = reference();
    const all = [base, ...group];
    measure(all);
    for (const item of all) print(json, item, base);
  }
}

main(process.argv.slice(2));
