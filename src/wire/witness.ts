// What a log and its witnesses say to each other (C2SP tlog-witness): POST <witness>/add-checkpoint.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { formatHashes, parseHashes } from "./log-proof.ts";

export const ADD_CHECKPOINT_PATH = "/add-checkpoint";
/** Body of a refusal because the witness has seen another size last. */
export const SIZE_TYPE = "text/x.tlog.size";
export const ADD_CHECKPOINT_BYTES_MAX: number = LIMITS.noteBytesMax + 64 * 64;

export interface AddCheckpoint {
  /** Size of the checkpoint that the witness cosigned last; 0 for none. */
  readonly oldSize: number;
  /** From there to the new checkpoint. */
  readonly proof: readonly Uint8Array[];
  /** The new checkpoint's note. */
  readonly note: string;
}

export function formatAddCheckpoint({ oldSize, proof, note }: AddCheckpoint): string {
  return `old ${oldSize}\n${formatHashes(proof)}\n${note}`;
}

/** Throws log.malformed. */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const split = body.indexOf("\n\n");
  const [old = "", ...hashes] = body.slice(0, Math.max(0, split)).split("\n");
  const size = /^old (0|[1-9][0-9]{0,15})$/.exec(old)?.[1];
  if (size === undefined) throw new QflareError("log.malformed", "expected the old size");
  return { oldSize: Number(size), proof: parseHashes(hashes), note: body.slice(split + 2) };
}
