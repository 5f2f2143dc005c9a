// The public cryptography in a real browser against the same in Node, across the two.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "../../src/core/bytes.ts";
import { open, seal } from "../../src/crypto/chunked-seal.ts";
import type { MlKemName } from "../../src/crypto/kem.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { blobDigest } from "../../src/crypto/merkle.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { type SignatureName, signature } from "../../src/crypto/signature.ts";
import { exchangeKem } from "../../src/crypto/suite.ts";
import { browserMissing, useSourcesPage } from "../support/browser.ts";
import { hex } from "../unit/crypto/hex.ts";

const missing = await browserMissing();
const CHUNK = 4096;
const CONTEXT = "across";

type Numbers = readonly number[];
const array = (bytes: Uint8Array): number[] => [...bytes];
const bytes = (numbers: Numbers): Uint8Array<ArrayBuffer> => Uint8Array.from(numbers);

/** Runs in the page: signs what Node then verifies, and judges what Node has signed. */
async function signThere(job: { name: SignatureName; message: Numbers; publicKey: Numbers; signed: Numbers }): Promise<{
  publicKey: Numbers;
  signed: Numbers;
  verdicts: boolean[];
}> {
  const load = (path: string) => import(path);
  const { signature } = await load("/src/crypto/index.ts");
  const scheme = signature(job.name);
  const [message, theirs, signed] = [job.message, job.publicKey, job.signed].map((part) => Uint8Array.from(part));
  const { publicKey, secretKey } = scheme.generateKeyPair();
  const own = scheme.sign(secretKey, message, "across");
  const verdicts = ["across", "elsewhere"].map((context) => scheme.verify(theirs, message, signed, context));
  return { publicKey: [...publicKey], signed: [...own], verdicts };
}

/** Runs in the page: encapsulates to a key of Node, and offers one of its own for the second call. */
async function encapsulateThere(job: { name: string; publicKey: Numbers }): Promise<{
  ciphertext: Numbers;
  sharedSecret: Numbers;
}> {
  const load = (path: string) => import(path);
  const { exchangeKem } = await load("/src/crypto/suite.ts");
  const made = await exchangeKem(job.name).encapsulate(Uint8Array.from(job.publicKey));
  return { ciphertext: [...made.ciphertext], sharedSecret: [...made.sharedSecret] };
}

/** Runs in the page: a key pair is made, and kept for the second call. */
async function generateThere(name: string): Promise<Numbers> {
  const load = (path: string) => import(path);
  const { exchangeKem } = await load("/src/crypto/suite.ts");
  const pair = await exchangeKem(name).generateKeyPair();
  Object.assign(globalThis, { pair });
  return [...pair.publicKey];
}

/** Runs in the page. */
async function decapsulateThere(job: { name: string; ciphertext: Numbers }): Promise<Numbers> {
  const load = (path: string) => import(path);
  const { exchangeKem } = await load("/src/crypto/suite.ts");
  const { pair } = globalThis as unknown as { pair: { secretKey: Uint8Array } };
  return [...(await exchangeKem(job.name).decapsulate(pair.secretKey, Uint8Array.from(job.ciphertext)))];
}

/** Runs in the page: opens Node's blob, seals it again, and says what happens to an altered one. */
async function sealThere(job: { secret: Numbers; sealed: Numbers }): Promise<{
  opened: Numbers;
  sealed: Numbers;
  refusal: string;
  digest: Numbers;
}> {
  const load = (path: string) => import(path);
  const { blobDigest, openStream, sealStream, systemRandom } = await load("/src/crypto/index.ts");
  const [secret, sealed] = [Uint8Array.from(job.secret), Uint8Array.from(job.sealed)];
  const context = new TextEncoder().encode("across");
  const all = async (stream: AsyncIterable<Uint8Array>): Promise<number[]> => {
    const out: number[] = [];
    for await (const part of stream) out.push(...part);
    return out;
  };
  async function* cut(blob: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < blob.length; at += 1000) yield blob.subarray(at, at + 1000);
  }
  const opened = await all(openStream(secret, context, cut(sealed)));
  const again = await all(sealStream(secret, context, cut(Uint8Array.from(opened)), systemRandom, 4096));
  const refusal = await all(openStream(secret, context, cut(sealed.with(100, sealed[100]! ^ 1)))).then(
    () => "opened",
    (error: { code: string }) => error.code,
  );
  return { opened, sealed: again, refusal, digest: [...blobDigest(sealed)] };
}

describe("the cryptography in a browser and in Node", missing === undefined ? {} : { skip: missing }, () => {
  const page = useSourcesPage();

  for (const name of ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const) {
    it(`verify each other's signatures of ${name}`, async () => {
      const scheme = signature(name);
      const message = systemRandom.bytes(100);
      const { publicKey, secretKey } = scheme.generateKeyPair();
      const signed = scheme.sign(secretKey, message, CONTEXT);
      const job = { name, message: array(message), publicKey: array(publicKey), signed: array(signed) };
      const there = await page.evaluate(signThere, job);
      assert.deepEqual(there.verdicts, [true, false]);
      assert.equal(scheme.verify(bytes(there.publicKey), message, bytes(there.signed), CONTEXT), true);
    });
  }

  const names = ["ML-KEM-768", "ML-KEM-1024", "X25519+ML-KEM-768", "X25519+FrodoKEM-640-AES"] as const;
  for (const name of names satisfies readonly (MlKemName | `X25519+${string}`)[]) {
    it(`agree on secrets by ${name}, whoever has the key`, async () => {
      const { generateKeyPair, encapsulate, decapsulate } = name.startsWith("X25519")
        ? exchangeKem(name)
        : kem(name as MlKemName);
      const { publicKey, secretKey } = await generateKeyPair();
      const there = await page.evaluate(encapsulateThere, { name, publicKey: array(publicKey) });
      assert.deepEqual(array(await decapsulate(secretKey, bytes(there.ciphertext))), there.sharedSecret);
      const theirs = bytes(await page.evaluate(generateThere, name));
      const { ciphertext, sharedSecret } = await encapsulate(theirs);
      const opened = await page.evaluate(decapsulateThere, { name, ciphertext: array(ciphertext) });
      assert.equal(hex(bytes(opened)), hex(sharedSecret));
    });
  }

  it("open each other's sealed blobs, refuse altered ones, and name them alike", async () => {
    const [secret, blob] = [systemRandom.bytes(32), systemRandom.bytes(3 * CHUNK + 11)];
    const sealed = seal(secret, utf8(CONTEXT), blob, systemRandom, CHUNK);
    const there = await page.evaluate(sealThere, { secret: array(secret), sealed: array(sealed) });
    assert.equal(hex(bytes(there.opened)), hex(blob));
    assert.equal(hex(open(secret, utf8(CONTEXT), bytes(there.sealed))!), hex(blob));
    assert.equal(there.refusal, "seal.broken");
    assert.equal(hex(bytes(there.digest)), hex(blobDigest(sealed)));
    assert.notEqual(hex(bytes(there.sealed)), hex(sealed));
  });
});
