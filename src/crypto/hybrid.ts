// Hybrid KEM: a post-quantum KEM beside X25519. The secret stays unknown as long as one of the two holds: HKDF over
// both secrets, both ciphertexts and both public keys (the combiner of Giacon, Heuer and Poettering, PKC 2018).

import { concat, lengthPrefixed, utf8, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { expand, extract } from "./hkdf.ts";
import type { Kem, KemName, KemSizes } from "./kem.ts";
import { PLATFORM } from "./native-platform.ts";

const X25519_BYTES = 32;
const SECRET_BYTES = 32;
export const HYBRID_LABEL = "qflare/v1 hybrid";

export type HybridName = `X25519+${KemName}`;

/** Bytes. */
export interface HybridSizes {
  readonly publicKey: number;
  readonly ciphertext: number;
  readonly sharedSecret: number;
}

export function hybridSizes(pq: KemSizes): HybridSizes {
  return {
    publicKey: X25519_BYTES + pq.publicKey,
    ciphertext: X25519_BYTES + pq.ciphertext,
    sharedSecret: SECRET_BYTES,
  };
}

/** Wire form of keys and ciphertexts: X25519 part (32 bytes), then the part of the post-quantum KEM. */
export interface HybridKem {
  readonly name: HybridName;
  readonly sizes: HybridSizes;
  /** The secret key is X25519 secret 32, post-quantum secret, both public keys. */
  generateKeyPair(): Promise<{ publicKey: Uint8Array<ArrayBuffer>; secretKey: Uint8Array<ArrayBuffer> }>;
  encapsulate(
    publicKey: Uint8Array,
  ): Promise<{ ciphertext: Uint8Array<ArrayBuffer>; sharedSecret: Uint8Array<ArrayBuffer> }>;
  /** Throws RangeError for wrong sizes, message.malformed for an X25519 part of small order. */
  decapsulate(secretKey: Uint8Array, ciphertext: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
}

export function hybridKem(pq: Kem): HybridKem {
  const name: HybridName = `X25519+${pq.name}`;
  const sizes = hybridSizes(pq.sizes);
  const { publicKey: publicKeyBytes, ciphertext: ciphertextBytes } = sizes;
  const secretKeyBytes = X25519_BYTES + pq.sizes.secretKey + publicKeyBytes;

  const opened = new WeakMap<Uint8Array, SecretParts>();

  /** The same views each time, so that what lies below them knows a key that comes back. */
  function split(secretKey: Uint8Array): SecretParts {
    const publicKeyStart = X25519_BYTES + pq.sizes.secretKey;
    const parts = opened.get(secretKey) ?? {
      classical: secretKey.subarray(0, X25519_BYTES),
      postQuantum: secretKey.subarray(X25519_BYTES, publicKeyStart),
      publicKey: secretKey.subarray(publicKeyStart),
    };
    opened.set(secretKey, parts);
    return parts;
  }

  function combine(
    shared: Uint8Array,
    pqShared: Uint8Array,
    ciphertext: Uint8Array,
    publicKey: Uint8Array,
  ): Uint8Array<ArrayBuffer> {
    const secrets = lengthPrefixed(shared, pqShared);
    const root = extract(new Uint8Array(0), secrets);
    const secret = expand(root, lengthPrefixed(utf8(HYBRID_LABEL), utf8(name), ciphertext, publicKey), SECRET_BYTES);
    wipe(shared, pqShared, secrets, root);
    return secret;
  }

  return {
    name,
    sizes,
    async generateKeyPair() {
      const classical = await PLATFORM.x25519().generate();
      const postQuantum = await pq.generateKeyPair();
      const publicKey = concat(classical.publicKey, postQuantum.publicKey);
      const secretKey = concat(classical.secretKey, postQuantum.secretKey, publicKey);
      wipe(classical.secretKey, postQuantum.secretKey);
      return { publicKey, secretKey };
    },
    async encapsulate(publicKey) {
      requireLength(publicKey, publicKeyBytes, "public key");
      const ephemeral = await PLATFORM.x25519().generate();
      const secrets = [ephemeral.secretKey];
      try {
        const shared = await sharedPoint(ephemeral.secretKey, publicKey.subarray(0, X25519_BYTES));
        secrets.push(shared);
        const postQuantum = await pq.encapsulate(publicKey.subarray(X25519_BYTES));
        const ciphertext = concat(ephemeral.publicKey, postQuantum.ciphertext);
        return { ciphertext, sharedSecret: combine(shared, postQuantum.sharedSecret, ciphertext, publicKey) };
      } finally {
        // A public key of the peer that is none ends it in the middle.
        wipe(...secrets);
      }
    },
    async decapsulate(secretKey, ciphertext) {
      requireLength(secretKey, secretKeyBytes, "secret key");
      requireLength(ciphertext, ciphertextBytes, "ciphertext");
      const { classical, postQuantum, publicKey } = split(secretKey);
      const shared = await sharedPoint(classical, ciphertext.subarray(0, X25519_BYTES));
      const pqShared = await pq.decapsulate(postQuantum, ciphertext.subarray(X25519_BYTES));
      return combine(shared, pqShared, ciphertext, publicKey);
    },
  };
}

/** Views of a secret key. */
interface SecretParts {
  readonly classical: Uint8Array;
  readonly postQuantum: Uint8Array;
  readonly publicKey: Uint8Array;
}

async function sharedPoint(secretKey: Uint8Array, peer: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const shared = await PLATFORM.x25519().shared(secretKey, peer);
  if (shared === undefined) throw new QflareError("message.malformed", "expected an X25519 key of full order");
  return shared;
}

function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new RangeError(`hybrid ${what}: expected ${length} bytes, got ${bytes.length}`);
}
