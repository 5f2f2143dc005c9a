// What a program must know to fetch keys from its KME: a small JSON file, whose paths stand relative to it.

import { readFileSync } from "node:fs";
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

/** Throws config.invalid, which names the file. */
export function readQkdLink(file: string): QkdLink {
  try {
    const value = { tls: "post-quantum", ...(parseJson(readFileSync(file, "utf8")) as object) };
    const shape = "peer" in value ? deviceFileShape : fileShape;
    const fields = shape.read(value, "link") as Paths;
    const pem = (relative: string): Buffer => readFileSync(resolve(dirname(file), relative));
    const { authority, certificate, key } = fields;
    return {
      ...fields,
      peer: fields.peer,
      authority: pem(authority).toString(),
      certificate: pem(certificate).toString(),
      key: pem(key),
    };
  } catch (cause) {
    throw new QflareError("config.invalid", `${file}: ${(cause as Error).message}`, { cause });
  }
}
