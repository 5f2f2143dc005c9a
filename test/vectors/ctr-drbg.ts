// NIST SP 800-90A CTR_DRBG with AES-256, without derivation function: the source of randomness of the known answers.

import { createCipheriv } from "node:crypto";

/** seed: 48 bytes. Each call of the result is one request. */
export function ctrDrbg(seed: Uint8Array): (length: number) => Uint8Array {
  let key = new Uint8Array(32);
  let v = 0n;
  const blocks = (length: number): Uint8Array => {
    const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    const parts: Uint8Array[] = [];
    for (let made = 0; made < length; made += 16) {
      v = (v + 1n) % 2n ** 128n;
      parts.push(cipher.update(v.toString(16).padStart(32, "0"), "hex"));
    }
    return Buffer.concat(parts).subarray(0, length);
  };
  const update = (data: Uint8Array): void => {
    const next = blocks(48).map((byte, i) => byte ^ data[i]);
    key = next.slice(0, 32);
    v = BigInt(`0x${Buffer.from(next.subarray(32)).toString("hex")}`);
  };
  update(seed);
  return (length) => {
    const out = blocks(length);
    update(new Uint8Array(48));
    return out;
  };
}
