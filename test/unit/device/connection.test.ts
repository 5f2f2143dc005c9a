// How long a device goes on trying: until it is closed, whoever closes it and when.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { Connection } from "../../../src/device/connection.ts";
import { OpenKeystore } from "../../../src/device/keystore.ts";
import { Transport, Unreachable } from "../../../src/device/transport.ts";
import { coded } from "../../support/errors.ts";
import { TestServer } from "../../support/parts.ts";

const STOPPING = coded("server.unavailable", /the device is stopping$/);

/** A connection that is closed by whoever is told of its first retry. */
async function closedByRetry(context: TestContext): Promise<Connection> {
  const server = await TestServer.start(context);
  const { clock, random, folder } = server;
  const keystore = new OpenKeystore(join(folder, "device.key"), await server.enrolled("device"));
  const onRetry = (): void => connection.close();
  const connection = new Connection(keystore, { clock, random, onRetry, onSession: () => undefined });
  // No pause ends by itself.
  context.mock.timers.enable({ apis: ["setTimeout"] });
  return connection;
}

/** Rejects also where attempts do not end in some turns. */
async function ended(attempts: Promise<unknown>): Promise<void> {
  const isLate = turns().then(() => assert.fail("it sleeps on"));
  await Promise.race([attempts, isLate]);
}

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe("a device that is closed by its own retry event", () => {
  it("neither waits for a server that is away nor asks it again", async (context) => {
    const connection = await closedByRetry(context);
    const called = context.mock.method(Transport.prototype, "call", async () => {
      throw new Unreachable("nobody is there");
    });
    await assert.rejects(ended(connection.get("/api/identity", 1)), STOPPING);
    assert.equal(called.mock.callCount(), 1);
  });

  it("neither waits for witnesses nor asks for them again", async (context) => {
    const connection = await closedByRetry(context);
    const attempt = context.mock.fn(async () => {
      throw new QflareError("log.witness");
    });
    await assert.rejects(ended(connection.untilWitnessed(attempt)), STOPPING);
    assert.equal(attempt.mock.callCount(), 1);
  });
});
