// Quantum keys in sessions, with a server, devices and two simulated KMEs over TLS: what each policy does where keys
// are there, where they are not, and where they are wrong.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LIMITS } from "../../src/core/limits.ts";
import type { DevicePsk } from "../../src/core/ports.ts";
import { Device } from "../../src/device/device.ts";
import type { DeviceEvent } from "../../src/device/event.ts";
import type { QkdPolicy } from "../../src/qkd/psk.ts";
import { deriveSession } from "../../src/wire/handshake.ts";
import { eventually } from "../support/cli.ts";
import { coded } from "../support/errors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { QkdSites } from "../support/qkd.ts";
import { TestServer, TINY_PARAMETERS } from "../support/server.ts";

interface Pair {
  readonly server: TestServer;
  readonly device: Device;
  readonly events: DeviceEvent[];
  /** Why sessions had no quantum key, as the device tells it. */
  readonly told: string[];
}

type Choice = QkdPolicy | "off";

async function pairOf(
  t: TestContext,
  sites: QkdSites,
  serverChoice: Choice,
  deviceChoice: Choice | DevicePsk,
): Promise<Pair> {
  const rounds = { rounds: 10, target: 1, quorum: 1, selectionMs: 0, deadlineMs: LIMITS.roundDeadlineMsMax };
  const server = await TestServer.start({
    rounds,
    run: { updates_min: 1 },
    ...(serverChoice === "off" ? {} : { psk: await sites.serverPsk(serverChoice) }),
  });
  t.after(() => server.close());
  const [events, told]: [DeviceEvent[], string[]] = [[], []];
  const psk =
    typeof deviceChoice === "object" || deviceChoice === "off"
      ? deviceChoice
      : await sites.devicePsk(deviceChoice, (reason) => told.push(reason));
  const device = await Device.enroll({
    link: await server.token("ward-1"),
    keystore: join(temporaryFolder(), "device.key"),
    allowSimulatedEnclave: true,
    updatesMin: 1,
    clock: server.clock,
    onEvent: (event) => events.push(event),
    ...(psk === "off" ? {} : { psk }),
  });
  t.after(() => device.close());
  return { server, device, events, told };
}

/** Of each session: whether it was resumed and whether a quantum key is in it. */
const sessionsIn = (events: readonly DeviceEvent[]): string[] =>
  events.flatMap((event) => (event.event === "session" ? [`${event.resumed ? "resumed" : "full"} ${event.psk}`] : []));

type Retry = Extract<DeviceEvent, { event: "retry" }>;

const retriesIn = (events: readonly DeviceEvent[]): Retry[] => events.filter((event) => event.event === "retry");

/** Resolves once the device has told of so many. */
async function retried(events: readonly DeviceEvent[], count: number): Promise<void> {
  await eventually(() => retriesIn(events).length >= count || undefined, `${count} retries`);
}

/** Refused before there was a session: the server has not heard the device confirm its keys. */
async function assertRefused({ server, device, events }: Pair, code: string): Promise<void> {
  await assert.rejects(device.connect(), coded(code));
  assert.deepEqual(sessionsIn(events), []);
  const [row] = await server.admin.call<{ state: string }[]>("device.list");
  assert.equal(row?.state, "pending");
}

test("where both require it, a session takes one quantum key, and a round goes through", async (t) => {
  const sites = await QkdSites.start(t);
  const { device, events } = await pairOf(t, sites, "require", "require");
  const rounds = device.rounds();
  const { value: round } = await rounds.next();
  assert.ok((await round!.submit(new Float32Array(TINY_PARAMETERS).fill(0.1), 10)) !== undefined);
  await rounds.return(undefined);
  assert.deepEqual(sessionsIn(events), ["full true"]);
  assert.equal(sites.link.storedCount, 9);
});

test("a resumption keeps the quantum key of its session; a full handshake takes another", async (t) => {
  const sites = await QkdSites.start(t);
  const { server, device, events } = await pairOf(t, sites, "require", "require");
  await device.connect();
  server.clock.move(LIMITS.sessionKeyAgeMsMax);
  await device.connect();
  assert.equal(sites.link.storedCount, 9);
  server.clock.move(LIMITS.sessionAgeMsMax);
  await device.connect();
  assert.deepEqual(sessionsIn(events), ["full true", "resumed true", "full true"]);
  assert.equal(sites.link.storedCount, 8);
});

test("the secret that a resumption starts from depends on the quantum key", () => {
  const secret = (): Uint8Array => new Uint8Array(32).fill(5);
  const of = (psk?: Uint8Array): Uint8Array => deriveSession(new Uint8Array(48), secret(), secret(), psk).resumption;
  assert.deepEqual(of(new Uint8Array(32).fill(1)), of(new Uint8Array(32).fill(1)));
  assert.notDeepEqual(of(new Uint8Array(32).fill(1)), of(new Uint8Array(32).fill(2)));
  assert.notDeepEqual(of(new Uint8Array(32).fill(1)), of());
});

for (const policy of ["prefer", "require"] as const) {
  test(`a KME that gives another key under the same name ends the handshake where both ${policy} it`, async (t) => {
    const sites = await QkdSites.start(t, { isFalse: true });
    await assertRefused(await pairOf(t, sites, policy, policy), "server.identity");
  });
}

for (const [serverChoice, deviceChoice] of [
  ["require", "off"],
  ["off", "require"],
] as const) {
  test(`nothing is agreed where the server has "${serverChoice}" and the device "${deviceChoice}"`, async (t) => {
    const sites = await QkdSites.start(t);
    await assertRefused(await pairOf(t, sites, serverChoice, deviceChoice), "session.psk");
    assert.equal(sites.link.storedCount, 10);
  });
}

test("where one side prefers it and the other has none, sessions go without and say so", async (t) => {
  const sites = await QkdSites.start(t);
  const one = await pairOf(t, sites, "off", "prefer");
  await one.device.connect();
  assert.deepEqual(one.told, ["the server has mixed in no quantum key"]);
  const other = await pairOf(t, sites, "prefer", "off");
  await other.device.connect();
  for (const { events } of [one, other]) assert.deepEqual(sessionsIn(events), ["full false"]);
});

test("where the device's KME is away, a session goes without under prefer, unless the server wants one", async (t) => {
  const sites = await QkdSites.start(t);
  await sites.devices.leave();
  const preferring = await pairOf(t, sites, "prefer", "prefer");
  await preferring.device.connect();
  assert.deepEqual(sessionsIn(preferring.events), ["full false"]);
  assert.match(preferring.told[0]!, /the KME does not give one/);
  await assertRefused(await pairOf(t, sites, "require", "prefer"), "session.psk");
});

for (const side of ["devices", "server"] as const) {
  test(`where a key is required, the KME of the ${side} that is away is waited for, again and again`, async (t) => {
    const sites = await QkdSites.start(t);
    await sites[side].leave();
    const pair = await pairOf(t, sites, "require", "require");
    const connected = pair.device.connect();
    await retried(pair.events, 3);
    assert.deepEqual(sessionsIn(pair.events), []);
    assert.equal((await pair.server.state()).sessions, 0);
    assert.match((await pair.server.state()).devices[0]!, / pending /);
    await sites[side].comeBack();
    await connected;
    const [first, second, third] = retriesIn(pair.events);
    for (const { reason } of [first!, second!, third!]) assert.match(reason, /the KME does not give one/);
    // Each is twice the last, times 0.5 to 1.5.
    assert.ok(third!.wait_ms >= 200 && first!.wait_ms <= 150, `${first!.wait_ms} ms, then ${third!.wait_ms} ms`);
    assert.deepEqual(sessionsIn(pair.events), ["full true"]);
    await sites[side].leave();
    pair.server.clock.move(LIMITS.sessionAgeMsMax);
    const count = retriesIn(pair.events).length;
    const again = pair.device.connect();
    await retried(pair.events, count + 2);
    await sites[side].comeBack();
    await again;
    assert.deepEqual(sessionsIn(pair.events), ["full true", "full true"]);
  });
}

for (const policy of ["prefer", "require"] as const) {
  test(`a KME that goes away with the key of a session lets no session begin without, under ${policy}`, async (t) => {
    const sites = await QkdSites.start(t);
    const psk = await sites.devicePsk("require");
    let left = 0;
    const leaving: DevicePsk = {
      offer: () => psk.offer(),
      take: async (id) => {
        if (left++ === 0) await sites.devices.leave();
        return await psk.take(id);
      },
    };
    const { device, events } = await pairOf(t, sites, policy, leaving);
    const connected = device.connect();
    await retried(events, 2);
    assert.deepEqual(sessionsIn(events), []);
    await sites.devices.comeBack();
    await connected;
    assert.deepEqual(sessionsIn(events), ["full true"]);
    assert.equal(sites.link.storedCount, 8);
  });
}

test("a link without keys is waited for where both require one, and each try that fails takes none", async (t) => {
  const sites = await QkdSites.start(t, { keyCount: 0 });
  const { device, events } = await pairOf(t, sites, "require", "require");
  const connected = device.connect();
  await retried(events, 2);
  assert.deepEqual(sessionsIn(events), []);
  const closed = device.close();
  await assert.rejects(connected, coded("server.unavailable"));
  await closed;
});

test("a KME that does not know the key ends the device that requires one, without another try", async (t) => {
  const sites = await QkdSites.start(t);
  const psk = await sites.devicePsk("require", () => undefined, "another-server");
  const pair = await pairOf(t, sites, "require", psk);
  await assertRefused(pair, "session.psk");
  assert.deepEqual(retriesIn(pair.events), []);
});

test("where the link has no key left, a session goes without where the server prefers one", async (t) => {
  const sites = await QkdSites.start(t, { keyCount: 1 });
  const { server, device, events } = await pairOf(t, sites, "prefer", "prefer");
  await device.connect();
  server.clock.move(LIMITS.sessionAgeMsMax);
  await device.connect();
  assert.deepEqual(sessionsIn(events), ["full true", "full false"]);
  await assertRefused(await pairOf(t, sites, "prefer", "require"), "session.psk");
});
