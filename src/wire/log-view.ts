// What a server shows of its audit log inside a session: a checkpoint, and the proof that it and the one that the
// device has seen before are of one history. It comes with the answer that it is needed for, so that watching the log
// costs a device no request of its own.

import { LIMITS } from "../core/limits.ts";
import { bytes, list, type Of, object, text, uint } from "../core/shape.ts";
import { HASH_BYTES } from "../crypto/log-tree.ts";

/** In a request: entries under the newest checkpoint that the device has seen; 0 before the first. */
export const logSize = uint(0, LIMITS.logEntriesMax);

/** Hashes of a proof over the log's tree. */
export const logHashes = list(bytes(HASH_BYTES), 0, LIMITS.logProofHashesMax);

/**
 * checkpoint: its note. consistency: proof between the tree of the size that the request named and this one, whichever
 * is larger (RFC 6962 section 2.1.2); empty from or to nothing, and between trees of one size.
 */
export const LOG_VIEW = object({ checkpoint: text(LIMITS.noteBytesMax), consistency: logHashes });

export type LogView = Of<typeof LOG_VIEW>;
