// Places and contents of the log's static files (C2SP tlog-tiles): checkpoint, tiles of hashes, bundles of entries.

import { concat } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { TILE_WIDTH } from "../crypto/log-tree.ts";

/** Under which the files lie at a server. */
export const LOG_PREFIX = "/api/log";
export const CHECKPOINT_TYPE = "text/plain; charset=utf-8";
export const TILE_TYPE = "application/octet-stream";

/** A tile of hashes, or a bundle of entries. width 256 is a full one. */
export interface TilePlace {
  readonly row: number | "entries";
  readonly number: number;
  readonly width: number;
}

/** tile/0/x001/234.p/5: numbers in groups of three digits, all but the last with an x. */
export function tilePath({ row, number, width }: TilePlace): string {
  const digits = String(number);
  const groups = digits.padStart(3 * Math.ceil(digits.length / 3), "0").match(/.../g)!;
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join("/");
  return `tile/${row}/${path}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

const TILE_PATH = /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** undefined where the path is not the one form of a place. */
export function parseTilePath(path: string): TilePlace | undefined {
  const match = TILE_PATH.exec(path);
  if (match === null) return undefined;
  const row = match[1] === "entries" ? "entries" : Number(match[1]);
  const number = Number(match[2]!.replaceAll(/[x/]/g, ""));
  const place = { row, number, width: match[3] === undefined ? TILE_WIDTH : Number(match[3]) } as const;
  return tilePath(place) === path ? place : undefined;
}

/** Each entry behind its length, u16. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return concat(...entries.flatMap((entry) => [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry]));
}

export const BUNDLE_BYTES_MAX: number = TILE_WIDTH * (2 + LIMITS.logEntryBytesMax);

/** Throws log.malformed unless the bundle holds exactly so many entries. */
export function decodeBundle(bundle: Uint8Array, count: number): Uint8Array<ArrayBuffer>[] {
  const entries: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  while (offset + 2 <= bundle.length && entries.length < count) {
    const end = offset + 2 + ((bundle[offset]! << 8) | bundle[offset + 1]!);
    if (end > bundle.length) break;
    entries.push(bundle.slice(offset + 2, end));
    offset = end;
  }
  if (entries.length !== count || offset !== bundle.length) {
    throw new QflareError("log.malformed", `expected a bundle of ${count} entries`);
  }
  return entries;
}
