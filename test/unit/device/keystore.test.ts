import assert from "node:assert/strict";
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openSecretFile } from "../../../src/crypto/secret-file.ts";
import { type Keystore, loadKeystore, saveKeystore } from "../../../src/device/keystore.ts";
import { readPlatformKey, takeSealingKey } from "../../../src/enclave/sealing-key.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";
import { deviceKeys } from "../../support/parts.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("keystore");

async function keystoreOf(): Promise<Keystore> {
  const place = { name: "a", device_id: random.bytes(16), run_id: random.bytes(32), url: "https://localhost:8443" };
  return {
    v: 1,
    ...place,
    identity: random.bytes(100),
    next_identity: null,
    former_identities: [],
    ...(await deviceKeys()),
  };
}

test("a key file gives back what was saved, and saving leaves the keys in memory alone", async (context) => {
  const path = join(folderOf(context), "device.key");
  assert.equal(loadKeystore(path), undefined);
  const keystore = await keystoreOf();
  const secret = hex(keystore.kem_secret_key);
  saveKeystore(path, keystore);
  assert.deepEqual(loadKeystore(path), keystore);
  assert.equal(hex(keystore.kem_secret_key), secret);
});

test("a key file that others may read is refused, as is one that is cut, altered or empty", async (context) => {
  const path = join(folderOf(context), "device.key");
  saveKeystore(path, await keystoreOf());
  const whole = readFileSync(path);
  for (const damaged of [
    whole.subarray(0, -1),
    Buffer.concat([whole, Buffer.of(0)]),
    Buffer.alloc(0),
    whole.fill(0xff, 0, 1),
  ]) {
    writeFileSync(path, damaged);
    assert.throws(() => loadKeystore(path), coded("keystore.malformed"));
  }
  chmodSync(path, 0o640);
  assert.throws(() => loadKeystore(path), coded("keystore.permissions"));
});

test("the sealing key of an enclave is made once, and refused in any other length", (context) => {
  const path = join(folderOf(context), "sealing.key");
  const take = (): Uint8Array => takeSealingKey(openSecretFile(path), random);
  const key = take();
  assert.equal(key.length, 32);
  assert.equal(hex(take()), hex(key));
  for (const length of [31, 33]) {
    writeFileSync(path, new Uint8Array(length));
    assert.throws(take, coded("keystore.malformed", /expected 32 bytes/));
  }
});

test("a platform's key gives a key of its own, the same each time, and is refused in any other length", (context) => {
  const path = join(folderOf(context), "_sgx_mrenclave");
  writeFileSync(path, new Uint8Array(16).fill(3));
  const key = readPlatformKey(path);
  assert.equal(key.length, 32);
  assert.equal(hex(readPlatformKey(path)), hex(key));
  writeFileSync(path, new Uint8Array(16).fill(4));
  assert.notEqual(hex(readPlatformKey(path)), hex(key));
  for (const length of [0, 15, 17]) {
    writeFileSync(path, new Uint8Array(length));
    assert.throws(() => readPlatformKey(path), coded("keystore.malformed", /expected 16 bytes/));
  }
});

test("a sealing key that others may read, or that is no file, is refused before it is handed over", (context) => {
  const folder = folderOf(context);
  const path = join(folder, "sealing.key");
  takeSealingKey(openSecretFile(path), random);
  chmodSync(path, 0o640);
  assert.throws(() => openSecretFile(path), coded("keystore.permissions", /expected mode 0600 on .*, got 0640/));
  symlinkSync(path, join(folder, "link.key"));
  assert.throws(() => openSecretFile(join(folder, "link.key")), coded("keystore.malformed"));
});
