// Public entry "qflare/crypto".
export type { Encapsulation, Kem, KemKeyPair, KemName, KemSizes } from "./kem.ts";
export { kem } from "./kem-table.ts";
export { BlobHasher, blobDigest } from "./merkle.ts";
export { systemRandom } from "./random.ts";
export { openStream, sealStream } from "./seal-stream.ts";
export { type SignatureName, type SignatureScheme, signature } from "./signature.ts";
export { DEFAULT_SUITE, SUITES, type Suite, type SuiteName } from "./suite.ts";
