// The sealed blob written from its description, with node's own HKDF and AES-GCM and no code of the product.

import { createCipheriv, hkdfSync } from "node:crypto";

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

const prefixed = (part: Uint8Array): Buffer => Buffer.concat([u32(part.length), part]);

export function sealTwin(
  secret: Uint8Array,
  context: Uint8Array,
  plaintext: Uint8Array,
  salt: Uint8Array,
  chunkBytes: number,
): Buffer {
  const info = Buffer.concat([prefixed(Buffer.from("qflare/v1 seal")), prefixed(u32(chunkBytes)), prefixed(context)]);
  const material = Buffer.from(hkdfSync("sha384", secret, salt, info, 32 + 32 + 7));
  const [key, commitment, prefix] = [material.subarray(0, 32), material.subarray(32, 64), material.subarray(64)];
  const chunks: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < plaintext.length; at += chunkBytes)
    chunks.push(plaintext.subarray(at, at + chunkBytes));
  const sealed = chunks.map((chunk, i) => {
    const nonce = Buffer.concat([prefix, u32(i), Buffer.from([i === chunks.length - 1 ? 1 : 0])]);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  });
  return Buffer.concat([Buffer.from("QFS1"), u32(chunkBytes), salt, commitment, ...sealed]);
}
