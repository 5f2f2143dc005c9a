// Appends to the audit log a second: the tree alone, a plain one, and whole commits to disk with signed checkpoints.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Kysely } from "kysely";
import { systemClock } from "../src/cli/system.ts";
import { TileEdge } from "../src/crypto/log-tree.ts";
import { leafHash } from "../src/crypto/merkle.ts";
import { systemRandom } from "../src/crypto/random.ts";
import { signature } from "../src/crypto/signature.ts";
import { AuditLog } from "../src/server/audit.ts";
import { logSignerOf } from "../src/server/keys.ts";
import { openDatabase } from "../src/server/store/database.ts";
import type { Tables } from "../src/server/store/schema.ts";
import { Writer } from "../src/server/store/writer.ts";
import { auditEntry } from "../src/wire/audit.ts";
import { logOrigin } from "../src/wire/checkpoint.ts";

interface Figure {
  readonly name: string;
  readonly count: number;
  readonly perSecond: number;
  /** Microseconds each. */
  readonly us: number;
}

const DIGEST = new Uint8Array(32).fill(7);
const SUBJECT = "00112233445566778899aabbccddeeff";

function figure(name: string, count: number, ms: number): Figure {
  return { name, count, perSecond: Math.round((1000 * count) / ms), us: (1000 * ms) / count };
}

/** What any such log costs at the least: one SHA-256 a leaf and one a node, with nothing around it. */
function hashesAlone(count: number): Figure {
  const node = new Uint8Array(65);
  const start = performance.now();
  for (let i = 0; i < 2 * count; i++) createHash("sha256").update(node).digest();
  return figure("SHA-256, two an append", count, performance.now() - start);
}

function treeAlone(count: number): Figure {
  const edge = new TileEdge();
  const entry = new Uint8Array(150);
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    entry[0] = i;
    edge.append(leafHash(entry));
  }
  edge.root();
  return figure("tree of tiles", count, performance.now() - start);
}

function encodedEntries(count: number): Figure {
  const edge = new TileEdge();
  const start = performance.now();
  for (let at = 0; at < count; at++) {
    const fact = { type: "update.accepted", subject: SUBJECT, digest: DIGEST, data: DIGEST } as const;
    edge.append(leafHash(auditEntry.encode({ v: 1, at, ...fact })));
  }
  edge.root();
  return figure("entry encoded, then tree", count, performance.now() - start);
}

async function openLog(path: string): Promise<{ db: Kysely<Tables>; audit: AuditLog; writer: Writer }> {
  const db = await openDatabase(path);
  const runId = systemRandom.bytes(32);
  const signer = logSignerOf(signature("ML-DSA-44").generateKeyPair(), runId);
  const origin = logOrigin(runId);
  const audit = new AuditLog({ db, clock: systemClock, origin, signer, successor: signer, isWitnessed: false });
  return { db, audit, writer: new Writer(db, audit, console) };
}

/** Appends by many at once share commits; each commit carries a checkpoint signed twice. */
async function committed(folder: string, count: number, atOnce: number): Promise<Figure> {
  const { db, audit, writer } = await openLog(join(folder, `log-${atOnce}.sqlite`));
  const fact = { type: "update.accepted", subject: SUBJECT, digest: DIGEST, data: DIGEST } as const;
  const start = performance.now();
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, () => writer.write((tx) => audit.append(tx, fact))));
  }
  const ms = performance.now() - start;
  await db.destroy();
  return figure(`on disk, ${atOnce} at once`, count, ms);
}

async function proofs(folder: string, size: number, count: number): Promise<Figure> {
  const { db, audit, writer } = await openLog(join(folder, "proofs.sqlite"));
  const fact = { type: "update.accepted", subject: SUBJECT, digest: DIGEST } as const;
  await Promise.all(Array.from({ length: size }, () => writer.write((tx) => audit.append(tx, fact))));
  const start = performance.now();
  for (let i = 0; i < count; i++) await audit.prove((i * 7919) % size, 0);
  const ms = performance.now() - start;
  await db.destroy();
  return figure(`inclusion proofs in ${size} entries`, count, ms);
}

function print(isJson: boolean, { name, count, perSecond, us }: Figure): void {
  if (isJson) console.log(JSON.stringify({ name, count, per_second: perSecond, us }));
  else console.log(`${name.padEnd(38)}${String(perSecond).padStart(9)} a second${us.toFixed(2).padStart(10)} us each`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, count: { type: "string", default: "200000" } },
  });
  const count = Number(values.count);
  const folder = mkdtempSync(join(tmpdir(), "qflare-bench-"));
  try {
    treeAlone(20_000);
    print(values.json, hashesAlone(count));
    print(values.json, treeAlone(count));
    print(values.json, encodedEntries(count));
    for (const atOnce of [1, 10, 1000, 10_000]) {
      print(values.json, await committed(folder, Math.min(count, Math.max(200, 10 * atOnce)), atOnce));
    }
    print(values.json, await proofs(folder, Math.min(count, 50_000), 5000));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
