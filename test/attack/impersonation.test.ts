// Attacks on a device that enrols: somebody else stands where its token says that the server is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { certificateHash } from "../../src/crypto/certificate.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import { makeCertificate } from "../../src/server/certificate.ts";
import { freshServerKeys, ServerKeyring } from "../../src/server/keys.ts";
import { identityFingerprint } from "../../src/wire/identity.ts";
import { rotationsAnswer } from "../../src/wire/rotation.ts";
import { formatToken, type Token } from "../../src/wire/token.ts";
import { type Impostor, startImpostor } from "../support/impostor.ts";

/** The identity document of a server with this certificate. */
function identityOf(certificate: string): Uint8Array<ArrayBuffer> {
  return keysFor(certificateHash(certificate)).identity;
}

function keysFor(certificateSha256: Uint8Array<ArrayBuffer> | null): ServerKeyring {
  return new ServerKeyring(
    freshServerKeys(systemRandom, null),
    { certificate: "", key: Buffer.alloc(0) },
    certificateSha256,
  );
}

function tokenFor(identity: Uint8Array, url: string): Token {
  return {
    id: systemRandom.bytes(8),
    secret: systemRandom.bytes(24),
    fingerprint: identityFingerprint(identity),
    name: "victim",
    url,
  };
}

/** Neither as bytes nor in a printed form. */
function assertSilent(impostor: Impostor, token: Token): void {
  const heard = impostor.heard();
  const text = heard.toString("latin1");
  for (const part of [token.id, token.secret, token.fingerprint]) {
    const bytes = Buffer.from(part);
    assert.ok(!heard.includes(bytes));
    for (const form of ["hex", "base64", "base64url"] as const) assert.ok(!text.includes(bytes.toString(form)));
  }
  assert.ok(!text.includes(token.name));
  assert.match(text, /^GET \/api\/identity HTTP\/1\.1\r\n/);
  assert.doesNotMatch(text, /POST/);
}

test("a device says nothing of its token to a server with another identity document", async () => {
  const genuine = identityOf((await makeCertificate(["127.0.0.1"])).certificate);
  const tls = await makeCertificate(["127.0.0.1"]);
  const impostor = await startImpostor({ "GET /api/identity": identityOf(tls.certificate) }, tls);
  const token = tokenFor(genuine, impostor.url);
  await assert.rejects(enrollDevice(formatToken(token)), { code: "server.identity" });
  assertSilent(impostor, token);
  assert.equal(impostor.connections(), 1);
  await impostor.close();
});

test("a device says nothing of its token to a relay that shows the right document alone", async () => {
  const genuine = identityOf((await makeCertificate(["127.0.0.1"])).certificate);
  const impostor = await startImpostor({ "GET /api/identity": genuine });
  const token = tokenFor(genuine, impostor.url);
  await assert.rejects(enrollDevice(formatToken(token)), { code: "server.identity" });
  assertSilent(impostor, token);
  assert.equal(
    impostor
      .heard()
      .toString("latin1")
      .match(/HTTP\/1\.1/g)?.length,
    1,
  );
  await impostor.close();
});

test("a device says nothing of its token to a server whose identity document is altered in one bit", async () => {
  const tls = await makeCertificate(["127.0.0.1"]);
  const genuine = identityOf(tls.certificate);
  for (const at of [0, genuine.length >> 1, genuine.length - 1]) {
    const altered = new Uint8Array(genuine);
    altered[at]! ^= 1;
    const impostor = await startImpostor({ "GET /api/identity": altered }, tls);
    const token = tokenFor(genuine, impostor.url);
    await assert.rejects(enrollDevice(formatToken(token)), { code: "server.identity" });
    assertSilent(impostor, token);
    await impostor.close();
  }
});

test("a device wants a certificate of the authorities where the document pins none", async () => {
  const genuine = keysFor(null).identity;
  const impostor = await startImpostor({ "GET /api/identity": genuine });
  const token = tokenFor(genuine, impostor.url);
  await assert.rejects(enrollDevice(formatToken(token)), { message: /certificate/ });
  assertSilent(impostor, token);
  await impostor.close();
});

test("a device does not believe an enrolment that the server's key has not signed", async () => {
  const tls = await makeCertificate(["127.0.0.1"]);
  const { identity, announcements } = keysFor(certificateHash(tls.certificate));
  const forged = {
    "GET /api/identity": identity,
    "GET /api/rotations": rotationsAnswer.encode({ announcements: [...announcements] as Uint8Array<ArrayBuffer>[] }),
    "POST /api/enroll": new Uint8Array([0xa0]),
  };
  const impostor = await startImpostor(forged, tls);
  await assert.rejects(enrollDevice(formatToken(tokenFor(identity, impostor.url))), { code: "message.malformed" });
  await impostor.close();
});
