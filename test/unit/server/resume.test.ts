import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { LIMITS } from "../../../src/core/limits.ts";
import { openSession } from "../../../src/device/handshake.ts";
import { resumeSession } from "../../../src/device/resume.ts";
import type { DeviceTicket, Session } from "../../../src/device/session.ts";
import { Sessions } from "../../../src/server/sessions.ts";
import { type ResumeAnswer, resumeAnswer, resumeChallengeAnswer, resumeRequest } from "../../../src/wire/resume.ts";
import { coded } from "../../support/errors.ts";
import { TestServer } from "../../support/parts.ts";
import { flipped } from "../../support/session.ts";
import { Wire } from "../../support/wire.ts";

const SUITES = ["QF2-HYBRID"] as const;

class Site {
  readonly server: TestServer;
  readonly sessions: Sessions;
  readonly wire: Wire;

  constructor(server: TestServer) {
    const { registry, keys, clock, random } = server;
    const enclaveKeyHash = () => new Uint8Array(32);
    this.server = server;
    this.sessions = new Sessions({ registry, keys, clock, random, suites: SUITES, enclaveKeyHash });
    this.wire = new Wire(this.sessions);
  }

  static async start(context: TestContext): Promise<Site> {
    return new Site(await TestServer.start(context));
  }

  /** A confirmed session of a device with this name. */
  async open(name: string): Promise<Session> {
    const { clock, random } = this.server;
    const session = await openSession(this.wire.transport, await this.server.enrolled(name), {
      suites: SUITES,
      clock,
      random,
    });
    await ask(session);
    return session;
  }

  async resume(ticket: DeviceTicket): Promise<Session> {
    const { clock, random } = this.server;
    return await resumeSession(this.wire.transport, ticket, { clock, random });
  }
}

async function ask(session: Session): Promise<void> {
  const answer = await session.call("GET", "/api/global_model", Buffer.from("work, please"), 1000);
  assert.equal(Buffer.from(answer).toString(), "work, please");
}

const isWiped = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

const ticketOf = (session: Session): DeviceTicket => session.ticket()!;

describe("a resumption", () => {
  it("goes on under other keys; the session before it ends with the first request", async (context) => {
    const site = await Site.start(context);
    const before = await site.open("a");
    const resumed = await site.resume(ticketOf(before));
    await ask(before);
    await ask(resumed);
    await assert.rejects(ask(before), coded("session.refused"));
    await ask(await site.resume(ticketOf(resumed)));
    assert.equal(site.sessions.count, 1);
  });

  it("takes a ticket once, whether its answer arrives or not", async (context) => {
    const site = await Site.start(context);
    const ticket = ticketOf(await site.open("a"));
    const [first, second] = await Promise.allSettled([site.resume(ticket), site.resume(ticket)]);
    assert.deepEqual([first.status, second.status].sort(), ["fulfilled", "rejected"]);
    const replay = site.wire.calls.find(({ path }) => path === "/api/resume")!;
    assert.equal((await site.wire.serve(replay)).status, 401);
    await assert.rejects(site.resume(ticket), coded("session.refused"));
  });

  it("needs the secret of the session it goes on for: not another device's, not another session's", async (context) => {
    const site = await Site.start(context);
    const [mine, other] = [ticketOf(await site.open("a")), ticketOf(await site.open("b"))];
    await assert.rejects(site.resume({ ...mine, id: other.id }), coded("session.refused"));
    await assert.rejects(site.resume({ ...mine, resumption: other.resumption }), coded("session.refused"));
    await assert.rejects(site.resume({ ...mine, id: new Uint8Array(16) }), coded("session.refused"));
    await assert.rejects(site.resume({ ...mine, resumption: new Uint8Array(48) }), coded("session.refused"));
    for (const ticket of [mine, other]) await ask(await site.resume(ticket));
  });

  it("has no ticket before the session is confirmed", async (context) => {
    const site = await Site.start(context);
    const session = await site.open("a");
    const resumed = await site.resume(ticketOf(session));
    assert.equal(resumed.ticket(), undefined);
  });

  it("dies with the device, as do its sessions", async (context) => {
    const site = await Site.start(context);
    const session = await site.open("a");
    const ticket = ticketOf(session);
    const resumed = await site.resume(ticket);
    await ask(resumed);
    const newest = ticketOf(resumed);
    site.sessions.revoke((await site.server.registry.listDevices())[0]!.id);
    await assert.rejects(site.resume(newest), coded("session.refused"));
    await assert.rejects(ask(resumed), coded("session.refused"));
    assert.equal(site.sessions.count, 0);
  });

  it("outlives the idle session, but not the day of its full handshake", async (context) => {
    const site = await Site.start(context);
    let session = await site.open("a");
    const endMs = site.server.clock.nowMs() + LIMITS.sessionAgeMsMax;
    while (site.server.clock.nowMs() < endMs - 2 * LIMITS.sessionKeyAgeMsMax) {
      site.server.clock.advance(LIMITS.sessionKeyAgeMsMax);
      await assert.rejects(ask(session), coded("session.refused"));
      session = await site.resume(ticketOf(session));
      await ask(session);
    }
    const last = ticketOf(session);
    site.server.clock.advance(endMs - site.server.clock.nowMs());
    await assert.rejects(site.resume(last), coded("session.refused"));
  });

  it("gives keys that end with the day of the full handshake", async (context) => {
    const site = await Site.start(context);
    const ticket = ticketOf(await site.open("a"));
    site.server.clock.advance(LIMITS.sessionAgeMsMax - 120_000);
    const session = await site.resume(ticket);
    await ask(session);
    site.server.clock.advance(120_000);
    await assert.rejects(ask(session), coded("session.refused"));
  });

  it("is not believed by the device where the answer is altered anywhere", async (context) => {
    const site = await Site.start(context);
    const session = await site.open("a");
    const ticket = ticketOf(session);
    const { clock, random } = site.server;
    const altered: ((answer: ResumeAnswer) => ResumeAnswer)[] = [
      (answer) => ({ ...answer, session_id: flipped(answer.session_id) }),
      (answer) => ({ ...answer, nonce: flipped(answer.nonce) }),
      (answer) => ({ ...answer, expires_at: answer.expires_at + 1 }),
      (answer) => ({ ...answer, ephemeral_ciphertext: flipped(answer.ephemeral_ciphertext, -1) }),
      (answer) => ({ ...answer, enclave_key_hash: flipped(answer.enclave_key_hash) }),
    ];
    for (const alter of altered) {
      const fresh = await site.open(`d${altered.indexOf(alter)}`);
      const transport = site.wire.altering((body) => {
        const outer = resumeChallengeAnswer.decode(body);
        return resumeChallengeAnswer.encode({
          ...outer,
          message: resumeAnswer.encode(alter(resumeAnswer.decode(outer.message))),
        });
      });
      await assert.rejects(resumeSession(transport, ticketOf(fresh), { clock, random }), coded("server.identity"));
    }
    const another = { ...ticket, serverKey: flipped(ticket.serverKey) };
    await assert.rejects(resumeSession(site.wire.transport, another, { clock, random }), coded("server.identity"));
  });

  it("costs a stranger's bytes a code and nothing else", async (context) => {
    const { sessions } = await Site.start(context);
    await assert.rejects(sessions.resume(new Uint8Array(0)), coded("message.malformed"));
    await assert.rejects(sessions.resume(new Uint8Array(resumeRequest.bytesMax + 1)), coded("message.too_large"));
  });
});

describe("the table of sessions", () => {
  it("lets no handshake that nobody confirms end a session that lives", async (context) => {
    const site = await Site.start(context);
    const { clock, random, registry } = site.server;
    const keystore = await site.server.enrolled("a");
    const open = () => openSession(site.wire.transport, keystore, { suites: SUITES, clock, random });
    const live = await open();
    await ask(live);
    for (let i = 0; i < 3 * LIMITS.sessionsPerDeviceMax; i++) await open();
    await ask(live);
    assert.equal(site.sessions.count, 1 + LIMITS.sessionsPerDeviceMax);
    assert.equal((await registry.listDevices()).length, 1);
  });

  it("leaves no secret behind, neither beside the ticket nor in what has ended", async (context) => {
    const site = await Site.start(context);
    const before = await site.open("a");
    const ticket = ticketOf(before);
    const { keys, confirmation } = site.sessions.find(ticket.id)!;
    const { client, server, resumption, confirmDevice, confirmServer, exporter } = keys;
    assert.ok([resumption, confirmDevice, confirmServer, exporter].every(isWiped));
    const live = [client.key, server.key, confirmation];
    assert.ok(!live.some(isWiped));
    await ask(await site.resume(ticket));
    assert.ok(live.every(isWiped));
  });

  it("wipes the keys of what has expired without being asked for it", async (context) => {
    const site = await Site.start(context);
    const { keys } = site.sessions.find(ticketOf(await site.open("a")).id)!;
    site.server.clock.advance(LIMITS.sessionKeyAgeMsMax);
    site.sessions.sweep();
    assert.equal(site.sessions.count, 0);
    assert.ok([keys.client.key, keys.client.iv, keys.server.key, keys.server.iv].every(isWiped));
  });

  it("takes no record of keys that have sealed 64 GiB", async (context) => {
    const site = await Site.start(context);
    const session = await site.open("a");
    const ticket = ticketOf(session);
    site.sessions.find(ticket.id)!.recordBytes = LIMITS.sessionBytesMax;
    await assert.rejects(ask(session), coded("session.refused"));
    await ask(await site.resume(ticket));
  });
});
