// Sealing and hashing of blobs beside the bare primitives of node:crypto in the same run: AES-256-GCM chunk by chunk
// into one buffer, SHA-256 over the whole. Rates in GB/s, ratios of p50 times; above 1 ours is faster. Arguments:
// --rounds count, --json (one object a line).

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { type Figures, measure, type Operation } from "../src/cli/measure.ts";
import { LIMITS } from "../src/core/limits.ts";
import { open, seal } from "../src/crypto/chunked-seal.ts";
import { hashThreads, LeafPool, PooledBlobHasher } from "../src/crypto/leaf-pool.ts";
import { blobDigest } from "../src/crypto/merkle.ts";
import { systemRandom } from "../src/crypto/random.ts";
import { openStream, sealStream } from "../src/crypto/seal-stream.ts";

const CHUNK_BYTES = LIMITS.chunkBytes;
const BLOB_BYTES = [100_000, 2 ** 20, 2 ** 22, 2 ** 24];
const STREAM_BYTES = 2 ** 25;
const STREAM_ROUNDS = 15;
/** What a socket gives at a time. */
const PIECE_BYTES = 2 ** 16;
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
  const label = bytes < 2 ** 20 ? `${bytes / 1000} kB` : `${bytes / 2 ** 20} MiB`;
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

interface Streamed {
  readonly name: string;
  readonly bare: () => Promise<unknown>;
  readonly ours: () => Promise<unknown>;
}

/** What comes and goes in pieces, as from a socket, beside the bare primitive that has the whole blob at once. */
function streams(bytes: number, pool: LeafPool): Streamed[] {
  const blob = systemRandom.bytes(bytes);
  const [sealed, bare] = [seal(key, context, blob, systemRandom), bareSeal(blob)];
  return [
    {
      name: "seal stream",
      bare: async () => release(bareSeal(blob)),
      ours: () => drained(sealStream(key, context, cut(blob), systemRandom)),
    },
    {
      name: "open stream",
      bare: async () => release(bareOpen(bare)),
      ours: () => drained(openStream(key, context, cut(sealed))),
    },
    {
      name: `hash tree, ${hashThreads()} threads`,
      bare: async () => createHash("sha256").update(blob).digest(),
      ours: () => pooledDigest(blob, pool),
    },
  ];
}

async function* cut(blob: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < blob.length; at += PIECE_BYTES) yield blob.subarray(at, at + PIECE_BYTES);
}

async function drained(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}

async function pooledDigest(blob: Uint8Array, pool: LeafPool): Promise<unknown> {
  const hasher = new PooledBlobHasher(pool);
  for await (const piece of cut(blob)) await hasher.update(piece);
  return await hasher.digest();
}

/** Both alternate, after one round that does not count. Returns the median times in microseconds. */
async function measureBoth({ bare, ours }: Streamed): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []];
  for (let round = -1; round < STREAM_ROUNDS; round++) {
    for (const [i, run] of [bare, ours].entries()) {
      const start = process.hrtime.bigint();
      await run();
      if (round >= 0) times[i]!.push(Number(process.hrtime.bigint() - start) / 1000);
    }
  }
  return times.map((us) => us.sort((a, b) => a - b)[us.length >> 1]) as [number, number];
}

async function benchStreams(json: boolean): Promise<void> {
  const pool = new LeafPool(hashThreads());
  for (const streamed of streams(STREAM_BYTES, pool)) {
    const [bare, ours] = await measureBoth(streamed);
    const [name, ratio] = [`${streamed.name} ${STREAM_BYTES / 2 ** 20} MiB`, bare / ours];
    const text = `${name.padEnd(39)}${ours.toFixed(0).padStart(9)}${ratio.toFixed(2).padStart(25)}`;
    console.log(json ? JSON.stringify({ name, p50: ours, unit: "us", ratio }) : text);
  }
  await pool.close();
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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, rounds: { type: "string", default: "60" } },
  });
  if (!values.json) console.log(`${"microseconds".padEnd(30)}      min      p50      p95    GB/s   ratio`);
  for (const pair of BLOB_BYTES.flatMap(pairs)) {
    const [bare, ours] = measure(pair, Number(values.rounds)) as [Figures, Figures];
    print(values.json, bare);
    print(values.json, ours, bare.p50 / ours.p50);
  }
  await benchStreams(values.json);
}

await main();
