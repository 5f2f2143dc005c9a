// Keys of a session end before any of their limits, from the device's side and against a running server. A device's
// counters are set near the end of 2^20 records and 64 GiB: they only end its keys sooner.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LIMITS } from "../../src/core/limits.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Connection } from "../../src/device/connection.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import { OpenKeystore, saveKeystore } from "../../src/device/keystore.ts";
import { RENEWAL_MARGIN_MS, type Session } from "../../src/device/session.ts";
import { workAnswer, workRequest } from "../../src/wire/work.ts";
import { folderOf } from "../support/folder.ts";
import { TestServer } from "../support/server.ts";

const IDLE_MS = LIMITS.sessionIdleMsMax / 3;
const KEY_MS = LIMITS.sessionKeyAgeMsMax;

/** A device's connection to a server of its own. */
class Line {
  readonly #server: TestServer;
  readonly #connection: Connection;
  /** "full" or "resumed", of each session. */
  readonly sessions: string[] = [];
  readonly retries: string[] = [];
  /** The newest one. */
  session: Session | undefined;

  private constructor(server: TestServer, keystore: OpenKeystore) {
    this.#server = server;
    this.#connection = new Connection(keystore, {
      clock: server.clock,
      random: systemRandom,
      onRetry: (reason) => this.retries.push(reason),
      onSession: (session, isResumed) => {
        this.sessions.push(isResumed ? "resumed" : "full");
        this.session = session;
      },
    });
  }

  static async open(context: TestContext): Promise<Line> {
    const server = await TestServer.start();
    server.clock.hold();
    const path = join(folderOf(context), "device.key");
    const keystore = await enrollDevice(await server.token("ward-1"));
    saveKeystore(path, keystore);
    const line = new Line(server, new OpenKeystore(path, keystore));
    context.after(async () => {
      line.#connection.close();
      await server.close();
    });
    await line.ask();
    return line;
  }

  /** For both ends, whose clock stands still otherwise. */
  move(ms: number): void {
    this.#server.clock.move(ms);
  }

  /** As move, without ever being idle for long. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= IDLE_MS) {
      await this.ask();
      this.move(Math.min(left, IDLE_MS));
    }
  }

  async ask(): Promise<void> {
    const request = () => workRequest.encode({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });
    const answer = await this.#connection.call("GET", "/api/global_model", request, workAnswer.bytesMax);
    assert.equal(workAnswer.decode(answer).state, "wait");
  }
}

test("the last record that a device seals under its keys is one that the server takes", async (t) => {
  const line = await Line.open(t);
  const first = line.session!;
  first.nextSequence = LIMITS.sessionRecordsMax - 3;
  await line.ask();
  await line.ask();
  assert.deepEqual(line.sessions, ["full"]);
  assert.equal(first.nextSequence, LIMITS.sessionRecordsMax - 1);
  await line.ask();
  assert.deepEqual([line.sessions, line.retries], [["full", "resumed"], []]);
  assert.equal(line.session!.nextSequence, 1);
});

test("calls that meet at the last number share what is left, and the others go on under new keys", async (t) => {
  const line = await Line.open(t);
  const first = line.session!;
  first.nextSequence = LIMITS.sessionRecordsMax - 2;
  await Promise.all(Array.from({ length: 5 }, () => line.ask()));
  assert.equal(first.nextSequence, LIMITS.sessionRecordsMax);
  assert.ok(line.sessions.length > 1 && line.session !== first);
  assert.ok(line.session!.nextSequence >= 3);
});

test("new keys are made before 64 GiB of records, and the call that comes near them goes through", async (t) => {
  const line = await Line.open(t);
  const first = line.session!;
  const marginBytes = 2 ** 20;
  first.recordBytes = LIMITS.sessionBytesMax - marginBytes - 1;
  await line.ask();
  assert.deepEqual(line.sessions, ["full"]);
  assert.ok(first.recordBytes >= LIMITS.sessionBytesMax - marginBytes && first.recordBytes < LIMITS.sessionBytesMax);
  await line.ask();
  assert.deepEqual([line.sessions, line.retries], [["full", "resumed"], []]);
  assert.ok(line.session!.recordBytes < marginBytes);
});

test("a record counts with its length, both ways", async (t) => {
  const line = await Line.open(t);
  const { recordBytes } = line.session!;
  const request = workRequest.encode({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });
  await line.ask();
  assert.ok(line.session!.recordBytes - recordBytes > request.length + 2 * 16);
});

test("new keys are made a minute before theirs are an hour old, and not sooner", async (t) => {
  const line = await Line.open(t);
  await line.pass(KEY_MS - RENEWAL_MARGIN_MS - 1);
  await line.ask();
  assert.deepEqual(line.sessions, ["full"]);
  line.move(1);
  await line.ask();
  assert.deepEqual([line.sessions, line.retries], [["full", "resumed"], []]);
});

test("a minute before a day is over one full handshake is made, and no resumption for each call", async (t) => {
  const line = await Line.open(t);
  const stepMs = KEY_MS - RENEWAL_MARGIN_MS;
  const steps = Math.floor((LIMITS.sessionAgeMsMax - RENEWAL_MARGIN_MS) / stepMs);
  for (let step = 0; step < steps; step++) {
    await line.pass(stepMs);
    await line.ask();
  }
  await line.pass(LIMITS.sessionAgeMsMax - RENEWAL_MARGIN_MS - steps * stepMs - 1);
  await line.ask();
  const before = ["full", ...Array.from({ length: steps }, () => "resumed")];
  assert.deepEqual([line.sessions, line.retries], [before, []]);
  line.move(1);
  for (let calls = 0; calls < 3; calls++) await line.ask();
  assert.deepEqual([line.sessions, line.retries], [[...before, "full"], []]);
});

test("keys that the server has let go for being idle are followed by new ones at once", async (t) => {
  const line = await Line.open(t);
  line.move(LIMITS.sessionIdleMsMax);
  await line.ask();
  assert.deepEqual(line.sessions, ["full", "resumed"]);
  assert.equal(line.retries.length, 1);
});
