// In place of src/crypto/native-ml-kem.ts, for bench/security-cost.ts: keys, ciphertexts and secrets of zeros.

import { kemSizes } from "../../../src/crypto/kem-sizes.ts";
import type { MlKemPrimitives } from "../../../src/crypto/ml-kem-primitives.ts";

export function nativeMlKem(): MlKemPrimitives {
  return {
    generate(name) {
      const { publicKey, secretKey } = kemSizes(name);
      return { publicKey: new Uint8Array(publicKey), seed: new Uint8Array(secretKey) };
    },
    encapsulate(name) {
      const { ciphertext, sharedSecret } = kemSizes(name);
      return { ciphertext: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedSecret) };
    },
    decapsulate: (name) => new Uint8Array(kemSizes(name).sharedSecret),
  };
}
