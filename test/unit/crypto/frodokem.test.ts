import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { FRODO, frodoPartSizes } from "../../../src/crypto/frodo-parameters.ts";
import { FrodoKem } from "../../../src/crypto/frodokem.ts";
import type { FrodoName } from "../../../src/crypto/kem.ts";
import { KernelPrimitives } from "../../../src/crypto/kernel-primitives.ts";
import { NATIVE_PRIMITIVES } from "../../../src/crypto/native-primitives.ts";
import { sample } from "./frodo-twin.ts";
import { hex, hexes } from "./hex.ts";

const NAMES = Object.keys(FRODO) as FrodoName[];
const A_BYTES_640 = 2 * 640 * 640;

function shake(bits: number, length: number, ...parts: Uint8Array[]): Buffer {
  const hash = createHash(`shake${bits}`, { outputLength: length });
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The first rows of S or S', and the same as the kernel doubles them. */
function secretRows(name: FrodoName, domain: number, seedSE: Uint8Array): Record<string, Buffer> {
  const { n, shakeBits, cdf } = FRODO[name];
  const r = shake(shakeBits, 2 * n * 8, Uint8Array.of(domain), seedSE);
  const words = Array.from({ length: n * 8 }, (_, i) => sample(r.readUInt16LE(2 * i), cdf) & 0xffff);
  const row = (i: number) => Buffer.from(Uint16Array.from(words.slice(i * n, i * n + 24)).buffer);
  const column = words.filter((_, i) => i % n === n - 2).flatMap((word) => [word, word]);
  return {
    "uniform words": r.subarray(64, 96),
    "row 0": row(0),
    "row 7": row(7),
    "a doubled column": Buffer.from(Uint16Array.from(column).buffer),
  };
}

/** Coefficients are small: half a dozen in a row are zero now and then, and zeros are found in any memory. */
const WINDOW_BYTES = 24;

function assertAbsent(memory: Buffer, secrets: Record<string, Uint8Array>): void {
  for (const [what, secret] of Object.entries(secrets)) {
    const window = Math.min(WINDOW_BYTES, secret.length);
    for (let at = 0; at + window <= secret.length; at += window / 2) {
      assert.equal(memory.indexOf(secret.subarray(at, at + window)), -1, `${what}, byte ${at}`);
    }
  }
}

for (const name of NAMES) {
  const { shakeBits } = FRODO[name];
  const { message, seedSE } = frodoPartSizes(FRODO[name]);
  const { keygenRandomness, encapsRandomness } = new FrodoKem(name, NATIVE_PRIMITIVES).sizes;

  test(`${name} leaves no secret in linear memory`, () => {
    const primitives = new KernelPrimitives();
    const kem = new FrodoKem(name, primitives);
    const memory = (): Buffer => Buffer.concat([kem.memory.bytes, primitives.keccak.room.bytes]);
    // Fixed randomness: what is absent once is absent always, whatever small coefficients a random key would hold.
    const [keygen, encaps] = ["keygen", "encaps"].map((label, i) =>
      shake(256, [keygenRandomness, encapsRandomness][i] as number, Buffer.from(`${label} ${name}`)),
    ) as [Buffer, Buffer];
    const { publicKey, secretKey } = kem.generateKeyPair(keygen);
    const keySecrets = {
      s: keygen.subarray(0, message),
      "seedSE of the key": keygen.subarray(message, message + seedSE),
      "S^T": secretKey.subarray(message + publicKey.length, message + publicKey.length + 240),
      ...secretRows(name, 0x5f, keygen.subarray(message, message + seedSE)),
    };
    assertAbsent(memory(), keySecrets);

    const { ciphertext, sharedSecret } = kem.encapsulate(publicKey, encaps);
    const seeds = shake(shakeBits, seedSE + message, shake(shakeBits, message, publicKey), encaps);
    const encapsSecrets = {
      mu: encaps.subarray(0, message),
      "shared secret": sharedSecret,
      "seedSE and k": seeds,
      ...secretRows(name, 0x96, seeds.subarray(0, seedSE)),
    };
    assertAbsent(memory(), encapsSecrets);

    const forged = ciphertext.slice();
    forged[100] ^= 1;
    for (const received of [ciphertext, forged, ciphertext]) {
      const secret = kem.decapsulate(secretKey, received);
      assertAbsent(memory(), { ...keySecrets, ...encapsSecrets, "decapsulated secret": secret });
    }
    // The search works: A of a key in the cache is there to be found.
    assert.equal(kem.cache.size, 1);
    const seedA = publicKey.subarray(0, 16);
    const aes = FRODO[name].generator === "AES";
    const found = Buffer.from(kem.memory.bytes).indexOf(aes ? firstBlock(seedA) : firstRow(seedA));
    assert.notEqual(found, -1);
  });

  test(`${name} gives the same results with and without its cache`, () => {
    const [cold, hot] = [
      new FrodoKem(name, NATIVE_PRIMITIVES, { cacheBytesMax: 0 }),
      new FrodoKem(name, NATIVE_PRIMITIVES),
    ];
    const { publicKey, secretKey } = cold.generateKeyPair();
    for (let i = 0; i < 4; i++) {
      const randomness = randomBytes(encapsRandomness);
      const [c, h] = [cold.encapsulate(publicKey, randomness), hot.encapsulate(publicKey, randomness)];
      assert.deepEqual(hexes(h), hexes(c));
      assert.equal(hex(hot.decapsulate(secretKey, c.ciphertext)), hex(c.sharedSecret));
      assert.equal(hex(cold.decapsulate(secretKey, c.ciphertext)), hex(c.sharedSecret));
    }
    assert.deepEqual([cold.cache.size, hot.cache.size], [0, 1]);
  });

  test(`${name} gives the same results by node:crypto and by kernels alone`, () => {
    const [native, kernel] = [new FrodoKem(name, NATIVE_PRIMITIVES), new FrodoKem(name, new KernelPrimitives())];
    const { publicKey, secretKey } = native.generateKeyPair();
    for (let i = 0; i < 4; i++) {
      const { ciphertext, sharedSecret } = kernel.encapsulate(publicKey);
      assert.equal(hex(native.decapsulate(secretKey, ciphertext)), hex(sharedSecret));
      const other = kernel.generateKeyPair();
      const sealed = native.encapsulate(other.publicKey);
      assert.equal(hex(kernel.decapsulate(other.secretKey, sealed.ciphertext)), hex(sealed.sharedSecret));
    }
  });
}

function firstBlock(seedA: Uint8Array): Buffer {
  const kem = new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES); // any set: A(0, 0..7) is AES of the zero block
  let block = Buffer.alloc(0);
  kem.matrix.visitOnce(seedA, (address, rowFirst) => {
    if (rowFirst === 0) block = Buffer.from(kem.memory.view(address, 16));
  });
  return block;
}

function firstRow(seedA: Uint8Array): Buffer {
  return shake(128, 64, Uint8Array.of(0, 0), seedA);
}

test("a key gets a place in the cache when it is seen for the second time", () => {
  const kem = new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES);
  const { publicKey, secretKey } = kem.generateKeyPair();
  const { ciphertext } = kem.encapsulate(publicKey);
  assert.equal(kem.cache.size, 0);
  kem.decapsulate(secretKey, ciphertext);
  assert.equal(kem.cache.size, 1);
});

test("the cache stays within its bytes and drops the key unused for longest", () => {
  const kem = new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES, { cacheBytesMax: 3 * A_BYTES_640 + 100 });
  assert.equal(kem.cache.slotsMax, 3);
  const keys = Array.from({ length: 5 }, () => kem.generateKeyPair());
  const empty = kem.memory.bytes.length;
  const use = (i: number): void => {
    const { ciphertext, sharedSecret } = kem.encapsulate(keys[i].publicKey);
    assert.equal(hex(kem.decapsulate(keys[i].secretKey, ciphertext)), hex(sharedSecret));
  };
  for (let i = 0; i < 5; i++) {
    use(i);
    use(0);
    assert.ok(kem.cache.size <= 3);
    assert.ok(kem.memory.bytes.length <= empty + 3 * A_BYTES_640 + 65536 * 2);
  }
  assert.deepEqual(
    keys.map(({ publicKey }) => kem.cache.has(publicKey)),
    [true, false, false, true, true],
  );
});

test("keys of one session do not enter the cache, however many there are", () => {
  const kem = new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES);
  for (let i = 0; i < 300; i++) kem.encapsulate(randomBytes(9616));
  assert.equal(kem.cache.size, 0);
});

test("a key with the seedA of another one keeps its own hash", () => {
  const [cold, hot] = [
    new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES, { cacheBytesMax: 0 }),
    new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES),
  ];
  const { publicKey } = cold.generateKeyPair();
  for (let i = 0; i < 3; i++) hot.encapsulate(publicKey);
  const other = publicKey.slice();
  other[9615] ^= 1;
  const randomness = randomBytes(48);
  assert.deepEqual(hexes(hot.encapsulate(other, randomness)), hexes(cold.encapsulate(other, randomness)));
});

test("arguments stay as they are, and results are copies of their own", () => {
  const kem = new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES);
  const [keygen, encaps] = [randomBytes(64), randomBytes(48)];
  const copies = [hex(keygen), hex(encaps)];
  const first = kem.generateKeyPair(keygen);
  const second = kem.generateKeyPair(keygen);
  assert.deepEqual(hexes(first), hexes(second));
  const [a, b] = [kem.encapsulate(first.publicKey, encaps), kem.encapsulate(first.publicKey, encaps)];
  const secret = kem.decapsulate(first.secretKey, a.ciphertext);
  assert.deepEqual([hex(keygen), hex(encaps)], copies);
  assert.deepEqual(hexes(first), hexes(second));
  a.ciphertext.fill(0);
  a.sharedSecret.fill(0);
  assert.equal(hex(kem.decapsulate(first.secretKey, b.ciphertext)), hex(secret));
  for (const bytes of [first.publicKey, first.secretKey, a.ciphertext, a.sharedSecret, secret]) {
    assert.ok(bytes.buffer !== kem.memory.bytes.buffer);
    assert.equal(bytes.constructor, Uint8Array);
  }
});

test("fresh randomness gives another result every time", () => {
  const kem = new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES);
  const { publicKey } = kem.generateKeyPair();
  assert.notEqual(hex(kem.generateKeyPair().publicKey), hex(publicKey));
  assert.notEqual(hex(kem.encapsulate(publicKey).sharedSecret), hex(kem.encapsulate(publicKey).sharedSecret));
});

test("a cache of less than 0 bytes is refused", () => {
  assert.throws(() => new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES, { cacheBytesMax: -1 }), RangeError);
  assert.throws(() => new FrodoKem("FrodoKEM-640-AES", NATIVE_PRIMITIVES, { cacheBytesMax: Number.NaN }), RangeError);
});
