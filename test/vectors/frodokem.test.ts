import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { FRODO } from "../../src/crypto/frodo-parameters.ts";
import type { FrodoPrimitives } from "../../src/crypto/frodo-primitives.ts";
import { FrodoKem } from "../../src/crypto/frodokem.ts";
import { KernelPrimitives } from "../../src/crypto/kernel-primitives.ts";
import { NATIVE_PRIMITIVES } from "../../src/crypto/native-primitives.ts";
import { readFrodoVectors, VECTORS_MIN } from "../support/frodokem-vectors.ts";
import { ctrDrbg } from "./ctr-drbg.ts";

const files = readFrodoVectors();

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function replay(kem: FrodoKem, seed: string) {
  const random = ctrDrbg(Buffer.from(seed, "hex"));
  const pair = kem.generateKeyPair(random(kem.sizes.keygenRandomness));
  return { ...pair, ...kem.encapsulate(pair.publicKey, random(kem.sizes.encapsRandomness)) };
}

/** Several tests begin with it, whichever of them runs. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Flips one bit somewhere in c1, c2 or the salt: another place for each vector. */
function altered(ciphertext: Uint8Array, count: number): Uint8Array {
  const out = ciphertext.slice();
  const places = [0, out.length >> 1, out.length - 1, out.length - 70, (count * 977) % out.length];
  out[places[(count >> 1) % places.length]] ^= 1 << (count % 8);
  return out;
}

test("every FrodoKEM parameter set has known answers", () => {
  assert.deepEqual(files.map((file) => file.algorithm).sort(), Object.keys(FRODO).sort());
});

const paths: readonly (readonly [string, FrodoPrimitives])[] = [
  ["node:crypto", NATIVE_PRIMITIVES],
  ["kernels alone", new KernelPrimitives()],
];

for (const [file, [path, primitives]] of files.flatMap((file) => paths.map((path) => [file, path] as const))) {
  const { algorithm, sizes, vectors, full } = file;
  const kem = new FrodoKem(algorithm, primitives);
  const replayed = vectors.map(({ seed }) => once(() => replay(kem, seed)));

  test(`${algorithm} has the sizes of its known answers by ${path}`, () => {
    const { publicKey, secretKey, ciphertext } = kem.sizes;
    assert.deepEqual(sizes, { pk_bytes: publicKey, sk_bytes: secretKey, ct_bytes: ciphertext });
  });

  test(`${algorithm} gives all ${vectors.length} known answers by ${path}`, () => {
    assert.ok(vectors.length >= VECTORS_MIN, `expected ${VECTORS_MIN} vectors or more, got ${vectors.length}`);
    for (const [i, { count, pk_sha256, sk_sha256, ct_sha256, ss }] of vectors.entries()) {
      const { publicKey, secretKey, ciphertext, sharedSecret } = replayed[i]();
      const got = [sha256(publicKey), sha256(secretKey), sha256(ciphertext), hex(sharedSecret)];
      assert.deepEqual(got, [pk_sha256, sk_sha256, ct_sha256, ss], `vector ${count}`);
      assert.equal(hex(kem.decapsulate(secretKey, ciphertext)), ss, `vector ${count}`);
    }
  });

  test(`${algorithm} by ${path} answers an altered ciphertext with another secret, always the same`, () => {
    for (const [i, { count, ss }] of vectors.entries()) {
      const { secretKey, ciphertext } = replayed[i]();
      const forged = altered(ciphertext, count);
      const rejected = hex(kem.decapsulate(secretKey, forged));
      assert.notEqual(rejected, ss, `vector ${count}`);
      assert.equal(hex(kem.decapsulate(secretKey, forged)), rejected, `vector ${count}`);
      const s = secretKey.subarray(0, kem.sizes.sharedSecret);
      const expected = createHash(`shake${FRODO[algorithm].shakeBits}`, { outputLength: s.length });
      assert.equal(rejected, expected.update(forged).update(s).digest("hex"), `vector ${count}`);
    }
  });

  for (const vector of full) {
    test(`${algorithm} gives a whole known answer byte for byte by ${path}`, () => {
      const { publicKey, secretKey, ciphertext, sharedSecret } = replay(kem, vector.seed);
      const { seed: _, ...expected } = Object.fromEntries(
        Object.entries(vector).map(([name, value]) => [name, String(value).toLowerCase()]),
      );
      const got = { pk: hex(publicKey), sk: hex(secretKey), ct: hex(ciphertext), ss: hex(sharedSecret) };
      assert.deepEqual(got, Object.fromEntries(Object.keys(got).map((name) => [name, expected[name]])));
    });
  }
}
