// Node's platform and the browser's, held against each other. The browser's runs here on Node's WebCrypto.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { MlKem } from "../../../src/crypto/ml-kem.ts";
import { PLATFORM as NATIVE } from "../../../src/crypto/native-platform.ts";
import { MlDsa } from "../../../src/crypto/signature.ts";
import { PLATFORM as WEB } from "../../../src/crypto/web-platform.ts";
import { hex, hexes } from "./hex.ts";

const PAIRS = [
  { from: "Node", to: "a browser", ours: NATIVE, theirs: WEB },
  { from: "a browser", to: "Node", ours: WEB, theirs: NATIVE },
] as const;
const message = utf8("a message");

for (const { from, to, ours, theirs } of PAIRS) {
  describe(`from ${from} to ${to}`, () => {
    for (const name of ["ML-KEM-768", "ML-KEM-1024"] as const) {
      it(`${name} agrees on a secret`, () => {
        const { publicKey, secretKey } = new MlKem(name, ours.mlKem()).generateKeyPair();
        const { ciphertext, sharedSecret } = new MlKem(name, theirs.mlKem()).encapsulate(publicKey);
        assert.equal(hex(new MlKem(name, ours.mlKem()).decapsulate(secretKey, ciphertext)), hex(sharedSecret));
        const randomness = new Uint8Array(32).fill(5);
        const both = [ours, theirs].map((at) => hexes(new MlKem(name, at.mlKem()).encapsulate(publicKey, randomness)));
        assert.deepEqual(both[0], both[1]);
        const forged = ciphertext.with(7, ciphertext[7] ^ 1);
        const rejected = [ours, theirs].map((at) => hex(new MlKem(name, at.mlKem()).decapsulate(secretKey, forged)));
        assert.equal(rejected[0], rejected[1]);
      });

      it(`${name} refuses the same public keys`, () => {
        const engine = new MlKem(name, ours.mlKem());
        const publicKey = new Uint8Array(engine.sizes.publicKey).fill(255);
        assert.throws(() => engine.encapsulate(publicKey), { code: "kem.public_key" });
      });
    }

    for (const name of ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const) {
      it(`${name} signs what the other verifies, under its context alone`, () => {
        const [signer, verifier] = [new MlDsa(name, ours.mlDsa(name)), new MlDsa(name, theirs.mlDsa(name))];
        const { publicKey, secretKey } = signer.generateKeyPair();
        assert.equal(hex(verifier.generateKeyPair(secretKey).publicKey), hex(publicKey));
        const signed = signer.sign(secretKey, message, "here");
        assert.notEqual(hex(signer.sign(secretKey, message, "here")), hex(signed), "hedged");
        assert.equal(verifier.verify(publicKey, message, signed, "here"), true);
        assert.equal(verifier.verify(publicKey, message, signed, "there"), false);
        assert.equal(verifier.verify(publicKey, message, signed.with(0, signed[0] ^ 1), "here"), false);
        assert.throws(() => signer.sign(secretKey, message, "c".repeat(256)), RangeError);
      });
    }

    it("X25519 agrees on a point, and a secret key has one public key", async () => {
      const [a, b] = [await ours.x25519().generate(), await theirs.x25519().generate()];
      const point = await ours.x25519().shared(a.secretKey, b.publicKey);
      assert.equal(hex(point!), hex((await theirs.x25519().shared(b.secretKey, a.publicKey))!));
      assert.deepEqual(hexes(await theirs.x25519().generate(a.secretKey)), hexes(a));
      assert.equal(await ours.x25519().shared(a.secretKey, new Uint8Array(32)), undefined);
    });

    it("a chunk opens, and altered it does not", async () => {
      const [key, nonce] = [ours.randomBytes(32), ours.randomBytes(12)];
      const sealed = await (await ours.chunkCipher(key)).seal(nonce, message);
      const opener = await theirs.chunkCipher(key);
      assert.equal(hex((await opener.open(nonce, sealed))!), hex(message));
      assert.equal(await opener.open(nonce, sealed.with(0, sealed[0] ^ 1)), undefined);
      assert.equal(await opener.open(nonce, sealed.subarray(0, 15)), undefined);
    });
  });
}

it("hashes and MACs are the same", () => {
  for (const name of ["sha256", "sha384", "sha512"] as const) {
    const digests = [NATIVE, WEB].map((platform) => {
      const [hash, mac] = [platform.startHash(name), platform.startHmac(name, utf8("key"))];
      for (const running of [hash, mac]) for (const part of [message, new Uint8Array(0), message]) running.update(part);
      return [hex(hash.digest()), hex(mac.digest()), hex(platform.hkdf(name, message, utf8("salt"), message, 100))];
    });
    assert.deepEqual(digests[0], digests[1]);
  }
});

describe("a key object that is kept", () => {
  it("is not taken for a secret key whose bytes have changed", () => {
    const scheme = new MlDsa("ML-DSA-44", NATIVE.mlDsa("ML-DSA-44"));
    const [first, second] = [scheme.generateKeyPair(), scheme.generateKeyPair()];
    const secret = first.secretKey.slice();
    scheme.sign(secret, message, "");
    secret.set(second.secretKey);
    assert.equal(scheme.verify(second.publicKey, message, scheme.sign(secret, message, ""), ""), true);
  });

  it("is not taken for a public key whose bytes have changed", () => {
    const scheme = new MlDsa("ML-DSA-44", NATIVE.mlDsa("ML-DSA-44"));
    const [first, second] = [scheme.generateKeyPair(), scheme.generateKeyPair()];
    const signed = scheme.sign(first.secretKey, message, "");
    const key = first.publicKey.slice();
    assert.equal(scheme.verify(key, message, signed, ""), true);
    key.set(second.publicKey);
    assert.equal(scheme.verify(key, message, signed, ""), false);
  });

  it("is not taken for a wiped seed of ML-KEM", () => {
    const engine = new MlKem("ML-KEM-768", NATIVE.mlKem());
    const { publicKey, secretKey } = engine.generateKeyPair();
    const { ciphertext, sharedSecret } = engine.encapsulate(publicKey);
    secretKey.fill(0);
    assert.notEqual(hex(engine.decapsulate(secretKey, ciphertext)), hex(sharedSecret));
  });
});
