// What a program must know to fetch keys from its KME: a small JSON file, whose paths stand relative to it.

import { dirname, resolve } from "node:path";
import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { object, oneOf, text } from "../core/shape.ts";
import { SAE_LENGTH_MAX, SAE_PATTERN } from "./etsi014.ts";

/** Certificates and key in PEM. */
export interface QkdLink {
  /** Of the KME at this site. */
  readonly url: string;
  readonly sae: string;
  /** The SAE of the server; undefined in a server's own file: its peers name themselves. */
  readonly peer: string | undefined;
  readonly authority: string;
  readonly certificate: string;
  readonly key: Buffer;
  /** "any": the KME speaks no post-quantum TLS, so the way to it must not be open to anyone who records. */
  readonly tls: "post-quantum" | "any";
}

const PATH_LENGTH_MAX = 4096;
const name = text(SAE_LENGTH_MAX, SAE_PATTERN);
const path = text(PATH_LENGTH_MAX);
const fileShape = object({
  url: text(LIMITS.urlLengthMax, /^https:\/\//),
  sae: name,
  authority: path,
  certificate: path,
  key: path,
  tls: oneOf("post-quantum", "any"),
});
const deviceFileShape = object({ ...fileShape.fields, peer: name });

/** What the file says: where certificates and key lie. */
type Paths = Omit<QkdLink, "key"> & { readonly key: string };

/** read: of the file and of those that it names. Throws config.invalid, which names the file, and what read does. */
export function readQkdLink(file: string, read: (path: string) => Buffer): QkdLink {
  const fields = pathsOf(file, read(file).toString());
  const pem = (relative: string): Buffer => read(resolve(dirname(file), relative));
  const { authority, certificate, key } = fields;
  return {
    ...fields,
    peer: fields.peer,
    authority: pem(authority).toString(),
    certificate: pem(certificate).toString(),
    key: pem(key),
  };
}

function pathsOf(file: string, json: string): Paths {
  try {
    const value = { tls: "post-quantum", ...(parseJson(json) as object) };
    const shape = "peer" in value ? deviceFileShape : fileShape;
    return shape.read(value, "link") as Paths;
  } catch (cause) {
    const problem = cause instanceof SyntaxError ? "it is not JSON with every key once" : (cause as Error).message;
    throw new QflareError("config.invalid", `${file}: ${problem}`, { cause });
  }
}
