// The audit log at rest: entries and full tiles as rows. What is not full yet is made again from them at a start.

import type { Kysely, Transaction } from "kysely";
import { QflareError } from "../core/error.ts";
import { type FullTile, HASH_BYTES, TILE_WIDTH, TileEdge } from "../crypto/log-tree.ts";
import { leafHash, treeRoot } from "../crypto/merkle.ts";
import type { Tables } from "./store/schema.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Database = Kysely<Tables> | Transaction<Tables>;

/** Rows in one statement. */
const ROWS_MAX = 256;

export async function countEntries(db: Database): Promise<number> {
  const query = db.selectFrom("audit").select((select) => select.fn.max("position").as("last"));
  const { last } = await query.executeTakeFirstOrThrow();
  return last === null ? 0 : (last as number) + 1;
}

export async function insertEntries(db: Database, first: number, entries: readonly Bytes[]): Promise<void> {
  for (let start = 0; start < entries.length; start += ROWS_MAX) {
    const some = entries.slice(start, start + ROWS_MAX);
    const rows = some.map((entry, i) => ({ position: first + start + i, entry }));
    await db.insertInto("audit").values(rows).execute();
  }
}

/** Entries from first on, at most count of them. */
export async function readEntries(db: Database, first: number, count: number): Promise<Bytes[]> {
  const rows = await db
    .selectFrom("audit")
    .selectAll()
    .where("position", ">=", first)
    .where("position", "<", first + count)
    .orderBy("position")
    .execute();
  const isWhole = rows.every((row, i) => row.position === first + i);
  if (!isWhole) throw new QflareError("store.corrupt", `the audit log has no entry ${first + missingOf(rows, first)}`);
  return rows.map((row) => row.entry);
}

function missingOf(rows: readonly { position: number }[], first: number): number {
  return rows.findIndex((row, i) => row.position !== first + i);
}

export async function insertTiles(db: Database, tiles: readonly FullTile[]): Promise<void> {
  for (const tile of tiles) await db.insertInto("tiles").values(tile).execute();
}

/** A full tile; undefined where there is none. */
export async function readFullTile(db: Database, row: number, number: number): Promise<Bytes | undefined> {
  const query = db.selectFrom("tiles").select("hashes").where("row", "=", row).where("number", "=", number);
  return (await query.executeTakeFirst())?.hashes;
}

/** The right edge of the tree over the first size entries. Throws store.corrupt where rows are missing. */
export async function loadEdge(db: Database, size: number): Promise<TileEdge> {
  const rows: Uint8Array[][] = [];
  for (let row = 0; TILE_WIDTH ** row <= size; row++) {
    const hashes = Math.floor(size / TILE_WIDTH ** row);
    const first = hashes - (hashes % TILE_WIDTH);
    rows.push(row === 0 ? await leavesFrom(db, first, size) : await rootsFrom(db, row - 1, first, hashes));
  }
  return TileEdge.restore(rows);
}

async function leavesFrom(db: Database, first: number, size: number): Promise<Uint8Array[]> {
  const entries = await readEntries(db, first, size - first);
  if (entries.length !== size - first)
    throw new QflareError("store.corrupt", "the audit log's newest entries are gone");
  return entries.map(leafHash);
}

/** Roots of the full tiles of this row from first to end - 1. */
async function rootsFrom(db: Database, row: number, first: number, end: number): Promise<Uint8Array[]> {
  const query = db.selectFrom("tiles").selectAll().where("row", "=", row).where("number", ">=", first);
  const tiles = await query.where("number", "<", end).orderBy("number").execute();
  const isWhole = tiles.length === end - first && tiles.every((tile, i) => tile.number === first + i);
  if (!isWhole) throw new QflareError("store.corrupt", "the audit log's tree has a hole");
  return tiles.map(({ hashes }) => treeRoot(splitHashes(hashes)));
}

function splitHashes(tile: Uint8Array): Uint8Array[] {
  const count = tile.length / HASH_BYTES;
  return Array.from({ length: count }, (_, i) => tile.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}
