// Attacks on a device in its handshake and session: answers that are altered, replayed, swapped or made by another.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { encodeCbor } from "../../src/core/codec.ts";
import type { ErrorCode } from "../../src/core/error.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { enrollDevice, pinOf } from "../../src/device/enroll.ts";
import { openSession } from "../../src/device/handshake.ts";
import type { Keystore } from "../../src/device/keystore.ts";
import type { Session } from "../../src/device/session.ts";
import { type HttpAnswer, type HttpCall, Transport } from "../../src/device/transport.ts";
import { loadServerKeys } from "../../src/server/keys.ts";
import { answerMessage, challengeAnswer, challengeRequest } from "../../src/wire/challenge.ts";
import { transcriptHash } from "../../src/wire/handshake.ts";
import { identityMessage } from "../../src/wire/identity.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { HEADERS } from "../../src/wire/record.ts";
import { workAnswer, workRequest } from "../../src/wire/work.ts";
import { TestServer } from "../support/server.ts";
import { alteredFields, assertWholeWalk, flipped, mldsa } from "../support/session.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Relay = (answer: HttpAnswer, call: HttpCall) => HttpAnswer | Promise<HttpAnswer>;

let server: TestServer;
let keystore: Keystore;
let way: Transport;

before(async () => {
  server = await TestServer.start();
  keystore = await enrollDevice(await server.token("listener"));
  way = new Transport(server.url, pinOf(identityMessage.decode(keystore.identity)));
});

after(async () => {
  way.close();
  await server.close();
});

/** The device's transport, with somebody on it who alters the answers. */
function relayed(relay: Relay): Transport {
  const call = async (request: HttpCall): Promise<HttpAnswer> => await relay(await way.call(request), request);
  return { call, close: () => undefined } as unknown as Transport;
}

async function open(relay: Relay): Promise<Session> {
  const options = { suites: ["QF2-HYBRID"], clock: server.clock, random: systemRandom } as const;
  return await openSession(relayed(relay), keystore, options);
}

async function assertDeviceRefuses(code: ErrorCode, relay: Relay): Promise<void> {
  await assert.rejects(open(relay), { code });
}

const asIs: Relay = (answer) => answer;

/** Alters the second message, and leaves the signature and confirmation that were made for it. */
function altering(alter: (inner: ReturnType<typeof answerMessage.decode>) => object): Relay {
  return (answer) => {
    const outer = challengeAnswer.decode(answer.body);
    const message = encodeCbor(alter(answerMessage.decode(outer.message)));
    return { ...answer, body: challengeAnswer.encode({ ...outer, message }) };
  };
}

test("a device takes the answer as the server sent it", async () => {
  (await open(asIs)).close();
});

test("a device refuses a second message with any one field altered", async () => {
  const names: string[] = [];
  await assertDeviceRefuses(
    "server.identity",
    altering((inner) => {
      names.push(...alteredFields(inner).map(([name]) => name));
      return { ...inner, expires_at: inner.expires_at + 1 };
    }),
  );
  assertWholeWalk(names, answerMessage.shape);
  for (const name of names) {
    const relay = altering((inner) => alteredFields(inner).find(([field]) => field === name)![1]);
    await assertDeviceRefuses(name === "v" ? "message.malformed" : "server.identity", relay);
  }
});

test("a device refuses a second message whose signature or confirmation is altered", async () => {
  for (const name of ["signature", "confirmation"] as const) {
    await assertDeviceRefuses("server.identity", (answer) => {
      const outer = challengeAnswer.decode(answer.body);
      return { ...answer, body: challengeAnswer.encode({ ...outer, [name]: flipped(outer[name]) }) };
    });
  }
});

test("a device refuses the second message of an earlier handshake", async () => {
  let earlier: HttpAnswer | undefined;
  (
    await open((answer) => {
      earlier = answer;
      return answer;
    })
  ).close();
  await assertDeviceRefuses("server.identity", () => earlier!);
});

test("a device refuses a second message that was made for another device", async () => {
  const other = await enrollDevice(await server.token("other-listener"));
  const options = { suites: ["QF2-HYBRID"], clock: server.clock, random: systemRandom } as const;
  let foreign: HttpAnswer | undefined;
  const tapped = relayed((answer) => {
    foreign = answer;
    return answer;
  });
  (await openSession(tapped, other, options)).close();
  await assertDeviceRefuses("server.identity", () => foreign!);
});

/** Signs anew what the alteration made of the second message, with any key. */
function resigned(secretKey: Bytes, alter: (inner: object) => object): Relay {
  return (answer, call) => {
    const hello = challengeRequest.decode(call.body![0]!);
    const outer = challengeAnswer.decode(answer.body);
    const message = encodeCbor(alter(answerMessage.decode(outer.message)));
    const serverKey = identityMessage.decode(keystore.identity).signature_public_key;
    const th2 = transcriptHash(hello.message, hello.signature, message, serverKey);
    const signature = mldsa.sign(secretKey, th2, CONTEXTS.answer);
    return { ...answer, body: challengeAnswer.encode({ ...outer, message, signature }) };
  };
}

test("a device refuses a second message signed by another key than the one it pinned", async () => {
  const { secretKey } = mldsa.generateKeyPair();
  await assertDeviceRefuses(
    "server.identity",
    resigned(secretKey, (inner) => inner),
  );
});

test("a device refuses what the server's key signs without the shared secrets", async () => {
  const { signatureSecretKey } = await loadServerKeys(server.dataDir, [], systemRandom);
  const kept = resigned(signatureSecretKey, (inner) => inner);
  (await open(kept)).close();
  for (const name of ["ephemeral_ciphertext", "static_ciphertext"]) {
    const relay = resigned(signatureSecretKey, (inner) => ({
      ...inner,
      [name]: flipped((inner as Record<string, Uint8Array>)[name]!, -1),
    }));
    await assertDeviceRefuses("server.identity", relay);
  }
  const downgraded = resigned(signatureSecretKey, (inner) => ({ ...inner, suite: "QF1-FRODO" }));
  await assertDeviceRefuses("server.identity", downgraded);
});

test("a device refuses a point of small order that the server's key has signed", async () => {
  const { signatureSecretKey } = await loadServerKeys(server.dataDir, [], systemRandom);
  const relay = resigned(signatureSecretKey, (inner) => {
    const ciphertext = new Uint8Array((inner as { ephemeral_ciphertext: Uint8Array }).ephemeral_ciphertext);
    return { ...inner, ephemeral_ciphertext: ciphertext.fill(0, 0, 32) };
  });
  await assertDeviceRefuses("message.malformed", relay);
});

const WORK = workRequest.encode({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });

async function ask(session: Session): Promise<void> {
  workAnswer.decode(await session.call("GET", "/api/global_model", WORK, workAnswer.bytesMax));
}

/** A session on which answers to protected requests pass through this relay. */
async function openThen(relay: Relay): Promise<Session> {
  return await open((answer, call) => (call.path === "/api/challenge" ? answer : relay(answer, call)));
}

test("a device refuses an answer that was given to another of its requests", async () => {
  const answers: HttpAnswer[] = [];
  const session = await openThen((answer) => {
    answers.push(answer);
    return answers[0]!;
  });
  await ask(session);
  await assert.rejects(ask(session), { code: "server.identity" });
  session.close();
});

test("a device refuses two answers that are swapped", async () => {
  const both = Promise.withResolvers<HttpAnswer[]>();
  const answers: HttpAnswer[] = [];
  const session = await openThen(async (answer) => {
    const position = answers.push(answer) - 1;
    if (position === 1) both.resolve(answers);
    return (await both.promise)[1 - position]!;
  });
  const [first, second] = await Promise.allSettled([ask(session), ask(session)]);
  for (const result of [first, second]) {
    assert.equal(result.status, "rejected");
    assert.equal((result.reason as { code: string }).code, "server.identity");
  }
  session.close();
});

test("a device refuses an answer that is altered, cut, reflected, or of another place in the session", async () => {
  const alterations: Relay[] = [
    (answer) => ({ ...answer, body: flipped(answer.body) }),
    (answer) => ({ ...answer, body: flipped(answer.body, -1) }),
    (answer) => ({ ...answer, body: answer.body.slice(0, -1) }),
    (answer) => ({ ...answer, body: new Uint8Array(0) }),
    (answer) => ({ ...answer, headers: { ...answer.headers, [HEADERS.sequence]: "1" } }),
    (answer) => ({ ...answer, headers: { ...answer.headers, [HEADERS.sequence]: "-1" } }),
    (answer) => ({ ...answer, headers: {} }),
    (answer, call) => ({ ...answer, body: new Uint8Array(Buffer.from(call.headers![HEADERS.record]!, "base64url")) }),
  ];
  for (const relay of alterations) {
    const session = await openThen(relay);
    await assert.rejects(ask(session), { code: "server.identity" });
    session.close();
  }
});

test("a device refuses an answer of another of its sessions", async () => {
  let foreign: HttpAnswer | undefined;
  const other = await openThen((answer) => {
    foreign = answer;
    return answer;
  });
  await ask(other);
  const session = await openThen(() => foreign!);
  await assert.rejects(ask(session), { code: "server.identity" });
  other.close();
  session.close();
});
