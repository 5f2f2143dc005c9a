// Signatures of hardware vendors and SHA-256 on WebCrypto, for browsers. The same answers as classical-signature.ts,
// later.

import type { ClassicalSignature } from "./classical-signature.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Named {
  readonly name: string;
  readonly namedCurve?: string;
  readonly hash?: string;
  readonly saltLength?: number;
}

/** What of a browser's or Node's crypto.subtle is needed here. */
export interface Subtle {
  importKey(format: "spki", key: Bytes, algorithm: Named, extractable: boolean, usages: "verify"[]): Promise<unknown>;
  verify(algorithm: Named, key: never, signature: Bytes, message: Bytes): Promise<boolean>;
  digest(algorithm: string, message: Bytes): Promise<ArrayBuffer>;
}

const KEYS: Readonly<Record<ClassicalSignature["algorithm"], Named>> = {
  "ECDSA-P256-SHA256": { name: "ECDSA", namedCurve: "P-256" },
  "ECDSA-P384-SHA384": { name: "ECDSA", namedCurve: "P-384" },
  "RSA-PSS-SHA384": { name: "RSA-PSS", hash: "SHA-384" },
};
const SCHEMES: Readonly<Record<ClassicalSignature["algorithm"], Named>> = {
  "ECDSA-P256-SHA256": { name: "ECDSA", hash: "SHA-256" },
  "ECDSA-P384-SHA384": { name: "ECDSA", hash: "SHA-384" },
  "RSA-PSS-SHA384": { name: "RSA-PSS", saltLength: 48 },
};

/** False for anything but a valid signature; a key that cannot be read included. */
export async function verifyClassicalWeb(
  subtle: Subtle,
  { algorithm, publicKey, message, signature }: ClassicalSignature,
): Promise<boolean> {
  try {
    const key = await subtle.importKey("spki", publicKey, KEYS[algorithm], false, ["verify"]);
    return await subtle.verify(SCHEMES[algorithm], key as never, signature, message);
  } catch {
    return false;
  }
}

export async function sha256Web(subtle: Subtle, message: Bytes): Promise<Bytes> {
  return new Uint8Array(await subtle.digest("SHA-256", message));
}
