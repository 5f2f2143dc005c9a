// Verifies an audit log from its files alone: every entry is under a signed checkpoint, every tile is the tree's, and a
// checkpoint that was seen earlier is the beginning of it.

import { equal, toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { HASH_BYTES, TILE_WIDTH, TileEdge, type TileReader, tileWidth } from "../crypto/log-tree.ts";
import { leafHash } from "../crypto/merkle.ts";
import { type AuditEntry, auditEntry } from "./audit.ts";
import { type Checkpoint, type LogTrust, missingTypes, openCheckpoint, signersOf } from "./checkpoint.ts";
import { formatVkey } from "./note.ts";
import { decodeBundle } from "./tile.ts";
import { NO_WITNESSES } from "./witness-policy.ts";

/** Where a log is read: a server, a folder, a database. */
export interface LogSource {
  /** The newest checkpoint's note; undefined where there is none. */
  checkpoint(): Promise<string | undefined>;
  readonly tile: TileReader;
  bundle(number: number, width: number): Promise<Uint8Array>;
}

export interface VerifiedLog {
  readonly checkpoint: Checkpoint | undefined;
  /** undefined for one that cannot be read. */
  readonly entries: readonly (AuditEntry | undefined)[];
  /** What does not hold; empty where all does. */
  readonly problems: readonly string[];
}

/** earlier: notes of checkpoints that the log gave before, to whomever. */
export async function verifyLog(
  source: LogSource,
  trust: LogTrust,
  earlier: readonly string[] = [],
): Promise<VerifiedLog> {
  const note = await source.checkpoint();
  if (note === undefined) return { checkpoint: undefined, entries: [], problems: ["the log has no checkpoint"] };
  const problems: string[] = [];
  const checkpoint = opened(trust, note, NEWEST, problems);
  if (checkpoint === undefined) return { checkpoint, entries: [], problems };
  const notes = [...earlier, note];
  const lenient = { ...trust, policy: NO_WITNESSES, needsEachType: false };
  const before = earlier.map((text, i) => opened(lenient, text, nameOf(i), problems));
  const roots = new Map([...before, checkpoint].map((one) => [one?.size, ""]));
  const entries: (AuditEntry | undefined)[] = [];
  try {
    await readEntries(source, checkpoint.size, { roots, entries, problems });
  } catch (error) {
    if (!(error instanceof QflareError)) throw error;
    problems.push(error.message);
  }
  for (const [i, one] of before.entries()) {
    if (one !== undefined && one.size > checkpoint.size) {
      problems.push(`${nameOf(i)} is over ${one.size} entries, the log holds ${checkpoint.size}`);
    } else if (one !== undefined && roots.get(one.size) !== toHex(one.root)) {
      problems.push(`${nameOf(i)} has another root than the log: its history was rewritten`);
    }
  }
  if (roots.get(checkpoint.size) !== toHex(checkpoint.root)) {
    problems.push(`newest checkpoint of ${checkpoint.size} entries has another root than the log`);
  }
  for (const [i, one] of [...before, checkpoint].entries()) {
    const name = i < before.length ? nameOf(i) : NEWEST;
    const wanted = i < before.length ? lenient : trust;
    if (one !== undefined && !isInForce(wanted, notes[i]!, entries.slice(0, one.size))) {
      problems.push(`${name} is signed by a key that was not in force`);
    }
  }
  return { checkpoint, entries, problems };
}

const NEWEST = "newest checkpoint";

/** Each rotation publishes its keys in the log before they count: a key that was replaced signs nothing any more. */
function isInForce(trust: LogTrust, note: string, entries: readonly (AuditEntry | undefined)[]): boolean {
  const signers = signersOf(trust, note).filter((key) => {
    const subject = `log ${key.type}`;
    const published = entries.findLast((entry) => entry?.type === "key.published" && entry.subject === subject);
    return published === undefined || equal(published.data, utf8(formatVkey(key)));
  });
  return signers.length > 0 && missingTypes(trust, signers).length === 0;
}

function nameOf(earlier: number): string {
  return `earlier checkpoint ${earlier + 1}`;
}

function opened(trust: LogTrust, note: string, name: string, problems: string[]): Checkpoint | undefined {
  try {
    return openCheckpoint(trust, note);
  } catch (error) {
    if (!(error instanceof QflareError)) throw error;
    problems.push(`${name}: ${error.message}`);
    return undefined;
  }
}

interface Reading {
  /** Filled in at the sizes that it has. */
  readonly roots: Map<number | undefined, string>;
  readonly entries: (AuditEntry | undefined)[];
  readonly problems: string[];
}

async function readEntries(source: LogSource, size: number, { roots, entries, problems }: Reading): Promise<void> {
  const edge = new TileEdge();
  const note = (): void => void (roots.has(edge.size) && roots.set(edge.size, toHex(edge.root())));
  note();
  for (let number = 0; number * TILE_WIDTH < size; number++) {
    const width = tileWidth(0, number, size);
    for (const entry of decodeBundle(await source.bundle(number, width), width)) {
      for (const tile of edge.append(leafHash(entry))) await checkTile(source, tile, problems);
      note();
      entries.push(decoded(entry, entries.length, problems));
    }
  }
  await checkPartialTiles(source, edge, problems);
}

function decoded(entry: Uint8Array, index: number, problems: string[]): AuditEntry | undefined {
  try {
    return auditEntry.decode(entry);
  } catch (error) {
    if (!(error instanceof QflareError)) throw error;
    problems.push(`entry ${index} cannot be read`);
    return undefined;
  }
}

async function checkPartialTiles(source: LogSource, edge: TileEdge, problems: string[]): Promise<void> {
  for (let row = 0; TILE_WIDTH ** row <= edge.size; row++) {
    const number = Math.floor(edge.size / TILE_WIDTH ** (row + 1));
    const hashes = edge.partial(row, number);
    if (hashes !== undefined) await checkTile(source, { row, number, hashes }, problems);
  }
}

async function checkTile(
  source: LogSource,
  { row, number, hashes }: { row: number; number: number; hashes: Uint8Array },
  problems: string[],
): Promise<void> {
  const stored = await source.tile(row, number, hashes.length / HASH_BYTES);
  if (!equal(stored, hashes)) problems.push(`tile ${row}/${number} is not the one of the tree`);
}
