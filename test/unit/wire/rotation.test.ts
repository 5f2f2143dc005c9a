import assert from "node:assert/strict";
import { test } from "node:test";
import { signature } from "../../../src/crypto/signature.ts";
import { freshServerKeys, ServerKeyring } from "../../../src/server/keys.ts";
import { identityFingerprint } from "../../../src/wire/identity.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import {
  announcedAfter,
  announcedAfterKey,
  followRotations,
  rotationAnnouncement,
  rotationMessage,
} from "../../../src/wire/rotation.ts";
import { seededRandom } from "../../support/clock.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const random = seededRandom("rotation");

function keyring(): ServerKeyring {
  return new ServerKeyring(freshServerKeys(random, null), { certificate: "", key: Buffer.alloc(0) }, null);
}

function rotate(keys: ServerKeyring): void {
  keys.use(keys.rotated(random, null));
}

/** What somebody with these secret keys announces for an identity; those left out are of nobody. */
function forged(fingerprint: Bytes, next: Bytes, keys: { signer?: Bytes; longterm?: Bytes }): Bytes {
  const message = rotationMessage.encode({ v: 1, fingerprint, next });
  const sign = (name: "ML-DSA-44" | "ML-DSA-65", key: Bytes | undefined) =>
    signature(name).sign(key ?? random.bytes(32), message, CONTEXTS.rotation);
  return rotationAnnouncement.encode({
    message,
    signature: sign("ML-DSA-44", keys.signer),
    longterm_signature: sign("ML-DSA-65", keys.longterm),
  });
}

function pairsOf(ring: ServerKeyring): { signer: Bytes; longterm: Bytes } {
  return { signer: ring.pairOf("ML-DSA-44").secretKey, longterm: ring.pairOf("ML-DSA-65").secretKey };
}

test("a device follows any number of rotations that are announced, and pins what comes next", () => {
  const keys = keyring();
  const start = keys.identity;
  for (let times = 0; times < 5; times++) {
    const reached = followRotations({ identity: start, next: null }, keys.announcements, keys.identity);
    assert.deepEqual(reached?.identity, keys.identity);
    assert.notEqual(reached?.next, null);
    rotate(keys);
  }
});

test("the announcement of an identity stays the same until it is in force", () => {
  const keys = keyring();
  const pins = followRotations({ identity: keys.identity, next: null }, keys.announcements, keys.identity);
  const next = keys.nextFingerprint;
  assert.deepEqual(identityFingerprint(pins!.next!), next);
  rotate(keys);
  assert.deepEqual(keys.fingerprint, next);
});

test("a false server leads nobody away: without the keys, with one of the two, or to another identity in force", () => {
  const [keys, evil] = [keyring(), keyring()];
  const pins = { identity: keys.identity, next: null };
  const signer = keys.pairOf("ML-DSA-44").secretKey;
  const longterm = keys.pairOf("ML-DSA-65").secretKey;
  for (const stolen of [{}, { signer }, { longterm }]) {
    const announcements = [forged(keys.fingerprint, evil.identity, stolen), ...evil.announcements];
    assert.equal(followRotations(pins, announcements, evil.identity), undefined);
  }
  assert.equal(followRotations(pins, evil.announcements, evil.identity), undefined);
  assert.equal(followRotations(pins, [], evil.identity), undefined);
});

test("who steals both keys of an identity leads nobody away who has pinned its successor", () => {
  const [keys, evil] = [keyring(), keyring()];
  const pins = followRotations({ identity: keys.identity, next: null }, keys.announcements, keys.identity)!;
  const stolen = { signer: keys.pairOf("ML-DSA-44").secretKey, longterm: keys.pairOf("ML-DSA-65").secretKey };
  const lie = forged(keys.fingerprint, evil.identity, stolen);
  assert.equal(followRotations(pins, [lie], evil.identity), undefined);
  rotate(keys);
  assert.deepEqual(followRotations(pins, keys.announcements, keys.identity)?.identity, keys.identity);
  assert.equal(followRotations(pins, [lie, ...keys.announcements], keys.identity), undefined);
});

test("announcements that lead in a circle lead nowhere", () => {
  const [keys, evil] = [keyring(), keyring()];
  const circle = [
    forged(keys.fingerprint, evil.identity, pairsOf(keys)),
    forged(evil.fingerprint, keys.identity, pairsOf(evil)),
  ];
  assert.equal(followRotations({ identity: keys.identity, next: null }, circle, keyring().identity), undefined);
});

test("who verifies a log believes the identities that follow the pinned one, in their order", () => {
  const keys = keyring();
  const [pins, key] = [{ identity: keys.identity, next: null }, keys.signaturePublicKey];
  const line: Bytes[] = [];
  for (let times = 0; times < 3; times++) {
    rotate(keys);
    line.push(keys.identity);
  }
  for (const found of [announcedAfter(pins, keys.announcements), announcedAfterKey(key, keys.announcements)]) {
    assert.deepEqual(found.slice(0, -1), line);
    assert.deepEqual(identityFingerprint(found.at(-1)!), keys.nextFingerprint);
  }
});

test("who verifies a log believes none that strangers announce, none beside the pinned next, none of two", () => {
  const [keys, evil] = [keyring(), keyring()];
  const pins = { identity: keys.identity, next: null };
  const key = keys.signaturePublicKey;
  const stolen = { signer: keys.pairOf("ML-DSA-44").secretKey, longterm: keys.pairOf("ML-DSA-65").secretKey };
  const lie = forged(keys.fingerprint, evil.identity, stolen);
  for (const announcements of [[], evil.announcements, [forged(keys.fingerprint, evil.identity, {})]]) {
    assert.deepEqual(announcedAfter(pins, announcements), []);
    assert.deepEqual(announcedAfterKey(key, announcements), []);
  }
  assert.deepEqual(announcedAfterKey(key, [lie, ...keys.announcements]), []);
  const pinned = followRotations(pins, keys.announcements, keys.identity)!;
  assert.deepEqual(announcedAfter(pinned, [lie, ...evil.announcements]), [pinned.next]);
  const circle = [lie, forged(evil.fingerprint, keys.identity, pairsOf(evil))];
  assert.equal(announcedAfter(pins, circle).length, circle.length + 1);
});
