// Receipt: the server's signed word that an update is stored and will be counted or judged. Given once a round and
// device; sending the same update again gives the same receipt. Beside it stands the proof that the audit log holds the
// update's entry, so that the receipt holds against anybody who has the log's key, without the server.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { bytes, message, type Of, uint } from "../core/shape.ts";
import { BLOB_DIGEST_BYTES } from "../crypto/merkle.ts";
import { verifyUnderKey } from "../crypto/signature.ts";
import { auditEntry } from "./audit.ts";
import { type Checkpoint, type LogTrust, logOrigin } from "./checkpoint.ts";
import { anySignature, DEVICE_ID_BYTES } from "./enroll.ts";
import { CONTEXTS } from "./labels.ts";
import { LOG_PROOF_BYTES_MAX, logProofText, parseLogProof, verifyLogProof } from "./log-proof.ts";
import { logHashes } from "./log-view.ts";
import { RUN_ID_BYTES } from "./policy.ts";

/** manifest_digest: SHA-256 of the manifest's bytes. audit_index: position of the update's entry in the audit log. */
export const receiptMessage = message("receipt", 1024, {
  v: uint(1, 1),
  run_id: bytes(RUN_ID_BYTES),
  round: uint(1, LIMITS.roundsMax),
  device_id: bytes(DEVICE_ID_BYTES),
  blob_digest: bytes(BLOB_DIGEST_BYTES),
  manifest_digest: bytes(32),
  accepted_at: uint(),
  audit_index: uint(),
});

/**
 * log_proof: C2SP tlog-proof of the entry at audit_index, UTF-8. log_consistency: as in LOG_VIEW, for the checkpoint in
 * there.
 */
export const receiptAnswer = message("receipt answer", LOG_PROOF_BYTES_MAX + 8192, {
  receipt: bytes(1, receiptMessage.bytesMax),
  signature: anySignature,
  log_proof: bytes(1, LOG_PROOF_BYTES_MAX),
  log_consistency: logHashes,
});

export type Receipt = Of<typeof receiptMessage.shape>;

/** The log's entry about the update of a receipt. */
function receiptEntry(receipt: Receipt): Uint8Array<ArrayBuffer> {
  return auditEntry.encode({
    v: 1,
    at: receipt.accepted_at,
    type: "update.accepted",
    subject: toHex(receipt.device_id),
    digest: receipt.manifest_digest,
    data: receipt.blob_digest,
  });
}

/**
 * serverPublicKeys: any of them may have signed it. Throws server.identity where the receipt is not signed by one or is
 * of another run than the log, and what verifyLogProof throws.
 */
export function verifyReceipt(
  encoded: Uint8Array,
  serverPublicKeys: readonly Uint8Array[],
  trust: LogTrust,
): { receipt: Receipt; checkpoint: Checkpoint; note: string; consistency: Uint8Array[] } {
  const answer = receiptAnswer.decode(encoded);
  const receipt = receiptMessage.decode(answer.receipt);
  const isSigned = serverPublicKeys.some((key) =>
    verifyUnderKey(key, answer.receipt, answer.signature, CONTEXTS.receipt),
  );
  if (!isSigned || logOrigin(receipt.run_id) !== trust.origin) {
    throw new QflareError("server.identity", "its receipt does not hold");
  }
  const proof = logProofText(answer.log_proof);
  const checkpoint = verifyLogProof(trust, receiptEntry(receipt), receipt.audit_index, proof);
  return { receipt, checkpoint, note: parseLogProof(proof).checkpoint, consistency: answer.log_consistency };
}
