// Who wipes the server's long-term keys, and when.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { decodeCbor, encodeCbor } from "../../../src/core/codec.ts";
import { writeSecretFile } from "../../../src/crypto/secret-file.ts";
import {
  freshServerKeys,
  KEY_FILE,
  loadServerKeys,
  readOwnCertificate,
  ServerKeyring,
} from "../../../src/server/keys.ts";
import { seededRandom } from "../../support/clock.ts";
import { folderOf } from "../../support/folder.ts";

const random = seededRandom("keys");
const isWiped = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

const secretsOf = (ring: ServerKeyring): Uint8Array[] => [
  ring.pairOf("ML-DSA-44").secretKey,
  ring.pairOf("ML-DSA-65").secretKey,
];

test("a rotation wipes seeds and keys of the identity before, and no others", () => {
  const stored = freshServerKeys(random, null);
  const ring = new ServerKeyring(stored, { certificate: "", key: Buffer.from("a key") }, null);
  const before = [...secretsOf(ring), stored.current.signature, stored.current.longterm];
  const { secretKey: announced } = ring.nextPair;
  const next = ring.rotated(random, null);
  assert.ok(!before.some(isWiped));
  ring.use(next);
  assert.ok(before.every(isWiped));
  assert.equal(ring.pairOf("ML-DSA-44").secretKey, announced);
  const kept = [...secretsOf(ring), ring.nextPair.secretKey, ring.pepper, ring.tls.key];
  assert.ok(!kept.some(isWiped) && !Object.values({ ...next.current, ...next.next }).some(isWiped));
});

test("a keyring that is done with holds no key any more", () => {
  const stored = freshServerKeys(random, null);
  const ring = new ServerKeyring(stored, { certificate: "", key: Buffer.from("a key") }, null);
  const { current, next } = stored;
  const held = [...secretsOf(ring), ring.nextPair.secretKey, ring.pepper, ring.tls.key];
  ring.wipe();
  assert.ok([...held, ...Object.values(current), ...Object.values(next)].every(isWiped));
});

async function keyFileOf(context: TestContext): Promise<{ folder: string; ring: ServerKeyring }> {
  const folder = folderOf(context);
  return { folder, ring: await loadServerKeys(folder, ["localhost"], random) };
}

test("the key file gives back what was written, and the TLS key to whoever writes it again", async (t) => {
  const { folder, ring } = await keyFileOf(t);
  const again = await loadServerKeys(folder, [], random);
  assert.deepEqual(again.identity, ring.identity);
  assert.deepEqual([again.tls, readOwnCertificate(folder)], [ring.tls, ring.tls]);
  assert.match(ring.tls.key.toString(), /^-----BEGIN PRIVATE KEY-----\n/);
});

test("a key file that holds the TLS key as text, as it did before, is read alike", async (t) => {
  const { folder, ring } = await keyFileOf(t);
  const path = join(folder, KEY_FILE);
  const stored = decodeCbor(readFileSync(path), 2 ** 20) as Map<string, unknown>;
  stored.set("tls", { ...ring.tls, key: ring.tls.key.toString() });
  writeSecretFile(path, encodeCbor(stored));
  assert.deepEqual((await loadServerKeys(folder, [], random)).tls, ring.tls);
});
