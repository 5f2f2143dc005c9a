// Sealing and hashing of blobs beside the bare primitives of node:crypto in the same run: AES-256-GCM chunk by chunk
// into one buffer, SHA-256 over the whole. Rates in GB/s, ratios of p50 times; above 1 ours is faster. Arguments:
// --rounds count, --json (one object a line).

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { type Figures, measure, type Operation } from "../src/cli/measure.ts";
import { LIMITS } from "../src/core/limits.ts";
import { open, seal } from "../src/crypto/chunked-seal.ts";
import { blobDigest } from "../src/crypto/merkle.ts";
import { systemRandom } from "../src/crypto/random.ts";

const CHUNK_BYTES = LIMITS.chunkBytes;
const BLOB_BYTES = [2 ** 20, 2 ** 22, 2 ** 24];
const key = randomBytes(32);
const context = new Uint8Array(0);

/** What no sealing can do without: each chunk encrypted, its tag taken, both put behind one another. */
function bareSeal(blob: Uint8Array): Uint8Array<ArrayBuffer> {
  const count = Math.ceil(blob.length / CHUNK_BYTES);
  const out = new Uint8Array(blob.length + 16 * count);
  const nonce = Buffer.alloc(12);
  for (let i = 0; i < count; i++) {
    nonce.writeUInt32BE(i, 0);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const body = cipher.update(blob.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
    out.set(body, i * (CHUNK_BYTES + 16));
    cipher.final();
    out.set(cipher.getAuthTag(), i * (CHUNK_BYTES + 16) + body.length);
    if (body.length === body.buffer.byteLength) body.buffer.transfer(0);
  }
  return out;
}

function bareOpen(sealed: Uint8Array): Uint8Array<ArrayBuffer> {
  const stride = CHUNK_BYTES + 16;
  const count = Math.ceil(sealed.length / stride);
  const out = new Uint8Array(sealed.length - 16 * count);
  const nonce = Buffer.alloc(12);
  for (let i = 0; i < count; i++) {
    nonce.writeUInt32BE(i, 0);
    const chunk = sealed.subarray(i * stride, (i + 1) * stride);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
    decipher.setAuthTag(chunk.subarray(chunk.length - 16));
    const body = decipher.update(chunk.subarray(0, chunk.length - 16));
    out.set(body, i * CHUNK_BYTES);
    decipher.final();
    if (body.length === body.buffer.byteLength) body.buffer.transfer(0);
  }
  return out;
}

/** Left to the collector, outputs would cost page faults at random, on either side. */
function release(out: Uint8Array<ArrayBuffer>): void {
  out.buffer.transfer(0);
}

/** Ours behind the bare one. */
function pairs(bytes: number): [Operation, Operation][] {
  const blob = systemRandom.bytes(bytes);
  const [sealed, bare] = [seal(key, context, blob, systemRandom), bareSeal(blob)];
  const label = `${bytes / 2 ** 20} MiB`;
  return [
    [
      { name: `AES-256-GCM encrypt ${label}`, run: () => release(bareSeal(blob)), bytes },
      { name: `seal ${label}`, run: () => release(seal(key, context, blob, systemRandom)), bytes },
    ],
    [
      { name: `AES-256-GCM decrypt ${label}`, run: () => release(bareOpen(bare)), bytes },
      { name: `open ${label}`, run: () => release(open(key, context, sealed)!), bytes },
    ],
    [
      { name: `SHA-256 ${label}`, run: () => createHash("sha256").update(blob).digest(), bytes },
      { name: `hash tree ${label}`, run: () => blobDigest(blob), bytes },
    ],
  ];
}

function print(json: boolean, item: Figures, ratio?: number): void {
  if (json) {
    console.log(JSON.stringify({ ...item, unit: "us", ...(ratio === undefined ? {} : { ratio }) }));
    return;
  }
  const times = [item.min, item.p50, item.p95].map((us) => us.toFixed(0).padStart(9)).join("");
  const behind = ratio === undefined ? "" : ratio.toFixed(2).padStart(8);
  console.log(`${item.name.padEnd(30)}${times}${item.rate!.toFixed(2).padStart(8)}${behind}`);
}

function main(): void {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, rounds: { type: "string", default: "60" } },
  });
  if (!values.json) console.log(`${"microseconds".padEnd(30)}      min      p50      p95    GB/s   ratio`);
  for (const pair of BLOB_BYTES.flatMap(pairs)) {
    const [bare, ours] = measure(pair, Number(values.rounds)) as [Figures, Figures];
    print(values.json, bare);
    print(values.json, ours, bare.p50 / ours.p50);
  }
}

main();
