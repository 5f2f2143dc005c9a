// liboqs built for this machine as a shared library, in this process: the work of others at its fastest. It checks its
// own answers before it is timed, so that a wrong declaration does not pass for speed.

import assert from "node:assert/strict";
import { dlopen } from "node:ffi";
import type { Operation } from "../../src/cli/measure.ts";
import type { KemName } from "../../src/crypto/kem.ts";
import { kemSizes } from "../../src/crypto/kem-sizes.ts";

/** ML-KEM's expanded secret key: FIPS 203 table 3. FrodoKEM's are as long as ours. */
const SECRET_KEY_BYTES: Partial<Record<KemName, number>> = { "ML-KEM-768": 2400, "ML-KEM-1024": 3168 };

/** library: path of liboqs.so, built with this mechanism. label stands before the names of the operations. */
export function nativeKem(library: string, label: string, name: KemName): Operation[] {
  const symbol = `OQS_KEM_${name.toLowerCase().replaceAll("-", "_")}`;
  const two = { return: "int32", arguments: ["buffer", "buffer"] } as const;
  const three = { return: "int32", arguments: ["buffer", "buffer", "buffer"] } as const;
  const definitions = { [`${symbol}_keypair`]: two, [`${symbol}_encaps`]: three, [`${symbol}_decaps`]: three };
  const { functions } = dlopen(library, definitions);
  const call = (verb: string, ...buffers: Uint8Array[]): void => {
    const run = functions[`${symbol}_${verb}`] as unknown as (...given: Uint8Array[]) => number;
    assert.equal(run(...buffers), 0, `liboqs ${verb}`);
  };
  const sizes = kemSizes(name);
  const lengths = [sizes.publicKey, SECRET_KEY_BYTES[name] ?? sizes.secretKey, sizes.ciphertext];
  const [publicKey, secretKey, ciphertext] = lengths.map((length) => Buffer.alloc(length)) as [Buffer, Buffer, Buffer];
  const [sent, received] = [Buffer.alloc(sizes.sharedSecret), Buffer.alloc(sizes.sharedSecret)];
  call("keypair", publicKey, secretKey);
  call("encaps", ciphertext, sent, publicKey);
  call("decaps", received, ciphertext, secretKey);
  assert.deepEqual(received, sent);
  const spare = [Buffer.alloc(publicKey.length), Buffer.alloc(secretKey.length)] as const;
  return [
    { name: `${label}${name} generate key pair`, run: () => call("keypair", ...spare) },
    { name: `${label}${name} encapsulate`, run: () => call("encaps", ciphertext, sent, publicKey) },
    { name: `${label}${name} decapsulate`, run: () => call("decaps", received, ciphertext, secretKey) },
  ];
}
