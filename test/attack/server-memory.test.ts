// What is left in the server's memory when it is done with a secret: nothing. The test reads the whole process from
// outside, and knows every secret: it is the device, and has the key file.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { utf8 } from "../../src/core/bytes.ts";
import { decodeCbor } from "../../src/core/codec.ts";
import { expand } from "../../src/crypto/hkdf.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { exchangeKem, SUITES } from "../../src/crypto/suite.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import { KEY_FILE } from "../../src/server/keys.ts";
import { answerMessage, challengeAnswer } from "../../src/wire/challenge.ts";
import { LABELS } from "../../src/wire/labels.ts";
import { workAnswer, workRequest } from "../../src/wire/work.ts";
import { countInMemory } from "../support/memory.ts";
import { draftHello, encodeHello, HandSession, postChallenge } from "../support/session.ts";

type Secrets = Record<string, Uint8Array>;

const SUITE = "QF2-HYBRID";
const clock = { nowMs: () => Date.now() };

/** A server that can be looked at from outside. */
class Watched {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  dataDir = "";
  port = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  static async start(context: TestContext): Promise<Watched> {
    const program = fileURLToPath(new URL("../support/server-process.ts", import.meta.url));
    const child = spawn(process.execPath, ["--expose-gc", program], { stdio: ["pipe", "pipe", "inherit"] });
    const server = new Watched(child);
    context.after(() => {
      child.kill("SIGKILL");
      if (server.dataDir !== "") rmSync(server.dataDir, { recursive: true, force: true });
    });
    Object.assign(server, await server.#answer());
    return server;
  }

  async #answer<T>(): Promise<T> {
    const { value } = await this.#lines.next();
    return JSON.parse(value as string) as T;
  }

  async tell<T>(order: string): Promise<T> {
    this.#child.stdin!.write(`${order}\n`);
    return await this.#answer<T>();
  }

  /** Names of the secrets that its memory holds. */
  async found(secrets: Secrets): Promise<string[]> {
    await this.tell("collect");
    const counts = Object.entries(countInMemory(this.#child.pid!, secrets));
    return counts.filter(([, count]) => count > 0).map(([name]) => name);
  }

  /** What its key file holds: seeds of both identities, with the log's key that follows from one, and the pepper. */
  storedSecrets(): Record<"current" | "next" | "lasting", Secrets> {
    const stored = decodeCbor(readFileSync(join(this.dataDir, KEY_FILE)), 2 ** 20) as Map<string, unknown>;
    const seedsOf = (name: string): Secrets => {
      const seeds: Secrets = Object.fromEntries(stored.get(name) as Map<string, Uint8Array>);
      return { ...seeds, log: expand(seeds.signature!, utf8(LABELS.logKey), 32) };
    };
    const lasting = { pepper: stored.get("token_pepper") as Uint8Array };
    return { current: seedsOf("current"), next: seedsOf("next"), lasting };
  }
}

interface Opened {
  readonly session: HandSession;
  /** What the keys came from, and those of no use after the handshake. */
  readonly spent: Secrets;
  readonly keys: Secrets;
}

async function open(server: Watched, name: string): Promise<Opened> {
  const params = JSON.stringify({ name, age_ms: 3_600_000 });
  const { token } = await server.tell<{ token: string }>(`admin token.create ${params}`);
  const keystore = await enrollDevice(token);
  const hello = await draftHello(keystore, clock);
  const { body } = await postChallenge(server, encodeHello(hello));
  const answer = answerMessage.decode(challengeAnswer.decode(body).message);
  const exchange = exchangeKem(SUITES[SUITE].ephemeral);
  const spent = {
    "ephemeral secret": await exchange.decapsulate(hello.ephemeralSecretKey, answer.ephemeral_ciphertext),
    "static secret": await kem(SUITES[SUITE].static).decapsulate(keystore.kem_secret_key, answer.static_ciphertext),
  };
  const session = await HandSession.accept(server, keystore, hello, body, SUITE);
  const { client, server: own, resumption, confirmDevice, confirmServer, exporter } = session.keys;
  return {
    session,
    spent: { ...spent, confirmDevice, confirmServer, exporter },
    keys: { "client key": client.key, "server key": own.key, resumption },
  };
}

async function ask(session: HandSession): Promise<void> {
  const request = workRequest.encode({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });
  const sealed = session.seal("GET", "/api/global_model", request);
  workAnswer.decode(session.open(sealed, await session.send(sealed)));
}

test("a session leaves nothing of its handshake in the server's memory, and nothing after its end", async (t) => {
  const server = await Watched.start(t);
  const { session, spent, keys } = await open(server, "ward-1");
  await ask(session);
  assert.deepEqual(await server.found(spent), []);
  assert.deepEqual(await server.found(keys), Object.keys(keys), "the search finds what is there");
  await server.tell("admin server.rotate");
  assert.deepEqual(await server.found(keys), []);
});

test("an identity that was replaced leaves no key in the server's memory, and a stopped server none", async (t) => {
  const server = await Watched.start(t);
  const { current, next, lasting } = server.storedSecrets();
  await ask((await open(server, "ward-1")).session);
  assert.deepEqual(await server.found(current), Object.keys(current), "the search finds what is there");
  await server.tell("admin server.rotate");
  const after = server.storedSecrets();
  assert.deepEqual(after.current, next);
  assert.deepEqual(after.lasting, lasting);
  assert.deepEqual(await server.found(current), []);
  assert.deepEqual(await server.found(after.current), Object.keys(after.current));
  await server.tell("stop");
  for (const secrets of [after.current, after.next, lasting]) assert.deepEqual(await server.found(secrets), []);
});
