// What there is to time in the cryptography: the operations behind `qflare bench crypto` and bench/crypto.ts.

import { seal } from "../crypto/chunked-seal.ts";
import { FrodoKem } from "../crypto/frodokem.ts";
import type { FrodoName, MlKemName, SyncKem } from "../crypto/kem.ts";
import { syncKem } from "../crypto/kem-table.ts";
import { KernelPrimitives } from "../crypto/kernel-primitives.ts";
import { blobDigest } from "../crypto/merkle.ts";
import { NATIVE_PRIMITIVES } from "../crypto/native-primitives.ts";
import { systemRandom } from "../crypto/random.ts";
import { type SignatureName, signature } from "../crypto/signature.ts";
import type { Operation } from "./measure.ts";

/** Cold: A is made anew for each operation. Hot: A of the key lies in the cache. */
export function frodoOperations(name: FrodoName): Operation[] {
  const cold = new FrodoKem(name, NATIVE_PRIMITIVES, { cacheBytesMax: 0 });
  return [...kemOperations(name, cold), ...kemOperations(`${name} hot`, syncKem(name)).slice(1)];
}

/** As in a browser: nothing of node:crypto. */
export function frodoKernelOperations(name: FrodoName): Operation[] {
  return kemOperations(`${name} kernel`, new FrodoKem(name, new KernelPrimitives(), { cacheBytesMax: 0 }));
}

export function mlKemOperations(name: MlKemName): Operation[] {
  return kemOperations(name, syncKem(name));
}

function kemOperations(label: string, kem: SyncKem): Operation[] {
  const { publicKey, secretKey } = kem.generateKeyPair();
  const { ciphertext } = kem.encapsulate(publicKey);
  return [
    { name: `${label} generate key pair`, run: () => kem.generateKeyPair() },
    { name: `${label} encapsulate`, run: () => kem.encapsulate(publicKey) },
    { name: `${label} decapsulate`, run: () => kem.decapsulate(secretKey, ciphertext) },
  ];
}

export function signatureOperations(name: SignatureName): Operation[] {
  const scheme = signature(name);
  const { publicKey, secretKey } = scheme.generateKeyPair();
  const message = systemRandom.bytes(64);
  const signed = scheme.sign(secretKey, message, "bench");
  return [
    { name: `${name} generate key pair`, run: () => scheme.generateKeyPair() },
    { name: `${name} sign`, run: () => scheme.sign(secretKey, message, "bench") },
    { name: `${name} verify`, run: () => scheme.verify(publicKey, message, signed, "bench") },
  ];
}

export function blobOperations(bytes: number): Operation[] {
  const secret = systemRandom.bytes(32);
  const context = new Uint8Array(0);
  const blob = systemRandom.bytes(bytes);
  return [
    { name: "AES-256-GCM sealed blob", run: () => seal(secret, context, blob, systemRandom).buffer.transfer(0), bytes },
    { name: "SHA-256 tree over a blob", run: () => blobDigest(blob), bytes },
  ];
}
