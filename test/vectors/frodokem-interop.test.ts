// Ours and liboqs, each at either end: keys, ciphertexts and signatures of one are good for the other.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { SyncKem } from "../../src/crypto/kem.ts";
import { kemNames, syncKem } from "../../src/crypto/kem-table.ts";
import { signature } from "../../src/crypto/signature.ts";
import { LIBOQS_MISSING, loadLiboqs, type OqsKem } from "../support/liboqs.ts";

const liboqs = await loadLiboqs();
const options = liboqs === undefined ? { skip: LIBOQS_MISSING } : {};
const ROUNDS = 5;

/** The package refuses a Buffer. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function flipped(ciphertext: Uint8Array): Uint8Array {
  const out = plain(ciphertext);
  out[out.length >> 1] ^= 1;
  return out;
}

/** What both ends say to a ciphertext of theirs under a key of ours. */
function openTheirs(ours: SyncKem, theirs: OqsKem): void {
  const { publicKey, secretKey } = ours.generateKeyPair();
  const { ciphertext, sharedSecret } = theirs.encapsulate(publicKey);
  assert.deepEqual(ours.decapsulate(secretKey, ciphertext), sharedSecret);
  assert.notDeepEqual(ours.decapsulate(secretKey, flipped(ciphertext)), sharedSecret);
}

function openOurs(ours: SyncKem, theirs: OqsKem): void {
  const { publicKey, secretKey } = theirs.generateKeyPair();
  const { ciphertext, sharedSecret } = ours.encapsulate(publicKey);
  assert.deepEqual(theirs.decapsulate(ciphertext, secretKey), sharedSecret);
}

for (const name of kemNames()) {
  test(`${name} opens what liboqs encapsulates`, options, async () => {
    const theirs = await liboqs!.kem(name);
    for (let round = 0; round < ROUNDS; round++) openTheirs(syncKem(name), theirs);
  });

  test(`liboqs opens what ${name} encapsulates`, options, async () => {
    const theirs = await liboqs!.kem(name);
    for (let round = 0; round < ROUNDS; round++) openOurs(syncKem(name), theirs);
  });

  // The secret key of ML-KEM is a seed here and the expanded key there.
  if (name.startsWith("ML-KEM")) continue;

  test(`${name} and liboqs decapsulate alike under one secret key, forged ciphertexts included`, options, async () => {
    const [ours, theirs] = [syncKem(name), await liboqs!.kem(name)];
    for (let round = 0; round < ROUNDS; round++) {
      const { publicKey, secretKey } = round % 2 === 0 ? ours.generateKeyPair() : theirs.generateKeyPair();
      const { ciphertext } = ours.encapsulate(publicKey);
      for (const received of [ciphertext, flipped(ciphertext), plain(randomBytes(ciphertext.length))]) {
        assert.deepEqual(ours.decapsulate(secretKey, received), theirs.decapsulate(received, secretKey));
      }
    }
  });
}

test("ML-DSA-44 and liboqs verify each other's signatures with an empty context, and no others", options, async () => {
  const [ours, theirs] = [signature("ML-DSA-44"), await liboqs!.signature("ML-DSA-44")];
  const [ourKeys, theirKeys] = [ours.generateKeyPair(), theirs.generateKeyPair()];
  for (const length of [1, 32, 5000]) {
    const message = plain(randomBytes(length));
    const ourSignature = ours.sign(ourKeys.secretKey, message, "");
    assert.ok(theirs.verify(message, ourSignature, ourKeys.publicKey));
    assert.ok(!theirs.verify(message, ours.sign(ourKeys.secretKey, message, "context"), ourKeys.publicKey));
    assert.ok(!theirs.verify(flipped(message), ourSignature, ourKeys.publicKey));
    const theirSignature = theirs.sign(message, theirKeys.secretKey);
    assert.ok(ours.verify(theirKeys.publicKey, message, theirSignature, ""));
    assert.ok(!ours.verify(theirKeys.publicKey, message, theirSignature, "context"));
    assert.ok(!ours.verify(ourKeys.publicKey, message, theirSignature, ""));
  }
});
