// Certificates as text (RFC 7468), in the one strict form that vendors write: 64 columns, line feeds, nothing between.
// Text is not signed, so that a lenient reader would let bits change unseen.

import { fromBase64Url, fromUtf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const LINES = "((?:[A-Za-z0-9+/]{64}\\n)*(?=.{1,64}\\n)[A-Za-z0-9+/]+={0,2})\\n";
const BLOCK = `-----BEGIN CERTIFICATE-----\\n${LINES}-----END CERTIFICATE-----(?:\\n|$)`;

/** Spare bits of the last character must be zero and padding complete, as fromBase64Url demands of its own alphabet. */
function decode(base64: string, what: string): Bytes {
  const text = base64.replaceAll("\n", "");
  const bytes = fromBase64Url(text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""));
  if (text.length % 4 === 0 && bytes !== undefined) return bytes;
  throw new QflareError("evidence.malformed", `${what}: expected canonical base64`);
}

/** DER of each certificate, in order. Throws evidence.malformed for any other text around or between. */
export function certificatesFromPem(text: string, what: string): Bytes[] {
  const found: Bytes[] = [];
  const block = new RegExp(BLOCK, "y");
  while (block.lastIndex < text.length) {
    const match = block.exec(text);
    if (match === null) throw new QflareError("evidence.malformed", `${what}: expected certificates as PEM text`);
    found.push(decode(match[1]!, what));
  }
  return found;
}

/** Text as bytes. Throws evidence.malformed where they are not UTF-8. */
export function textOf(bytes: Bytes, what: string): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new QflareError("evidence.malformed", `${what}: expected text`, { cause });
  }
}
