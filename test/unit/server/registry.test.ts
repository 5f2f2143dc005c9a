import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sha256 } from "../../../src/crypto/hash.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { auditEntry } from "../../../src/wire/audit.ts";
import { deviceId, enrollAnswer, enrollDigest, enrolledMessage } from "../../../src/wire/enroll.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import { coded } from "../../support/errors.ts";
import { deviceKeys, enrollmentOf, HOUR_MS, TestServer, URL_OF_TESTS } from "../../support/parts.ts";
import { hex } from "../crypto/hex.ts";

describe("enrolment", () => {
  it("answers the holder of a token with a signed id that is the hash of its keys", async (context) => {
    const server = await TestServer.start(context);
    const keys = await deviceKeys();
    const request = enrollmentOf(await server.token("hospital-a"), keys);
    const { message, signature: signed } = enrollAnswer.decode(await server.registry.enroll(request));
    assert.ok(signature("ML-DSA-44").verify(server.keys.signaturePublicKey, message, signed, CONTEXTS.enrolled));
    const enrolled = enrolledMessage.decode(message);
    assert.equal(hex(enrolled.device_id), hex(deviceId(sha256(keys.kem_public_key), keys.signature_public_key)));
    assert.equal(hex(enrolled.request_digest), hex(enrollDigest(request)));
    const device = (await server.registry.findDevice(enrolled.device_id))!;
    assert.deepEqual([device.name, device.state, device.sequence], ["hospital-a", "pending", 0]);
  });

  it("is won by one of 100 devices that claim the same token at once", async (context) => {
    const server = await TestServer.start(context);
    const token = await server.token("one");
    // Signature keys of their own; the KEM key plays no part in the claim.
    const { kem_secret_key, kem_public_key } = await deviceKeys();
    const requests = Array.from({ length: 100 }, () => {
      const { publicKey, secretKey } = signature("ML-DSA-44").generateKeyPair();
      const keys = { kem_secret_key, kem_public_key, signature_secret_key: secretKey, signature_public_key: publicKey };
      return enrollmentOf(token, keys);
    });
    const results = await Promise.allSettled(requests.map((request) => server.registry.enroll(request)));
    const failed = results.filter((result) => result.status === "rejected");
    assert.equal(failed.length, 99);
    assert.ok(failed.every(({ reason }) => coded("enroll.token_used")(reason)));
    assert.equal((await server.registry.listDevices()).length, 1);
    assert.equal(await server.entries(), 2);
  });

  it("is refused alike for whatever is not proved: token, secret, signature, server, name", async (context) => {
    const server = await TestServer.start(context);
    const token = await server.token("a");
    const keys = await deviceKeys();
    const other = signature("ML-DSA-44").generateKeyPair();
    const refused = [
      enrollmentOf({ ...token, id: new Uint8Array(8) }, keys),
      enrollmentOf(token, keys, { secret: new Uint8Array(24) }),
      enrollmentOf(token, keys, { signer: other.secretKey }),
      enrollmentOf(token, keys, { fingerprint: new Uint8Array(32) }),
      enrollmentOf(token, keys, { name: "b" }),
    ];
    const messages = new Set<string>();
    for (const request of refused) {
      await assert.rejects(server.registry.enroll(request), (error: Error) => {
        messages.add(error.message);
        return coded("enroll.refused")(error);
      });
    }
    assert.equal(messages.size, 1);
    await assert.doesNotReject(server.registry.enroll(enrollmentOf(token, keys)));
  });

  it("tells who holds the secret that its token is used, expired or revoked, and nobody else", async (context) => {
    const server = await TestServer.start(context);
    const [used, expired, revoked] = [await server.token("u"), await server.token("e", 1000), await server.token("r")];
    await server.registry.enroll(enrollmentOf(used, await deviceKeys()));
    assert.ok(await server.registry.revokeToken(revoked.id));
    server.clock.advance(1000);
    const keys = await deviceKeys();
    for (const [token, code] of [
      [used, "enroll.token_used"],
      [expired, "enroll.token_expired"],
      [revoked, "enroll.token_revoked"],
    ] as const) {
      await assert.rejects(server.registry.enroll(enrollmentOf(token, keys)), coded(code));
      const guess = enrollmentOf(token, keys, { secret: new Uint8Array(24) });
      await assert.rejects(server.registry.enroll(guess), coded("enroll.refused"));
    }
  });

  it("takes a token until the millisecond it expires", async (context) => {
    const server = await TestServer.start(context);
    const token = await server.token("a", 1000);
    server.clock.advance(999);
    await assert.doesNotReject(server.registry.enroll(enrollmentOf(token, await deviceKeys())));
  });

  it("gives no name twice and no keys twice, and the token stays open for another try", async (context) => {
    const server = await TestServer.start(context);
    const keys = await deviceKeys();
    await server.registry.enroll(enrollmentOf(await server.token("a"), keys));
    await assert.rejects(
      server.registry.enroll(enrollmentOf(await server.token("a"), await deviceKeys())),
      coded("enroll.name_taken"),
    );
    const token = await server.token("b");
    await assert.rejects(server.registry.enroll(enrollmentOf(token, keys)), coded("enroll.name_taken"));
    await assert.doesNotReject(server.registry.enroll(enrollmentOf(token, await deviceKeys())));
  });

  it("is refused with a code where the bytes are none of a request", async (context) => {
    const server = await TestServer.start(context);
    for (const bytes of [new Uint8Array(0), new Uint8Array(100), Uint8Array.of(0xa0)]) {
      await assert.rejects(server.registry.enroll(bytes), coded("message.malformed"));
    }
    await assert.rejects(server.registry.enroll(new Uint8Array(30_000)), coded("message.too_large"));
  });
});

describe("tokens", () => {
  it("are listed with their state, and leave no secret in the database", async (context) => {
    const server = await TestServer.start(context);
    const token = await server.token("a", 1000);
    assert.deepEqual(
      (await server.registry.listTokens()).map(({ name, state }) => [name, state]),
      [["a", "open"]],
    );
    const rows = JSON.stringify(await server.registry.listTokens(), (_, v) => (v instanceof Uint8Array ? hex(v) : v));
    assert.ok(!rows.includes(hex(token.secret)));
    server.clock.advance(1000);
    assert.equal((await server.registry.listTokens())[0].state, "expired");
  });

  it("are refused for names and ages out of range", async (context) => {
    const { registry } = await TestServer.start(context);
    for (const name of ["", " ", "a b", "../a", "a".repeat(65)]) {
      await assert.rejects(registry.createToken(name, HOUR_MS, URL_OF_TESTS), coded("config.invalid", /name/));
    }
    for (const age of [0, 999, -1, Number.NaN, Number.POSITIVE_INFINITY, 366 * 24 * HOUR_MS]) {
      await assert.rejects(registry.createToken("a", age, URL_OF_TESTS), coded("config.invalid", /expires/));
    }
  });

  it("are revoked once, and not once used", async (context) => {
    const server = await TestServer.start(context);
    const [token, used] = [await server.token("a"), await server.token("b")];
    await server.registry.enroll(enrollmentOf(used, await deviceKeys()));
    assert.deepEqual(
      [
        await server.registry.revokeToken(token.id),
        await server.registry.revokeToken(token.id),
        await server.registry.revokeToken(used.id),
        await server.registry.revokeToken(new Uint8Array(8)),
      ],
      [true, false, false, false],
    );
  });

  it("that expired unused are removed, each with an entry in the log", async (context) => {
    const server = await TestServer.start(context);
    const used = await server.token("u", 1000);
    await server.token("e", 1000);
    await server.token("o");
    await server.registry.enroll(enrollmentOf(used, await deviceKeys()));
    server.clock.advance(1000);
    assert.equal(await server.registry.removeExpiredTokens(), 1);
    assert.deepEqual((await server.registry.listTokens()).map(({ name }) => name).sort(), ["o", "u"]);
    const rows = await server.db.selectFrom("audit").select("entry").orderBy("position").execute();
    assert.equal(auditEntry.decode(rows.at(-1)!.entry).type, "token.removed");
  });
});

describe("devices", () => {
  it("are one object each, also for those who ask at once", async (context) => {
    const server = await TestServer.start(context);
    const { device_id } = await server.enrolled("a");
    const asked = await Promise.all([1, 2, 3].map(() => server.registry.findDevice(device_id.slice())));
    assert.equal(new Set(asked).size, 1);
    assert.equal(await server.registry.findDevice(new Uint8Array(16)), undefined);
  });

  it("become active once, with one entry in the log", async (context) => {
    const server = await TestServer.start(context);
    const device = (await server.registry.findDevice((await server.enrolled("a")).device_id))!;
    const before = await server.entries();
    await Promise.all([server.registry.activate(device), server.registry.activate(device)]);
    await server.registry.activate(device);
    assert.deepEqual([device.state, (await server.registry.listDevices())[0].state], ["active", "active"]);
    assert.equal(await server.entries(), before + 1);
  });
});
