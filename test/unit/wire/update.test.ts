import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, describe, it } from "node:test";
import { concat } from "../../../src/core/bytes.ts";
import { exchangeKem } from "../../../src/crypto/suite.ts";
import { deviceId, enrollMac } from "../../../src/wire/enroll.ts";
import { epochKeyHash, openUpdate, sealUpdate, type UpdatePlace, updateBlobLength } from "../../../src/wire/update.ts";
import { seededRandom } from "../../support/clock.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("updates");
const kem = exchangeKem("X25519+FrodoKEM-640-AES");
const delta = random.bytes(4 * 100);
const place: UpdatePlace = {
  run_id: random.bytes(32),
  round: 7,
  device_id: random.bytes(16),
  base_digest: random.bytes(32),
  policy_hash: random.bytes(32),
  enclave_key_hash: random.bytes(32),
};

describe("a sealed update", () => {
  let keys: { publicKey: Uint8Array<ArrayBuffer>; secretKey: Uint8Array<ArrayBuffer> };
  let blob: Uint8Array<ArrayBuffer>;
  const open = (sealed: Uint8Array, where: UpdatePlace = place) =>
    openUpdate("QF2-HYBRID", keys.secretKey, where, sealed);

  before(async () => {
    keys = await kem.generateKeyPair();
    blob = await sealUpdate("QF2-HYBRID", keys.publicKey, place, delta, random);
  });

  it("has the length that the model's size gives, and opens", async () => {
    assert.equal(blob.length, updateBlobLength("QF2-HYBRID", 100));
    assert.equal(hex((await open(blob))!), hex(delta));
  });

  it("opens in no other place: each field counts", async () => {
    for (const name of Object.keys(place) as (keyof UpdatePlace)[]) {
      const other = name === "round" ? 8 : random.bytes((place[name] as Uint8Array).length);
      assert.equal(await open(blob, { ...place, [name]: other }), undefined, name);
    }
  });

  it("opens for no other enclave", async () => {
    const { secretKey } = await kem.generateKeyPair();
    assert.equal(await openUpdate("QF2-HYBRID", secretKey, place, blob), undefined);
  });

  it("opens with no byte altered, cut or added", async () => {
    // RFC 7748 section 5: the top bit of byte 31 is not part of the X25519 key; the combiner binds it all the same.
    for (const at of [31, ...Array.from({ length: blob.length / 101 }, (_, i) => 101 * i)]) {
      const altered = blob.slice();
      altered[at] ^= 0x80;
      assert.equal(await open(altered), undefined, `byte ${at}`);
    }
    for (const length of [0, 1, 31, 32, kem.sizes.ciphertext - 1, kem.sizes.ciphertext, blob.length - 1]) {
      assert.equal(await open(blob.subarray(0, length)), undefined, `${length} bytes`);
    }
    assert.equal(await open(concat(blob, Uint8Array.of(0))), undefined);
  });

  it("with an X25519 point of small order does not open, and raises nothing", async () => {
    const zeroPoint = concat(new Uint8Array(32), blob.subarray(32));
    assert.equal(await open(zeroPoint), undefined);
  });

  it("never looks the same twice", async () => {
    const again = await sealUpdate("QF2-HYBRID", keys.publicKey, place, delta, random);
    assert.notEqual(hex(again.subarray(0, 64)), hex(blob.subarray(0, 64)));
    assert.notEqual(hex(again.subarray(-64)), hex(blob.subarray(-64)));
  });

  it("names its enclave by the SHA-256 of the epoch key", () => {
    assert.equal(hex(epochKeyHash(keys.publicKey)), createHash("sha256").update(keys.publicKey).digest("hex"));
  });
});

describe("enrolment", () => {
  it("names a device by both of its keys", () => {
    const [kemHash, key] = [random.bytes(32), random.bytes(1312)];
    const id = hex(deviceId(kemHash, key));
    assert.equal(id.length, 2 * 16);
    assert.notEqual(hex(deviceId(random.bytes(32), key)), id);
    assert.notEqual(hex(deviceId(kemHash, random.bytes(1312))), id);
  });

  it("binds message and signature to the token's secret, each in its own place", () => {
    const [secret, message, signature] = [random.bytes(24), random.bytes(50), random.bytes(60)];
    const macs = [
      enrollMac(secret, message, signature),
      enrollMac(random.bytes(24), message, signature),
      enrollMac(secret, random.bytes(50), signature),
      enrollMac(secret, message, random.bytes(60)),
      enrollMac(secret, concat(message, signature.subarray(0, 1)), signature.subarray(1)),
    ];
    assert.equal(new Set(macs.map(hex)).size, macs.length);
  });
});
