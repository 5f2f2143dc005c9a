// FrodoKEM in a real browser: the known answers, by kernels and WebCrypto alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FRODO, frodoSizes } from "../../src/crypto/frodo-parameters.ts";
import type { FrodoName } from "../../src/crypto/kem.ts";
import { browserMissing, useSourcesPage } from "../support/browser.ts";
import { type FrodoVector, readFrodoVectors, VECTORS_MIN } from "../support/frodokem-vectors.ts";
import { ctrDrbg } from "../vectors/ctr-drbg.ts";

const missing = await browserMissing();

interface Job {
  readonly name: FrodoName;
  readonly vectors: readonly { readonly keygen: number[]; readonly encaps: number[] }[];
}

/** As the vectors tell it, with the secret that decapsulation gives, and what a flipped bit gives. */
interface Answer extends Omit<FrodoVector, "count" | "seed"> {
  readonly opened: string;
  readonly rejected: string;
}

/** Runs in the page. */
async function replay({ name, vectors }: Job): Promise<Answer[]> {
  const load = (path: string) => import(path);
  const { FrodoKem } = await load("/src/crypto/frodokem.ts");
  const { KernelPrimitives } = await load("/src/crypto/kernel-primitives.ts");
  const kem = new FrodoKem(name, new KernelPrimitives());
  const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
    hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  const answers: Answer[] = [];
  for (const { keygen, encaps } of vectors) {
    const { publicKey, secretKey } = kem.generateKeyPair(Uint8Array.from(keygen));
    const { ciphertext, sharedSecret } = kem.encapsulate(publicKey, Uint8Array.from(encaps));
    const forged = ciphertext.slice();
    forged[forged.length >> 1] ^= 1;
    answers.push({
      pk_sha256: await sha256(publicKey),
      sk_sha256: await sha256(secretKey),
      ct_sha256: await sha256(ciphertext),
      ss: hex(sharedSecret),
      opened: hex(kem.decapsulate(secretKey, ciphertext)),
      rejected: hex(kem.decapsulate(secretKey, forged)),
    });
  }
  return answers;
}

/** Runs in the page: two fresh exchanges, with the randomness of the browser. */
async function exchange(name: FrodoName): Promise<{ secrets: string[]; publicKeys: string[] }> {
  const load = (path: string) => import(path);
  const { FrodoKem } = await load("/src/crypto/frodokem.ts");
  const { KernelPrimitives } = await load("/src/crypto/kernel-primitives.ts");
  const kem = new FrodoKem(name, new KernelPrimitives());
  const [secrets, publicKeys]: string[][] = [[], []];
  for (let i = 0; i < 2; i++) {
    const { publicKey, secretKey } = kem.generateKeyPair();
    const { ciphertext, sharedSecret } = kem.encapsulate(publicKey);
    secrets.push(sharedSecret.join(), kem.decapsulate(secretKey, ciphertext).join());
    publicKeys.push(publicKey.join());
  }
  return { secrets, publicKeys };
}

describe("FrodoKEM in a browser", missing === undefined ? {} : { skip: missing }, () => {
  const page = useSourcesPage();

  for (const { algorithm, vectors } of readFrodoVectors()) {
    it(`gives all ${vectors.length} known answers of ${algorithm}`, async () => {
      assert.ok(vectors.length >= VECTORS_MIN, `expected ${VECTORS_MIN} vectors or more, got ${vectors.length}`);
      const { keygenRandomness, encapsRandomness } = frodoSizes(FRODO[algorithm]);
      const drawn = vectors.map(({ seed }) => {
        const random = ctrDrbg(Buffer.from(seed, "hex"));
        return { keygen: [...random(keygenRandomness)], encaps: [...random(encapsRandomness)] };
      });
      const answers = await page.evaluate(replay, { name: algorithm, vectors: drawn });
      for (const [i, { opened, rejected, ...answer }] of answers.entries()) {
        const { count, seed: _, ...expected } = vectors[i]!;
        assert.deepEqual(answer, expected, `vector ${count}`);
        assert.equal(opened, expected.ss, `vector ${count}`);
        assert.notEqual(rejected, expected.ss, `vector ${count}`);
      }
      assert.equal(answers.length, vectors.length);
    });
  }

  it("agrees on fresh secrets with the randomness of the browser", async () => {
    const { secrets, publicKeys } = await page.evaluate(exchange, "FrodoKEM-640-AES");
    assert.equal(secrets[0], secrets[1]);
    assert.equal(secrets[2], secrets[3]);
    assert.notEqual(secrets[0], secrets[2]);
    assert.notEqual(publicKeys[0], publicKeys[1]);
  });
});
