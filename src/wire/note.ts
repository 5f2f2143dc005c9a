// Signed notes (C2SP signed-note): a text, an empty line, signature lines. What the audit log's checkpoints and its
// witnesses' cosignatures are written in, so that verifiers that know nothing of this project read them.

import { concat, equal, fromHex, parseBase64, toBase64, toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { ED25519_SIZES } from "../crypto/ed25519.ts";
import { sha256 } from "../crypto/hash.ts";
import { SIGNATURE_SIZES } from "../crypto/signature.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const TIMESTAMP_BYTES = 8;
const MLDSA = SIGNATURE_SIZES["ML-DSA-44"];

/** Signature types of C2SP signed-note and tlog-cosignature: what a key of each is and what its lines hold. */
const NOTE_TYPES = {
  /** Ed25519 over the text: the log's own. */
  ed25519: { byte: 0x01, publicKey: ED25519_SIZES.publicKey, signature: ED25519_SIZES.signature },
  /** Ed25519 over the text and a time: a witness's. */
  "ed25519-cosignature": {
    byte: 0x04,
    publicKey: ED25519_SIZES.publicKey,
    signature: TIMESTAMP_BYTES + ED25519_SIZES.signature,
  },
  /** ML-DSA-44 over tree, name and time: the log's own and a witness's. */
  "ml-dsa-44": { byte: 0x06, publicKey: MLDSA.publicKey, signature: TIMESTAMP_BYTES + MLDSA.signature },
} as const;

export type NoteType = keyof typeof NOTE_TYPES;

/** Who may sign: a verifier key (vkey). */
export interface NoteKey {
  readonly name: string;
  readonly type: NoteType;
  readonly publicKey: Bytes;
  readonly keyId: Bytes;
}

export interface NoteSignature {
  readonly name: string;
  readonly keyId: Bytes;
  readonly signature: Bytes;
}

export interface Note {
  /** Ends with a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const KEY_ID_BYTES = 4;
/** No Unicode space, no plus, no control character. */
const NAME = /^[^\s+\p{Cc}]+$/u;
const FORBIDDEN = /[^\P{Cc}\n\u0080-\u009f]/u;

export function isNoteName(name: string): boolean {
  return NAME.test(name) && utf8(name).length <= LIMITS.noteNameLengthMax;
}

/** Throws RangeError for a name or key that is none. */
export function noteKey(name: string, type: NoteType, publicKey: Uint8Array): NoteKey {
  if (!isNoteName(name)) throw new RangeError(`expected a name without spaces and plus, got ${JSON.stringify(name)}`);
  const { byte, publicKey: length } = NOTE_TYPES[type];
  if (publicKey.length !== length) throw new RangeError(`expected a key of ${length} bytes, got ${publicKey.length}`);
  const keyId = sha256(utf8(`${name}\n`), Uint8Array.of(byte), publicKey).slice(0, KEY_ID_BYTES);
  return { name, type, publicKey: new Uint8Array(publicKey), keyId };
}

/** name+key id+base64(type, public key). */
export function formatVkey({ name, type, publicKey, keyId }: NoteKey): string {
  return `${name}+${toHex(keyId)}+${toBase64(concat(Uint8Array.of(NOTE_TYPES[type].byte), publicKey))}`;
}

/** undefined where the text is no verifier key of a known type. */
export function parseVkey(text: string): NoteKey | undefined {
  const [, name = "", id = "", rest = ""] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const encoded = parseBase64(rest);
  const type = typeOf(encoded?.[0]);
  if (encoded === undefined || type === undefined || !isNoteName(name)) return undefined;
  if (encoded.length !== 1 + NOTE_TYPES[type].publicKey) return undefined;
  const key = noteKey(name, type, encoded.subarray(1));
  return equal(key.keyId, fromHex(id)!) ? key : undefined;
}

function typeOf(byte: number | undefined): NoteType | undefined {
  return (Object.keys(NOTE_TYPES) as NoteType[]).find((name) => NOTE_TYPES[name].byte === byte);
}

export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignature).join("")}`;
}

/** One signature line with its newline. */
export function formatSignature({ name, keyId, signature }: NoteSignature): string {
  return `\u2014 ${name} ${toBase64(concat(keyId, signature))}\n`;
}

/** Throws log.malformed. Signatures are read, not verified. */
export function parseNote(note: string): Note {
  if (note.length > LIMITS.noteBytesMax) throw new QflareError("log.malformed", "the note is longer than allowed");
  if (FORBIDDEN.test(note)) throw new QflareError("log.malformed", "the note holds a control character");
  const split = note.lastIndexOf("\n\n");
  if (split < 0) throw new QflareError("log.malformed", "expected a text, an empty line and signatures");
  return { text: note.slice(0, split + 1), signatures: parseSignatures(note.slice(split + 2)) };
}

/** Signature lines alone, as a witness answers. Throws log.malformed. */
export function parseSignatures(lines: string): NoteSignature[] {
  if (!lines.endsWith("\n")) throw new QflareError("log.malformed", "expected signature lines");
  const all = lines.slice(0, -1).split("\n");
  if (all.length > LIMITS.noteSignaturesMax) throw new QflareError("log.malformed", "too many signatures");
  return all.map(parseSignature);
}

function parseSignature(line: string): NoteSignature {
  const [dash, name = "", encoded = "", ...rest] = line.split(" ");
  const bytes = parseBase64(encoded);
  const isLine = dash === "\u2014" && NAME.test(name) && rest.length === 0;
  if (!isLine || bytes === undefined || bytes.length <= KEY_ID_BYTES) {
    throw new QflareError("log.malformed", "expected a signature line");
  }
  return { name, keyId: bytes.slice(0, KEY_ID_BYTES), signature: bytes.slice(KEY_ID_BYTES) };
}

/** Whether a line says that it is of this key. */
export function isBy(line: NoteSignature, key: NoteKey): boolean {
  return line.name === key.name && equal(line.keyId, key.keyId);
}
