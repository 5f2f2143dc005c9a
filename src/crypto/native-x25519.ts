// X25519 over OpenSSL.

import { createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { concat, takeOver } from "../core/bytes.ts";
import { KeyObjects, rawKey } from "./key-objects.ts";
import type { X25519 } from "./platform.ts";

type Bytes = Uint8Array<ArrayBuffer>;

class NativeX25519 implements X25519 {
  readonly #secrets = new KeyObjects("x25519", "raw-private");
  readonly #publics = new KeyObjects("x25519", "raw-public");

  async generate(given?: Uint8Array): Promise<{ publicKey: Bytes; secretKey: Bytes }> {
    if (given === undefined) {
      const pair = generateKeyPairSync("x25519");
      const secretKey = rawKey(pair.privateKey, "raw-private");
      this.#secrets.keep(secretKey, pair.privateKey);
      return { publicKey: rawKey(pair.publicKey, "raw-public"), secretKey };
    }
    const secretKey = concat(given);
    return { publicKey: rawKey(createPublicKey(this.#secrets.get(secretKey)), "raw-public"), secretKey };
  }

  async shared(secretKey: Uint8Array, peer: Uint8Array): Promise<Bytes | undefined> {
    const privateKey = this.#secrets.get(secretKey);
    const publicKey = this.#publics.get(peer);
    try {
      return takeOver(diffieHellman({ privateKey, publicKey }));
    } catch {
      // Keys of the right length fail here for one reason: OpenSSL refuses a shared point of zero.
      return undefined;
    }
  }
}

let x25519: NativeX25519 | undefined;

export function nativeX25519(): X25519 {
  x25519 ??= new NativeX25519();
  return x25519;
}
