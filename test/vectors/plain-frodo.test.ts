import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decapsulate, encapsulate, generateKeyPair } from "../support/plain-frodo.ts";
import { ctrDrbg } from "./ctr-drbg.ts";

const file = new URL("data/frodokem/FrodoKEM-640-AES.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as {
  vectors: Record<"seed" | "pk_sha256" | "sk_sha256" | "ct_sha256" | "ss", string>[];
};

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

test("the plain FrodoKEM-640-AES gives two known answers, and another secret for an altered ciphertext", () => {
  assert.ok(vectors.length >= 2);
  for (const { seed, pk_sha256, sk_sha256, ct_sha256, ss } of vectors.slice(0, 2)) {
    const random = ctrDrbg(Buffer.from(seed, "hex"));
    const { publicKey, secretKey } = generateKeyPair(random(64));
    const { ciphertext, sharedSecret } = encapsulate(publicKey, random(48));
    assert.deepEqual(
      [sha256(publicKey), sha256(secretKey), sha256(ciphertext), Buffer.from(sharedSecret).toString("hex")],
      [pk_sha256, sk_sha256, ct_sha256, ss],
    );
    assert.equal(Buffer.from(decapsulate(secretKey, ciphertext)).toString("hex"), ss);
    const altered = Uint8Array.from(ciphertext);
    altered[100] ^= 1;
    assert.notEqual(Buffer.from(decapsulate(secretKey, altered)).toString("hex"), ss);
  }
});
