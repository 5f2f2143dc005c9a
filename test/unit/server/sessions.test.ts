import assert from "node:assert/strict";
import { before, describe, it, type TestContext } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import type { Clock, DevicePsk, ServerPsk } from "../../../src/core/ports.ts";
import { signature } from "../../../src/crypto/signature.ts";
import { exchangeKem, SUITE_NAMES, type SuiteName } from "../../../src/crypto/suite.ts";
import { openSession } from "../../../src/device/handshake.ts";
import type { Keystore } from "../../../src/device/keystore.ts";
import type { HttpAnswer, HttpCall, Transport } from "../../../src/device/transport.ts";
import { Sessions } from "../../../src/server/sessions.ts";
import { challengeRequest, type Hello, helloMessage } from "../../../src/wire/challenge.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import { coded } from "../../support/errors.ts";
import { TestServer } from "../../support/parts.ts";
import { refused, Wire } from "../../support/wire.ts";

interface Site {
  readonly server: TestServer;
  readonly sessions: Sessions;
  readonly wire: Wire;
  readonly keystore: Keystore;
}

async function siteOf(
  context: TestContext,
  suites: readonly SuiteName[] = ["QF2-HYBRID", "QF1-FRODO"],
  psk?: ServerPsk,
): Promise<Site> {
  const server = await TestServer.start(context);
  const { registry, keys, clock, random } = server;
  const base = { registry, keys, clock, random, suites, enclaveKeyHash: () => new Uint8Array(32) };
  const sessions = new Sessions({ ...base, ...(psk === undefined ? {} : { psk }) });
  return { server, sessions, wire: new Wire(sessions), keystore: await server.enrolled("a", suites[0]) };
}

const connect = (
  { server, wire, keystore }: Site,
  suites: readonly SuiteName[] = ["QF2-HYBRID"],
  clock: Clock = server.clock,
) => openSession(wire.transport, keystore, { suites, clock, random: server.random });

const ask = (session: Awaited<ReturnType<typeof connect>>) =>
  session.call("GET", "/api/global_model", Buffer.from("work, please"), 1000);

describe("a handshake", () => {
  for (const suite of SUITE_NAMES) {
    it(`of ${suite} ends in the same keys on both sides, and makes the device active`, async (context) => {
      const site = await siteOf(context, [suite]);
      const session = await connect(site, [suite]);
      assert.equal((await site.server.registry.listDevices())[0].state, "pending");
      assert.equal(Buffer.from(await ask(session)).toString(), "work, please");
      assert.equal((await site.server.registry.listDevices())[0].state, "active");
      assert.equal(session.suite, suite);
      await ask(session);
      const confirmed = site.wire.calls.filter(({ headers }) => headers?.["qflare-confirm"] !== undefined);
      assert.equal(confirmed.length, 1);
    });
  }

  it("is refused alike for a wrong clock, an unknown device, another's signature, a nonce again", async (context) => {
    const site = await siteOf(context);
    const other = signature("ML-DSA-44").generateKeyPair();
    const clockAt = (ms: number): Clock => ({ nowMs: () => site.server.clock.nowMs() + ms });
    const tries = [
      () => connect(site, ["QF2-HYBRID"], clockAt(LIMITS.clockSkewMsMax + 1)),
      () => connect(site, ["QF2-HYBRID"], clockAt(-LIMITS.clockSkewMsMax - 1)),
      () => connect({ ...site, keystore: { ...site.keystore, device_id: new Uint8Array(16) } }),
      () => connect({ ...site, keystore: { ...site.keystore, signature_secret_key: other.secretKey } }),
    ];
    site.server.clock.advance(LIMITS.clockSkewMsMax);
    for (const attempt of tries) await assert.rejects(attempt(), coded("session.refused"));
    for (const ms of [LIMITS.clockSkewMsMax, -LIMITS.clockSkewMsMax]) await connect(site, ["QF2-HYBRID"], clockAt(ms));
    assert.deepEqual(await site.wire.serve(site.wire.calls.at(-1)!), refused("session.refused"));
  });

  it("takes a nonce again neither at once nor until its timestamp has run out", async (context) => {
    const site = await siteOf(context);
    await connect(site, ["QF2-HYBRID"], { nowMs: () => site.server.clock.nowMs() + LIMITS.clockSkewMsMax });
    const [hello] = site.wire.calls;
    for (const ms of [0, LIMITS.clockSkewMsMax, LIMITS.clockSkewMsMax - 1, 1, 1]) {
      site.server.clock.advance(ms);
      await connect(site);
      assert.deepEqual(await site.wire.serve(hello), refused("session.refused"));
    }
  });

  it("of which two copies arrive at once opens one session", async (context) => {
    const site = await siteOf(context);
    await connect(site);
    const random = site.server.random;
    const copy = await helloOf(site, { nonce: random.bytes(32) });
    const results = await Promise.allSettled([site.sessions.challenge(copy), site.sessions.challenge(copy)]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  });

  it("is refused where the device's first choice was cut off, or nothing of its list is served", async (context) => {
    const site = await siteOf(context);
    const both = ["QF2-HYBRID", "QF1-FRODO"] as const;
    await assert.doesNotReject(connect(site, both));
    const lower = await helloOf(site, { suites: [...both], suite: "QF1-FRODO" });
    await assert.rejects(site.sessions.challenge(lower), coded("session.suite", /expected a key for QF2-HYBRID$/));
    const frodoOnly = await siteOf(context, ["QF1-FRODO"]);
    await assert.rejects(connect(frodoOnly, ["QF2-HYBRID"]), coded("session.suite"));
    assert.equal(frodoOnly.wire.calls.length, 1);
    for (const suites of [["QF3-LONGTERM"], ["QF9-LATER"], ["QF9-LATER", "QF3-LONGTERM"]]) {
      const foreign = await helloOf(site, { suites, suite: suites[0] });
      await assert.rejects(site.sessions.challenge(foreign), coded("session.suite"));
    }
    const wrongKey = await helloOf(site, { suite: "QF1-FRODO", suites: ["QF1-FRODO"] });
    await assert.rejects(site.sessions.challenge(wrongKey), coded("message.malformed", /ephemeral_public_key/));
  });

  it("finds the next suite that both would take in one more try, never one of the server alone", async (context) => {
    const site = await siteOf(context, ["QF1-FRODO"]);
    assert.equal((await connect(site, ["QF2-HYBRID", "QF1-FRODO"])).suite, "QF1-FRODO");
    assert.equal(site.wire.calls.length, 2);
    const liar = async (call: HttpCall): Promise<HttpAnswer> => {
      site.wire.calls.push(call);
      return refused("session.suite", { suites: ["QF1-FRODO", "QF3-LONGTERM", "QF9-LATER"] });
    };
    const lied = { ...site, wire: { transport: { call: liar } } } as unknown as Site;
    await assert.rejects(connect(lied, ["QF2-HYBRID", "QF3-LONGTERM"]), coded("session.suite"));
    assert.equal(site.wire.calls.length, 3);
  });

  it("is not talked into a later suite by a false refusal: the real server refuses that", async (context) => {
    const site = await siteOf(context);
    const transport = {
      call: async (call: HttpCall) => {
        const isFirst = site.wire.calls.length === 0;
        const answer = await site.wire.serve(call);
        return isFirst ? refused("session.suite", { suites: ["QF1-FRODO"] }) : answer;
      },
    } as unknown as Transport;
    const { keystore, server } = site;
    const options = { suites: ["QF2-HYBRID", "QF1-FRODO"] as const, clock: server.clock, random: server.random };
    await assert.rejects(openSession(transport, keystore, options), coded("session.suite"));
    assert.equal(site.wire.calls.length, 2);
  });

  it("written before the server started is refused, since nonces of that time are forgotten", async (context) => {
    const site = await siteOf(context);
    const { registry, keys, clock, random } = site.server;
    const hello = await helloOf(site, {});
    clock.advance(1);
    const suites = ["QF2-HYBRID"] as const;
    const restarted = new Sessions({ registry, keys, clock, random, suites, enclaveKeyHash: () => new Uint8Array(32) });
    await assert.rejects(restarted.challenge(hello), coded("session.refused"));
    await assert.doesNotReject(site.sessions.challenge(hello));
  });

  it("mixes in a key held beforehand, and ends where the two sides hold others", async (context) => {
    const [id, key] = [Uint8Array.of(7), new Uint8Array(32).fill(9)];
    const psk: ServerPsk = {
      choose: async (_device, offered) => (offered.length === 0 ? undefined : { id, key: new Uint8Array(key) }),
    };
    const site = await siteOf(context, ["QF2-HYBRID"], psk);
    const held = (own: Uint8Array<ArrayBuffer> | undefined): DevicePsk => ({
      offer: async () => [id],
      take: async (named) => (named === null ? undefined : own && new Uint8Array(own)),
    });
    const { wire, keystore, server } = site;
    const open = (own?: Uint8Array<ArrayBuffer>) => {
      const options = { suites: ["QF2-HYBRID"] as const, clock: server.clock, random: server.random, psk: held(own) };
      return openSession(wire.transport, keystore, options);
    };
    await ask(await open(key));
    await assert.rejects(open(new Uint8Array(32)), coded("server.identity", /confirmation/));
    await assert.rejects(open(), coded("session.psk"));
    await assert.doesNotReject(connect(site));
  });

  it("wipes a key held beforehand, whether a session comes of it or not", async (context) => {
    const given: Uint8Array<ArrayBuffer>[] = [];
    const choose = async () => {
      const key = new Uint8Array(32).fill(7);
      given.push(key);
      return { id: Buffer.from("id"), key };
    };
    const site = await siteOf(context, ["QF2-HYBRID"], { choose });
    await site.sessions.challenge(await helloOf(site, {}));
    const spoiled = helloMessage.decode(challengeRequest.decode(await helloOf(site, {})).message);
    const noPoint = new Uint8Array(spoiled.ephemeral_public_key.length);
    await assert.rejects(site.sessions.challenge(await helloOf(site, { ephemeral_public_key: noPoint })));
    site.server.registry.forget(site.keystore.device_id);
    assert.equal(given.length, 2);
    assert.ok(given.every((key) => key.every((byte) => byte === 0)));
  });

  it("costs a stranger's bytes a code and nothing else", async (context) => {
    const { sessions } = await siteOf(context);
    for (const bytes of [new Uint8Array(0), new Uint8Array(2000)]) {
      await assert.rejects(sessions.challenge(bytes), coded("message.malformed"));
    }
    await assert.rejects(sessions.challenge(new Uint8Array(30_000)), coded("message.too_large"));
    assert.equal(sessions.count, 0);
  });

  it("is not believed by the device where the answer is altered or not its server's", async (context) => {
    const site = await siteOf(context);
    const stranger = await siteOf(context);
    const mixed: Keystore = { ...site.keystore, identity: stranger.keystore.identity };
    await assert.rejects(connect({ ...site, keystore: mixed }), coded("server.identity"));
    const otherKem = { ...site.keystore, kem_secret_key: stranger.keystore.kem_secret_key };
    await assert.rejects(connect({ ...site, keystore: otherKem }), coded("server.identity", /confirmation/));
    const altering = (at: (length: number) => number): Transport =>
      ({
        call: async (call: HttpCall) => {
          const answer = await site.wire.serve(call);
          answer.body[at(answer.body.length)] ^= 1;
          return answer;
        },
      }) as unknown as Transport;
    const { keystore, server } = site;
    const options = { suites: ["QF2-HYBRID"] as const, clock: server.clock, random: server.random };
    for (const at of [(n: number) => n - 1, (n: number) => n >> 1, () => 3000, () => 50]) {
      await assert.rejects(openSession(altering(at), keystore, options), QflareError);
    }
  });
});

let ephemeral: Uint8Array<ArrayBuffer>;
before(async () => {
  ephemeral = (await exchangeKem("X25519+ML-KEM-768").generateKeyPair()).publicKey;
});

/** A signed first message of this device. */
async function helloOf({ server, keystore }: Site, changed: Partial<Hello>): Promise<Uint8Array> {
  const message = helloMessage.encode({
    v: 1,
    suites: ["QF2-HYBRID"],
    suite: "QF2-HYBRID",
    device_id: keystore.device_id,
    nonce: server.random.bytes(32),
    timestamp: server.clock.nowMs(),
    ephemeral_public_key: ephemeral,
    psk_ids: [],
    ...changed,
  });
  const signed = signature("ML-DSA-44").sign(keystore.signature_secret_key, message, CONTEXTS.hello);
  return challengeRequest.encode({ message, signature: signed });
}

describe("a session", () => {
  it("takes each of its requests once, wherever a copy comes from", async (context) => {
    const site = await siteOf(context);
    const session = await connect(site);
    await ask(session);
    await ask(session);
    for (const call of site.wire.calls.slice(1))
      assert.deepEqual(await site.wire.serve(call), refused("session.refused"));
    await assert.doesNotReject(ask(session));
  });

  it("takes no request under another number, path, method or session, and moves for none", async (context) => {
    const site = await siteOf(context);
    const [session, other] = [await connect(site), await connect(site)];
    await ask(session);
    await ask(other);
    const first = site.wire.calls.at(-2)!;
    const record = (changed: Record<string, string>) => ({ ...first, headers: { ...first.headers, ...changed } });
    const changes: HttpCall[] = [
      record({ "qflare-sequence": "1" }),
      record({ "qflare-sequence": "01" }),
      record({ "qflare-sequence": "1048575" }),
      record({ "qflare-sequence": "-1" }),
      record({ "qflare-sequence": "" }),
      record({ "qflare-session": site.wire.calls.at(-1)!.headers!["qflare-session"] }),
      record({ "qflare-session": "zz" }),
      record({ "qflare-record": "" }),
      record({ "qflare-record": "!" }),
      record({ "qflare-confirm": "00" }),
      { ...first, path: "/api/global_model?" },
      { ...first, method: "POST" },
    ];
    for (const call of changes) assert.deepEqual(await site.wire.serve(call), refused("session.refused"));
    await assert.doesNotReject(ask(session));
  });

  it("lives from its confirmation on: not without one, and not with a false one", async (context) => {
    const site = await siteOf(context);
    const session = await connect(site);
    const tampered: Transport["call"] = async (call) => {
      const { "qflare-confirm": confirm, ...headers } = call.headers!;
      const forged = confirm.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
      assert.deepEqual(await site.wire.serve({ ...call, headers }), refused("session.refused"));
      assert.deepEqual(
        await site.wire.serve({ ...call, headers: { ...headers, "qflare-confirm": forged } }),
        refused("session.refused"),
      );
      return await site.wire.serve(call);
    };
    const device = await openSession(
      {
        call: (call: HttpCall) => (call.path === "/api/challenge" ? site.wire.serve(call) : tampered(call)),
      } as unknown as Transport,
      site.keystore,
      {
        suites: ["QF2-HYBRID"],
        clock: site.server.clock,
        random: site.server.random,
      },
    );
    await ask(device);
    await ask(session);
  });

  it("ends 30 s after the handshake if unconfirmed, after 15 idle minutes, and after an hour", async (context) => {
    const site = await siteOf(context);
    const { clock } = site.server;
    const late = await connect(site);
    clock.advance(30_000);
    await assert.rejects(ask(late), coded("session.refused"));
    const idle = await connect(site);
    await ask(idle);
    clock.advance(LIMITS.sessionIdleMsMax - 1);
    await ask(idle);
    clock.advance(LIMITS.sessionIdleMsMax);
    await assert.rejects(ask(idle), coded("session.refused"));
    const old = await connect(site);
    for (let ms = 0; ms < LIMITS.sessionKeyAgeMsMax; ms += LIMITS.sessionIdleMsMax - 1) {
      await ask(old);
      clock.advance(LIMITS.sessionIdleMsMax - 1);
    }
    await assert.rejects(ask(old), coded("session.refused"));
  });

  it("gives way to a fifth one of its device, the oldest first", async (context) => {
    const site = await siteOf(context);
    const sessions = [];
    for (let i = 0; i < LIMITS.sessionsPerDeviceMax + 1; i++) {
      sessions.push(await connect(site));
      await ask(sessions[i]);
    }
    assert.equal(site.sessions.count, LIMITS.sessionsPerDeviceMax);
    await assert.rejects(ask(sessions[0]), coded("session.refused"));
    for (const session of sessions.slice(1)) await ask(session);
  });

  it("that is closed while an answer is made seals nothing under its wiped keys", async (context) => {
    const site = await siteOf(context);
    const session = await connect(site);
    await ask(session);
    site.wire.meanwhile = async () => {
      site.wire.meanwhile = async () => undefined;
      site.sessions.revoke(site.keystore.device_id);
    };
    await assert.rejects(ask(session), coded("session.refused"));
  });

  it("is gone, with its keys, when the server closes", async (context) => {
    const site = await siteOf(context);
    const session = await connect(site);
    await ask(session);
    site.sessions.close();
    assert.equal(site.sessions.count, 0);
    await assert.rejects(ask(session), coded("session.refused"));
  });

  it("believes no answer that was altered, cut or given before", async (context) => {
    const site = await siteOf(context);
    const answers: HttpAnswer[] = [];
    let change = (answer: HttpAnswer): HttpAnswer => answer;
    const transport = {
      call: async (call: HttpCall) => {
        const answer = await site.wire.serve(call);
        answers.push(answer);
        return change(answer);
      },
    } as unknown as Transport;
    const { clock, random } = site.server;
    const session = await openSession(transport, site.keystore, { suites: ["QF2-HYBRID"], clock, random });
    await ask(session);
    const first = answers.at(-1)!;
    const changes: ((answer: HttpAnswer) => HttpAnswer)[] = [
      () => first,
      (answer) => ({ ...answer, headers: {} }),
      (answer) => ({ ...answer, headers: { "qflare-sequence": "900" } }),
      (answer) => ({ ...answer, body: answer.body.slice(1) }),
      (answer) => ({ ...answer, body: answer.body.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) }),
      (answer) => ({ ...answer, body: new Uint8Array(0) }),
    ];
    for (const altered of changes) {
      change = altered;
      await assert.rejects(ask(session), coded("server.identity"));
    }
    change = (answer) => answer;
    await assert.doesNotReject(ask(session));
  });
});
