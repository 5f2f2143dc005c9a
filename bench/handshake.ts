// Server CPU of handshakes against one gateway process: full ones of each suite, and resumptions, over TLS.
//
//   node bench/handshake.ts [handshakes]
//
// The server runs alone in its process; its CPU time is read before and after each series, so that what the devices
// spend does not count. A handshake is followed by its first protected request, without which no session lives; the
// cost of such a request is measured first and taken off. Then the breakdown: median time of each step alone, in this
// process, with the same functions that the server calls.

import { systemClock } from "../src/cli/system.ts";
import { kem } from "../src/crypto/kem-table.ts";
import { systemRandom } from "../src/crypto/random.ts";
import { signature } from "../src/crypto/signature.ts";
import { exchangeKem, RESUME_KEM, SUITE_NAMES, SUITES, type SuiteName } from "../src/crypto/suite.ts";
import { enrollDevice, pinOf } from "../src/device/enroll.ts";
import { openSession } from "../src/device/handshake.ts";
import type { Keystore } from "../src/device/keystore.ts";
import { resumeSession } from "../src/device/resume.ts";
import type { Session } from "../src/device/session.ts";
import { Transport } from "../src/device/transport.ts";
import { deriveSession, wipeSession } from "../src/wire/handshake.ts";
import { identityMessage } from "../src/wire/identity.ts";
import { CONTEXTS } from "../src/wire/labels.ts";
import { workAnswer, workRequest } from "../src/wire/work.ts";
import { BenchServer } from "./support/bench-server.ts";
import { cpuTimeMs } from "./support/process-figures.ts";

const WARM_UP = 30;
const AIM_MS: Readonly<Record<string, number>> = { "QF2-HYBRID": 2.0, "QF1-FRODO": 2.6, resume: 0.6 };

const ASK = workRequest.encode({ after_round: 0, wait_ms: 0, nonce: null, log_size: 0 });

async function ask(session: Session): Promise<Session> {
  await session.call("GET", "/api/global_model", ASK, workAnswer.bytesMax);
  return session;
}

/** Milliseconds of server CPU for each of so many runs. */
async function serverCpu(pid: number, count: number, run: () => Promise<void>): Promise<number> {
  for (let i = 0; i < WARM_UP; i++) await run();
  const before = cpuTimeMs(pid);
  for (let i = 0; i < count; i++) await run();
  return (cpuTimeMs(pid) - before) / count;
}

class Bench {
  readonly #server: BenchServer;
  readonly #count: number;
  #requestMs = 0;

  constructor(server: BenchServer, count: number) {
    this.#server = server;
    this.#count = count;
  }

  async run(): Promise<void> {
    console.log("server CPU, milliseconds            ms     aim");
    this.#requestMs = await this.#request();
    for (const suite of SUITE_NAMES) await this.#suite(suite);
  }

  async #device(suite: SuiteName, name: string): Promise<{ keystore: Keystore; way: Transport }> {
    const keystore = await enrollDevice(await this.#server.token(name), [suite]);
    return { keystore, way: new Transport(keystore.url, pinOf(identityMessage.decode(keystore.identity))) };
  }

  async #suite(suite: SuiteName): Promise<void> {
    const { keystore, way } = await this.#device(suite, `bench-${suite}`);
    const options = { suites: [suite], clock: systemClock, random: systemRandom };
    const full = await serverCpu(this.#server.pid, this.#count, async () => {
      (await ask(await openSession(way, keystore, options))).close();
    });
    report(`handshake ${suite}`, full - this.#requestMs, AIM_MS[suite]);
    if (suite === "QF2-HYBRID") await this.#resume(await ask(await openSession(way, keystore, options)), way);
    way.close();
  }

  async #resume(first: Session, way: Transport): Promise<void> {
    let session = first;
    const cost = await serverCpu(this.#server.pid, this.#count, async () => {
      const ticket = session.ticket()!;
      session.close();
      session = await ask(await resumeSession(way, ticket, { clock: systemClock, random: systemRandom }));
    });
    session.close();
    report("resumption", cost - this.#requestMs, AIM_MS.resume);
  }

  async #request(): Promise<number> {
    const { keystore, way } = await this.#device("QF2-HYBRID", "bench-request");
    const session = await openSession(way, keystore, {
      suites: ["QF2-HYBRID"],
      clock: systemClock,
      random: systemRandom,
    });
    const cost = await serverCpu(this.#server.pid, this.#count, async () => {
      await ask(session);
    });
    session.close();
    way.close();
    report("one request of a session", cost);
    return cost;
  }
}

function report(what: string, ms: number, aim?: number): void {
  console.log(
    `${what.padEnd(34)} ${ms.toFixed(2).padStart(5)}  ${aim === undefined ? "" : aim.toFixed(1).padStart(5)}`,
  );
}

async function median(run: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

/** The parts of the server's work, one by one. */
async function breakdown(suite: SuiteName): Promise<void> {
  const { ephemeral, static: fixed, signature: name } = SUITES[suite];
  const [exchange, longTerm, scheme] = [exchangeKem(ephemeral), kem(fixed), signature(name)];
  const [fresh, device, signer] = [
    await exchange.generateKeyPair(),
    await longTerm.generateKeyPair(),
    scheme.generateKeyPair(),
  ];
  const message = systemRandom.bytes(4000);
  const signed = scheme.sign(signer.secretKey, message, CONTEXTS.hello);
  const th2 = systemRandom.bytes(48);
  const verified = await median(() => scheme.verify(signer.publicKey, message, signed, CONTEXTS.hello));
  report(`${suite}: verify the device`, verified);
  report(`${suite}: ${ephemeral}`, await median(() => exchange.encapsulate(fresh.publicKey)));
  report(`${suite}: ${fixed}, hot key`, await median(() => longTerm.encapsulate(device.publicKey)));
  report(`${suite}: sign the answer`, await median(() => scheme.sign(signer.secretKey, th2, CONTEXTS.answer)));
  const schedule = (): void => wipeSession(deriveSession(th2, systemRandom.bytes(32), systemRandom.bytes(24)));
  report(`${suite}: key schedule`, await median(schedule));
}

const model = ["--rule", "mean", "--model", "softmax", "--inputs", "2", "--classes", "2", "--target", "1000"];
const server = await BenchServer.start(model);
try {
  await new Bench(server, Number(process.argv[2] ?? 200)).run();
} finally {
  await server.close();
}
console.log("\nparts, median milliseconds");
for (const suite of SUITE_NAMES) await breakdown(suite);
const resume = exchangeKem(RESUME_KEM);
const { publicKey } = await resume.generateKeyPair();
report(`resumption: ${RESUME_KEM}`, await median(() => resume.encapsulate(publicKey)));
