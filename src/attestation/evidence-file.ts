// Evidence as a JSON file: the members of Evidence, bytes as text. Text of 0-9 and a-f alone is hexadecimal, all other
// is base64 of either alphabet, with or without padding.

import { fromBase64Url, fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { list, object, oneOf, type Shape } from "../core/shape.ts";
import { type Evidence, TEES } from "./evidence.ts";

type Bytes = Uint8Array<ArrayBuffer>;

function refuse(path: string, expected: string): never {
  throw new QflareError("message.malformed", `${path}: expected ${expected}`);
}

function decode(text: string): Bytes | undefined {
  const standard = text
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/={1,2}$/, "");
  return fromHex(text) ?? fromBase64Url(standard);
}

const textLengthMax = 2 * LIMITS.evidenceBytesMax;
const words = `bytes in hexadecimal or base64, at most ${LIMITS.evidenceBytesMax}`;

const bytesAsText: Shape<Bytes> = {
  read: (value, path) => {
    const bytes = typeof value === "string" && value.length <= textLengthMax ? decode(value) : undefined;
    return bytes === undefined || bytes.length === 0 ? refuse(path, words) : bytes;
  },
  schema: { type: "string", maxLength: textLengthMax },
  words,
};

const FILES: Readonly<Record<Evidence["tee"], Shape<Evidence>>> = {
  "sev-snp": object({
    tee: oneOf("sev-snp"),
    report: bytesAsText,
    certificates: list(bytesAsText, 1, LIMITS.certificatesMax),
  }),
  tdx: object({ tee: oneOf("tdx"), quote: bytesAsText }),
  sgx: object({ tee: oneOf("sgx"), quote: bytesAsText }),
  nitro: object({ tee: oneOf("nitro"), document: bytesAsText }),
  simulated: object({ tee: oneOf("simulated"), document: bytesAsText }),
};

/** Throws message.malformed for anything else, unknown members included. */
export function readEvidenceFile(value: unknown): Evidence {
  const tee = typeof value === "object" && value !== null ? (value as { tee?: unknown }).tee : undefined;
  const known = TEES.find((name) => name === tee);
  return known === undefined ? refuse("tee", TEES.join(" or ")) : FILES[known].read(value, "evidence");
}
