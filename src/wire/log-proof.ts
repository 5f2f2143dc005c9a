// Proof that an entry is in the log (C2SP tlog-proof): position, sibling hashes and the checkpoint they lead to, in one
// text that holds without a network.

import { parseBase64, toBase64 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { SHA256_BYTES } from "../crypto/hash.ts";
import { leafHash, verifyInclusion } from "../crypto/merkle.ts";
import { type Checkpoint, type LogTrust, openCheckpoint } from "./checkpoint.ts";

export interface LogProof {
  readonly index: number;
  /** From the leaf's sibling up. */
  readonly path: readonly Uint8Array[];
  /** The checkpoint's note. */
  readonly checkpoint: string;
}

const HEAD = "c2sp.org/tlog-proof@v1";

export function formatLogProof({ index, path, checkpoint }: LogProof): string {
  return `${HEAD}\nindex ${index}\n${formatHashes(path)}\n${checkpoint}`;
}

/** Throws log.malformed; extra data, which nothing here needs, is not taken. */
export function parseLogProof(text: string): LogProof {
  const split = text.indexOf("\n\n");
  const [head, position = "", ...hashes] = text.slice(0, Math.max(0, split)).split("\n");
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(position)?.[1];
  if (head !== HEAD || index === undefined) throw new QflareError("log.malformed", "expected a proof");
  return { index: Number(index), path: parseHashes(hashes), checkpoint: text.slice(split + 2) };
}

/** One hash a line, base64. */
export function formatHashes(hashes: readonly Uint8Array[]): string {
  return hashes.map((hash) => `${toBase64(hash)}\n`).join("");
}

/** Throws log.malformed. */
export function parseHashes(lines: readonly string[]): Uint8Array<ArrayBuffer>[] {
  if (lines.length > LIMITS.logProofHashesMax) throw new QflareError("log.malformed", "the proof is too long");
  return lines.map((line) => {
    const hash = parseBase64(line);
    if (hash?.length !== SHA256_BYTES) throw new QflareError("log.malformed", "expected a hash");
    return hash;
  });
}

/**
 * The checkpoint under which the entry is proved at this index. Throws log.malformed, log.signature, log.witness, and
 * log.fork where entry and checkpoint do not go together.
 */
export function verifyLogProof(trust: LogTrust, entry: Uint8Array, index: number, text: string): Checkpoint {
  const proof = parseLogProof(text);
  const checkpoint = openCheckpoint(trust, proof.checkpoint);
  const isIncluded = verifyInclusion(leafHash(entry), index, checkpoint.size, proof.path, checkpoint.root);
  if (proof.index !== index || !isIncluded) throw new QflareError("log.fork", `entry ${index} is not proved`);
  return checkpoint;
}
