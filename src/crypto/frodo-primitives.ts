// What FrodoKEM needs of the platform: SHAKE, rows of A, randomness. native-primitives.ts takes them from node:crypto,
// kernel-primitives.ts from WebAssembly and WebCrypto, so that the engine runs where there is no Node.

export type ShakeBits = 128 | 256;

/** AES: eight coefficients a block of AES-128. SHAKE: a row a call of SHAKE128. */
export type RowGenerator = "AES" | "SHAKE";

/** Writes rows of A, 2 n bytes each and a multiple of four of them, from row rowFirst on, until out is full. */
export type RowWriter = (out: Uint8Array, rowFirst: number) => void;

/** Starts on the A that seedA, 16 bytes and public, determines. A writer ends where the next one starts. */
export type RowSource = (seedA: Uint8Array) => RowWriter;

export interface FrodoPrimitives {
  /** FIPS 202: length bytes, the caller's to wipe. Nothing of input or output stays behind. */
  shake(bits: ShakeBits, input: Uint8Array, length: number): Uint8Array<ArrayBuffer>;
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
  /** Rows of an n x n matrix. */
  rows(generator: RowGenerator, n: number): RowSource;
}
