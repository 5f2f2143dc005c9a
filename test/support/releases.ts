// Releases of the enclave's program, signed by a key of the tests.

import { releaseKeyHash, signReferenceValues, toSignedForm } from "../../src/attestation/reference-values.ts";
import { signature } from "../../src/crypto/signature.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Fields = Partial<Parameters<typeof signReferenceValues>[0]>;

/** seed: another number is another key. */
export function releaseKey(seed = 1): { readonly hash: Bytes; sign(program: Bytes, fields?: Fields): string } {
  const keys = signature("ML-DSA-44").generateKeyPair(new Uint8Array(32).fill(seed));
  return {
    hash: releaseKeyHash(keys.publicKey),
    sign: (program, fields) => {
      const empty = { release: "2.0.0", node: process.version, measurements: [], not_after: Number.MAX_SAFE_INTEGER };
      return toSignedForm(signReferenceValues({ v: 1, ...empty, program, ...fields }, keys));
    },
  };
}
