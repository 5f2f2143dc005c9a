// Checkpoints of the audit log (C2SP tlog-checkpoint) and who has signed them: the log itself, and witnesses
// (C2SP tlog-cosignature).
//
//   qflare/<run id>
//   <number of entries>
//   <root, base64>
//
// The log signs each twice under its origin as name: Ed25519 for the verifiers that there are, ML-DSA-44 for a future
// with quantum computers. Within the project only the ML-DSA-44 line counts.

import { concat, parseBase64, readU64be, toBase64, toHex, u64be, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { ED25519_SIZES, type Ed25519Signer, verifyEd25519 } from "../crypto/ed25519.ts";
import { SHA256_BYTES } from "../crypto/hash.ts";
import { SIGNATURE_SIZES, signature } from "../crypto/signature.ts";
import { formatNote, isBy, type NoteKey, type NoteSignature, noteKey, parseNote } from "./note.ts";
import { isWitnessed, type WitnessPolicy } from "./witness-policy.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
}

export function logOrigin(runId: Uint8Array): string {
  return `qflare/${toHex(runId)}`;
}

function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Throws log.malformed. Lines behind the third are not taken: ML-DSA-44 lines would not cover them. */
export function parseCheckpoint(text: string): Checkpoint {
  const match = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/=]{44})\n$/.exec(text);
  const root = match === null ? undefined : parseBase64(match[3]!);
  const size = Number(match?.[2]);
  if (match === null || root?.length !== SHA256_BYTES || !(size <= LIMITS.logEntriesMax)) {
    throw new QflareError("log.malformed", "expected origin, size and root");
  }
  return { origin: match[1]!, size, root };
}

/** Signs checkpoints of one origin. */
export interface CheckpointSigner {
  readonly keys: readonly NoteKey[];
  /** Signature lines; atMs stands in those that carry a time, in seconds. */
  sign(checkpoint: Checkpoint, atMs: number): NoteSignature[];
}

export interface SignerKeys {
  readonly ed25519: Ed25519Signer;
  readonly mlDsaPublicKey: Uint8Array;
  readonly mlDsaSecretKey: Uint8Array;
}

/** The log's own two lines. */
export function logSigner(origin: string, keys: SignerKeys): CheckpointSigner {
  const classical = noteKey(origin, "ed25519", keys.ed25519.publicKey);
  const lasting = noteKey(origin, "ml-dsa-44", keys.mlDsaPublicKey);
  return {
    keys: [classical, lasting],
    sign: (checkpoint, atMs) => [
      lineOf(classical, keys.ed25519.sign(utf8(checkpointText(checkpoint)))),
      signLasting(lasting, keys.mlDsaSecretKey, checkpoint, atMs),
    ],
  };
}

/** A witness's two lines, under its own name. */
export function witnessSigner(name: string, keys: SignerKeys): CheckpointSigner {
  const classical = noteKey(name, "ed25519-cosignature", keys.ed25519.publicKey);
  const lasting = noteKey(name, "ml-dsa-44", keys.mlDsaPublicKey);
  return {
    keys: [classical, lasting],
    sign: (checkpoint, atMs) => {
      const seconds = secondsOf(atMs);
      const signed = keys.ed25519.sign(timedText(checkpoint, seconds));
      return [
        lineOf(classical, concat(u64be(seconds), signed)),
        signLasting(lasting, keys.mlDsaSecretKey, checkpoint, atMs),
      ];
    },
  };
}

function signLasting(key: NoteKey, secretKey: Uint8Array, checkpoint: Checkpoint, atMs: number): NoteSignature {
  const seconds = secondsOf(atMs);
  const signed = signature("ML-DSA-44").sign(secretKey, subtreeMessage(key.name, seconds, checkpoint), NO_CONTEXT);
  return lineOf(key, concat(u64be(seconds), signed));
}

function lineOf({ name, keyId }: NoteKey, signed: Bytes): NoteSignature {
  return { name, keyId, signature: signed };
}

function secondsOf(ms: number): number {
  return Math.floor(ms / 1000);
}

/** C2SP signs without a FIPS 204 context; the label in front keeps its messages apart from all others. */
const NO_CONTEXT = "";
const SUBTREE_LABEL = "subtree/v1\n\0";

/** cosigned_message of C2SP tlog-cosignature, for a tree from its first leaf on. */
function subtreeMessage(cosigner: string, seconds: number, { origin, size, root }: Checkpoint): Bytes {
  return concat(utf8(SUBTREE_LABEL), short(cosigner), u64be(seconds), short(origin), u64be(0), u64be(size), root);
}

/** opaque<1..255>: a byte of length, then the text. */
function short(text: string): Bytes {
  const encoded = utf8(text);
  return concat(Uint8Array.of(encoded.length), encoded);
}

function timedText(checkpoint: Checkpoint, seconds: number): Bytes {
  return utf8(`cosignature/v1\ntime ${seconds}\n${checkpointText(checkpoint)}`);
}

/** Whether the line is a signature of this key over the checkpoint. */
export function verifyLine(checkpoint: Checkpoint, key: NoteKey, line: NoteSignature): boolean {
  if (!isBy(line, key)) return false;
  if (key.type === "ed25519") return verifyEd25519(key.publicKey, utf8(checkpointText(checkpoint)), line.signature);
  const signed = line.signature.subarray(TIME_BYTES);
  const wanted = key.type === "ml-dsa-44" ? SIGNATURE_SIZES["ML-DSA-44"].signature : ED25519_SIZES.signature;
  if (signed.length !== wanted) return false;
  const seconds = timeOf(line);
  if (seconds === undefined) return false;
  return key.type === "ml-dsa-44"
    ? signature("ML-DSA-44").verify(key.publicKey, subtreeMessage(key.name, seconds, checkpoint), signed, NO_CONTEXT)
    : verifyEd25519(key.publicKey, timedText(checkpoint, seconds), signed);
}

const TIME_BYTES = 8;

/** Seconds since 1970 in a line that carries a time. */
function timeOf({ signature: signed }: NoteSignature): number | undefined {
  try {
    return readU64be(signed);
  } catch {
    return undefined;
  }
}

/** What a verifier trusts: any of the log's keys, and enough of these witnesses. */
export interface LogTrust {
  readonly origin: string;
  /** More than one where the server's identity is replaced by the one that it has announced. */
  readonly logKeys: readonly NoteKey[];
  readonly policy: WitnessPolicy;
  /** A key of each type among these must have signed, where else any is enough. */
  readonly needsEachType?: boolean;
}

/**
 * The checkpoint of a note. Throws log.malformed, log.signature or log.witness. A line that says it is of a trusted key
 * and does not hold refuses the whole note.
 */
export function openCheckpoint(trust: LogTrust, note: string): Checkpoint {
  const parsed = parseNote(note);
  const checkpoint = parseCheckpoint(parsed.text);
  if (checkpoint.origin !== trust.origin) throw new QflareError("log.signature", "it is of another run");
  const signed = trust.logKeys.filter((key) => isSigned(parsed.signatures, checkpoint, key));
  if (signed.length === 0) throw new QflareError("log.signature");
  const [missing] = missingTypes(trust, signed);
  if (missing !== undefined) throw new QflareError("log.signature", `no line of the pinned ${missing} key`);
  const names = cosigners(parsed.signatures, checkpoint, trust.policy);
  if (!isWitnessed(trust.policy, names)) {
    throw new QflareError("log.witness", `got the lines of ${[...names].join(", ") || "none"}`);
  }
  return checkpoint;
}

/** Types of keys that are wanted beside these. */
export function missingTypes({ logKeys, needsEachType = false }: LogTrust, signers: readonly NoteKey[]): string[] {
  const wanted = needsEachType ? new Set(logKeys.map(({ type }) => type)) : [];
  return [...wanted].filter((type) => signers.every((signer) => signer.type !== type));
}

/** Those of the trusted keys whose lines stand on a note that openCheckpoint has taken. */
export function signersOf({ logKeys }: LogTrust, note: string): NoteKey[] {
  const { signatures } = parseNote(note);
  return logKeys.filter((key) => signatures.some((line) => isBy(line, key)));
}

/** Names of the policy's witnesses whose lines hold. Throws log.signature for a line of theirs that does not. */
export function cosigners(
  lines: readonly NoteSignature[],
  checkpoint: Checkpoint,
  { witnesses }: WitnessPolicy,
): ReadonlySet<string> {
  const signed = witnesses.filter(({ key }) => isSigned(lines, checkpoint, key));
  return new Set(signed.map(({ name }) => name));
}

function isSigned(signatures: readonly NoteSignature[], checkpoint: Checkpoint, key: NoteKey): boolean {
  const lines = signatures.filter((line) => isBy(line, key));
  if (!lines.every((line) => verifyLine(checkpoint, key, line))) {
    throw new QflareError("log.signature", `the line of ${key.name} does not hold`);
  }
  return lines.length > 0;
}

export function checkpointNote(checkpoint: Checkpoint, signatures: readonly NoteSignature[]): string {
  return formatNote({ text: checkpointText(checkpoint), signatures });
}
