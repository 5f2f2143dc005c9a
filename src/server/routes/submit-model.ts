// POST /api/submit_model: one sealed update. The body is u32 record length | record | sealed blob; the blob is
// streamed to its place and never held whole.
//
// Order: session, window, signature, lengths and limits, run, duplicate, recipient, round, base model, sequence,
// digest, then the one transaction. Until that is committed nothing has happened; after it nothing can be lost.

import type { FastifyInstance, FastifyRequest } from "fastify";
import { equal, readU32be, utf8 } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { AEAD_TAG_BYTES } from "../../crypto/aead-sizes.ts";
import { schemeOfKey, signature, verifyUnderKey } from "../../crypto/signature.ts";
import { CONTEXTS } from "../../wire/labels.ts";
import { receiptAnswer, receiptMessage } from "../../wire/receipt.ts";
import { SUBMIT_TYPE } from "../../wire/record.ts";
import { type Manifest, manifestMessage, submitMessage, updateBlobLength } from "../../wire/update.ts";
import { BodyReader } from "../body.ts";
import { type GatewayPorts, limited, only } from "../gateway-ports.ts";
import { receiptOf, type SignedManifest, type UpdateRow } from "../ledger.ts";
import { type Opened, openProtected, sendProtected } from "../protected.ts";
import type { Device } from "../registry.ts";

const LENGTH_BYTES = 4;
const RECORD_BYTES_MAX = submitMessage.bytesMax + AEAD_TAG_BYTES;

export function submitModelRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const bodyLimit = LENGTH_BYTES + RECORD_BYTES_MAX + LIMITS.updateBytesMax;
  const onRequest = [limited(ports, "submit"), only(SUBMIT_TYPE)];
  app.post("/api/submit_model", { bodyLimit, onRequest }, async (request, reply) => {
    const body = new BodyReader(request.body as AsyncIterable<Uint8Array>);
    const { opened, blobLength } = await openSubmit(ports, request, body);
    const signed = readSigned(opened);
    checkManifest(ports, signed.manifest, blobLength);
    const row = (await duplicateOf(ports, signed, body)) ?? (await store(ports, signed, body));
    return sendProtected(reply, opened, await signedReceipt(ports, opened.session.device, row, signed.logSize));
  });
}

async function openSubmit(
  ports: GatewayPorts,
  request: FastifyRequest,
  body: BodyReader,
): Promise<{ opened: Opened; blobLength: number }> {
  const declared = Number(request.headers["content-length"] ?? Number.NaN);
  const recordLength = readU32be(await body.take(LENGTH_BYTES));
  const blobLength = declared - LENGTH_BYTES - recordLength;
  if (recordLength > RECORD_BYTES_MAX) throw new QflareError("message.too_large");
  if (!(blobLength >= 0)) throw new QflareError("message.length_mismatch");
  const record = await body.take(recordLength);
  const sealed = { record, contentType: SUBMIT_TYPE, contentLength: blobLength };
  return { opened: await openProtected(ports.sessions, request, sealed), blobLength };
}

function readSigned({ session, plaintext }: Opened): SignedManifest & { logSize: number } {
  const submit = submitMessage.decode(plaintext);
  const manifest = manifestMessage.decode(submit.manifest);
  const { id, signature_public_key } = session.device;
  const isOwn = equal(manifest.device_id, id);
  if (!isOwn || !verifyUnderKey(signature_public_key, submit.manifest, submit.signature, CONTEXTS.update)) {
    throw new QflareError("update.signature");
  }
  return { manifest, encoded: submit.manifest, signature: submit.signature, logSize: submit.log_size };
}

function checkManifest({ policy, policyHash }: GatewayPorts, manifest: Manifest, blobLength: number): void {
  if (manifest.blob_length !== blobLength) {
    throw new QflareError("message.length_mismatch", `signed for ${manifest.blob_length} bytes, got ${blobLength}`);
  }
  const expected = updateBlobLength(policy.suite, policy.parameters);
  if (blobLength !== expected) throw new QflareError("update.length", `expected ${expected} bytes, got ${blobLength}`);
  if (manifest.examples > LIMITS.examplesMax) throw new QflareError("update.examples");
  if (!equal(manifest.run_id, policy.run_id) || !equal(manifest.policy_hash, policyHash)) {
    throw new QflareError("round.wrong", "expected this run under this policy");
  }
}

/** The epoch's key, or the one before for the round that was open when it was replaced. */
function checkRecipient({ enclave }: GatewayPorts, { enclave_key_hash, round }: Manifest): void {
  const { kemKeyHash, former } = enclave.facts;
  if (equal(enclave_key_hash, kemKeyHash)) return;
  if (former?.round !== round || !equal(enclave_key_hash, former.kemKeyHash)) throw new QflareError("update.recipient");
}

/** A device that lost the answer sends the same again, also after the round has closed. */
async function duplicateOf(
  { ledger }: GatewayPorts,
  { manifest, encoded }: SignedManifest,
  body: BodyReader,
): Promise<UpdateRow | undefined> {
  const earlier = await ledger.findUpdate(manifest.round, manifest.device_id);
  if (earlier === undefined) return undefined;
  if (!equal(earlier.manifest, encoded)) throw new QflareError("update.duplicate");
  await body.drain();
  return earlier;
}

async function store(ports: GatewayPorts, signed: SignedManifest, body: BodyReader): Promise<UpdateRow> {
  const { manifest } = signed;
  checkRecipient(ports, manifest);
  const open = ports.state.requireOpen(manifest.device_id, manifest.round);
  if (!equal(manifest.base_digest, open.base.digest)) throw new QflareError("update.base_model");
  await ports.ledger.requireNewer(manifest);
  const row = await ports.uploads.accept(signed, body.rest());
  ports.state.accepted(row);
  return row;
}

async function signedReceipt(
  { policy, keys, audit }: GatewayPorts,
  device: Device,
  row: UpdateRow,
  logSize: number,
): Promise<Uint8Array> {
  const receipt = receiptMessage.encode(receiptOf(row, policy.run_id));
  const { name } = schemeOfKey(device.signature_public_key)!;
  const signed = signature(name).sign(keys.pairOf(name).secretKey, receipt, CONTEXTS.receipt);
  const { proof, consistency } = await audit.prove(row.audit_index, logSize);
  return receiptAnswer.encode({ receipt, signature: signed, log_proof: utf8(proof), log_consistency: consistency });
}
