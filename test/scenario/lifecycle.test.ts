// The life of a device's and a server's keys, with real devices over TLS: what is renewed without losing a round, and
// what a lost answer leaves behind.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { remoteLog } from "../../src/cli/log-source.ts";
import { pinnedBy } from "../../src/cli/log-trust.ts";
import { QflareError } from "../../src/core/error.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { SUITES } from "../../src/crypto/suite.ts";
import { Connection, type ConnectionPorts } from "../../src/device/connection.ts";
import { Device, type DeviceOptions } from "../../src/device/device.ts";
import type { DeviceEvent } from "../../src/device/event.ts";
import { type Keystore, loadKeystore, OpenKeystore, saveKeystore } from "../../src/device/keystore.ts";
import { rekeyDevice } from "../../src/device/rekey.ts";
import type { Round } from "../../src/device/round.ts";
import { logOrigin } from "../../src/wire/checkpoint.ts";
import { identityMessage } from "../../src/wire/identity.ts";
import { verifyLog } from "../../src/wire/log-verify.ts";
import { formatVkey, noteKey } from "../../src/wire/note.ts";
import { verifyReceipt } from "../../src/wire/receipt.ts";
import { temporaryFolder } from "../support/folder.ts";
import { TestServer, TINY_PARAMETERS } from "../support/server.ts";

let server: TestServer;

before(async () => {
  const rounds = { rounds: 1000, target: 1, quorum: 1, selectionMs: 0, deadlineMs: LIMITS.roundDeadlineMsMax };
  server = await TestServer.start({ suites: ["QF2-HYBRID", "QF1-FRODO", "QF3-LONGTERM"], rounds });
});

after(async () => await server.close());

interface Held {
  readonly device: Device;
  readonly events: DeviceEvent[];
  readonly options: DeviceOptions;
}

/** A device in this process, closed at the end of the test. */
async function enrol(context: TestContext, name: string, more: Partial<DeviceOptions> = {}): Promise<Held> {
  const events: DeviceEvent[] = [];
  const options: DeviceOptions = {
    keystore: join(temporaryFolder(), "device.key"),
    allowSimulatedEnclave: true,
    updatesMin: 1,
    clock: server.clock,
    onEvent: (event) => events.push(event),
    ...more,
  };
  const device = await Device.enroll({ ...options, link: await server.token(name) });
  context.after(() => device.close());
  return { device, events, options };
}

async function nextRound(rounds: AsyncGenerator<Round>): Promise<Round> {
  const { value } = await rounds.next();
  return value as Round;
}

async function contribute(round: Round): Promise<void> {
  assert.ok((await round.submit(new Float32Array(TINY_PARAMETERS).fill(0.1), 10)) !== undefined);
}

const sessionsIn = (events: readonly DeviceEvent[]): boolean[] =>
  events.flatMap((event) => (event.event === "session" ? [event.resumed] : []));

const keysOf = (path: string): Keystore => loadKeystore(path)!;

/** Opens again what the key file holds. */
function reopen(context: TestContext, { options }: Held): Device {
  const device = Device.open(options);
  context.after(() => device.close());
  return device;
}

test("a device renews its keys by resumption after an hour, also in a round, and fully after a day", async (t) => {
  t.after(() => server.clock.release());
  const { device, events } = await enrol(t, "hourly");
  const rounds = device.rounds();
  const round = await nextRound(rounds);
  server.clock.move(LIMITS.sessionKeyAgeMsMax);
  await contribute(round);
  assert.deepEqual(sessionsIn(events), [false, true]);
  const other = await nextRound(rounds);
  server.clock.move(LIMITS.sessionAgeMsMax - LIMITS.sessionKeyAgeMsMax - 1000);
  await other.submit(new Float32Array(TINY_PARAMETERS), 10);
  server.clock.move(2000);
  await device.connect();
  assert.deepEqual(sessionsIn(events).at(-1), false);
  await rounds.return(undefined);
});

test("a device that was refused as idle goes on by resumption", async (t) => {
  t.after(() => server.clock.release());
  const { device, events } = await enrol(t, "sleeper");
  await device.connect();
  server.clock.move(LIMITS.sessionIdleMsMax);
  await device.connect();
  assert.deepEqual(sessionsIn(events), [false, true]);
});

for (const times of [1, 3]) {
  test(`a device that was away for ${times} rotations of the server still gets in, and pins the next`, async (t) => {
    const held = await enrol(t, `away-${times}`);
    await held.device.connect();
    await held.device.close();
    const before = keysOf(held.options.keystore);
    for (let i = 0; i < times; i++) await server.admin.call("server.rotate");
    await reopen(t, held).connect();
    const now = keysOf(held.options.keystore);
    assert.notDeepEqual(now.identity, before.identity);
    assert.equal(Buffer.compare(now.identity, before.next_identity!) === 0, times === 1);
    assert.notEqual(now.next_identity, null);
  });
}

test("a rotation in the middle of a round loses no update", async (t) => {
  const { device } = await enrol(t, "steady");
  const rounds = device.rounds();
  const round = await nextRound(rounds);
  await server.admin.call("server.rotate");
  await contribute(round);
  await rounds.return(undefined);
});

test("a log, a kept checkpoint and a receipt hold over rotations, for devices and for strangers", async (t) => {
  const held = await enrol(t, "keeper");
  const path = held.options.keystore;
  const { signature_public_key } = identityMessage.decode(keysOf(path).identity);
  const vkey = formatVkey(noteKey(logOrigin(keysOf(path).run_id), "ml-dsa-44", signature_public_key));
  const receipts: Uint8Array[] = [];
  let device = held.device;
  for (let times = 0; times < 3; times++) {
    const rounds = device.rounds();
    const round = await nextRound(rounds);
    receipts.push((await round.submit(new Float32Array(TINY_PARAMETERS).fill(0.1), 10))!.encoded);
    await rounds.return(undefined);
    await device.close();
    await server.admin.call("server.rotate");
    device = reopen(t, held);
  }
  await device.connect();
  const { trust, receiptKeys } = pinnedBy({ keystore: path });
  for (const receipt of receipts) assert.ok(verifyReceipt(receipt, receiptKeys, trust).checkpoint.size > 0);
  const kept = readFileSync(`${path}.log`, "utf8");
  const source = remoteLog(server.url);
  t.after(() => source.close());
  const announcements = await source.announcements();
  for (const pinned of [pinnedBy({ keystore: path }), pinnedBy({ key: [vkey] })]) {
    assert.deepEqual((await verifyLog(source, pinned.follow(announcements), [kept])).problems, []);
  }
  const { problems } = await verifyLog(source, pinnedBy({ key: [vkey] }).trust);
  assert.match(problems[0]!, /is not signed by the pinned key$/);
});

test("a device does not follow a server whose identity it never saw announced", async (t) => {
  const held = await enrol(t, "careful");
  await held.device.close();
  const keystore = keysOf(held.options.keystore);
  const stranger = await TestServer.start({ run: {} });
  t.after(() => stranger.close());
  const foreign = await Device.enroll({
    ...held.options,
    keystore: `${held.options.keystore}.other`,
    link: await stranger.token("x"),
  });
  await foreign.close();
  // Pinned: an identity that the real server never had, and a next one that it never announced.
  const { identity } = keysOf(`${held.options.keystore}.other`);
  const tls = { url: keystore.url };
  for (const pins of [{ identity: swapCertificate(identity, keystore.identity) }, { next_identity: identity }]) {
    saveKeystore(held.options.keystore, { ...keystore, ...tls, ...pins });
    if ("next_identity" in pins) await server.admin.call("server.rotate");
    await assert.rejects(reopen(t, held).connect(), { code: "server.identity" });
  }
});

/** The keys of one identity with the certificate of another, so that the connection comes about. */
function swapCertificate(keys: Uint8Array, certificate: Uint8Array): Uint8Array<ArrayBuffer> {
  return identityMessage.encode({
    ...identityMessage.decode(keys),
    tls_certificate_sha256: identityMessage.decode(certificate).tls_certificate_sha256,
  });
}

test("a device replaces its keys, also by those of another suite, and takes part with them", async (t) => {
  const held = await enrol(t, "renewed");
  const { device, options } = held;
  await device.connect();
  const [id, before] = [device.id, keysOf(options.keystore)];
  await device.rekey();
  assert.notEqual(device.id, id);
  await device.rekey("QF3-LONGTERM");
  const now = keysOf(options.keystore);
  assert.equal(now.signature_public_key.length, 1952);
  assert.notDeepEqual(now.kem_secret_key, before.kem_secret_key);
  assert.ok(!existsSync(`${options.keystore}.rekey`));
  const rounds = device.rounds();
  await contribute(await nextRound(rounds));
  await rounds.return(undefined);
});

const PORTS: ConnectionPorts = {
  clock: { nowMs: () => server.clock.nowMs() },
  random: systemRandom,
  onRetry: () => undefined,
  onSession: () => undefined,
};

test("a re-key whose answer is lost keeps the old key file; the next start ends it with the same keys", async (t) => {
  const held = await enrol(t, "unlucky");
  await held.device.close();
  const path = held.options.keystore;
  const before = keysOf(path);
  const connection = new Connection(new OpenKeystore(path, before), PORTS);
  t.after(() => connection.close());
  const losing = {
    ask: async (...call: Parameters<Connection["ask"]>) => {
      await connection.ask(...call);
      throw new QflareError("server.unavailable", "the answer broke off");
    },
    forget: () => connection.forget(),
  } as unknown as Connection;
  const keystore = new OpenKeystore(path, before);
  await assert.rejects(rekeyDevice(losing, keystore, SUITES["QF2-HYBRID"]), { code: "server.unavailable" });
  assert.deepEqual(keysOf(path), before);
  assert.ok(existsSync(`${path}.rekey`));
  const device = reopen(t, held);
  await device.connect();
  assert.ok(!existsSync(`${path}.rekey`));
  const devices = await server.admin.call<{ device_id: string; name: string }[]>("device.list");
  assert.equal(devices.find(({ name }) => name === "unlucky")?.device_id, device.id);
});

test("a re-key that never reached the server begins again with the same keys", async (t) => {
  const held = await enrol(t, "offline");
  const path = held.options.keystore;
  const deaf = {
    ask: async () => {
      throw new QflareError("server.unavailable");
    },
    forget: () => undefined,
  } as unknown as Connection;
  const keystore = new OpenKeystore(path, keysOf(path));
  await assert.rejects(rekeyDevice(deaf, keystore, SUITES["QF2-HYBRID"]), { code: "server.unavailable" });
  const id = held.device.id;
  const device = reopen(t, held);
  await device.rekey();
  assert.notEqual(device.id, id);
});
