import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { AuditLog } from "../../../src/server/audit.ts";
import { Writer } from "../../../src/server/store/writer.ts";
import { Witnesses } from "../../../src/server/witnesses.ts";
import { openCheckpoint } from "../../../src/wire/checkpoint.ts";
import { formatVkey, parseNote } from "../../../src/wire/note.ts";
import { SIZE_TYPE } from "../../../src/wire/witness.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../../../src/wire/witness-policy.ts";
import { loadWitnessKeys } from "../../../src/witness/keys.ts";
import { WitnessStore } from "../../../src/witness/store.ts";
import { SizeConflict, Witness } from "../../../src/witness/witness.ts";
import { silentLog, strictLog } from "../../support/clock.ts";
import { TestServer } from "../../support/parts.ts";

const NAMES = ["one", "two"] as const;
type Name = (typeof NAMES)[number];
/** How a witness meets a request: hangs until the log gives up, or repeats its lines. */
type Mood = "there" | "away" | "hangs" | "repeats itself";

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}

/** A log of 5 entries that one witness is enough for, of two; fetch reaches them without a network. */
class Scene {
  readonly moods: Record<Name, Mood> = { one: "there", two: "away" };
  readonly asked: Record<Name, number> = { one: 0, two: 0 };
  readonly any: WitnessPolicy;
  readonly all: WitnessPolicy;
  audit: AuditLog;
  givenUp = 0;
  readonly #context: TestContext;
  readonly #server: TestServer;
  readonly #witnesses: Record<Name, Witness>;
  #running: Witnesses | undefined;

  private constructor(context: TestContext, server: TestServer) {
    const { folder, random, clock } = server;
    this.#context = context;
    this.#server = server;
    this.audit = new AuditLog({ ...server.auditPorts(), isWitnessed: true });
    const signers = NAMES.map((name) => loadWitnessKeys(join(folder, `${name}.key`), `w.example/${name}`, random));
    const logs = [this.audit.signer.keys[1]!];
    const [one, two] = NAMES.map((name, i) => {
      const store = new WitnessStore(join(folder, `${name}.sqlite`));
      context.after(() => store.close());
      return new Witness({ signer: signers[i]!, store, clock, logs });
    });
    this.#witnesses = { one: one!, two: two! };
    const lines = NAMES.map((name, i) => `witness ${name} ${formatVkey(signers[i]!.keys[1]!)} http://${name}`);
    const policy = (count: string) => parseWitnessPolicy(`${lines.join("\n")}\ngroup g ${count} one two\nquorum g`);
    this.any = policy("any");
    this.all = policy("all");
    const answer = (url: string, init: RequestInit) => this.#answer(new URL(url).hostname as Name, init);
    context.mock.method(globalThis, "fetch", answer as typeof fetch);
    context.mock.timers.enable({ apis: ["setTimeout"] });
  }

  static async open(context: TestContext): Promise<Scene> {
    const scene = new Scene(context, await TestServer.start(context));
    await scene.grow(5);
    return scene;
  }

  async #answer(name: Name, { body, signal }: RequestInit): Promise<Response> {
    this.asked[name] += 1;
    const mood = this.moods[name];
    if (mood === "away") throw new TypeError("fetch failed");
    if (mood === "hangs") {
      await new Promise((resolve) => signal!.addEventListener("abort", resolve));
      this.givenUp += 1;
      throw signal!.reason;
    }
    try {
      const lines = this.#witnesses[name].addCheckpoint(body as string);
      return new Response(mood === "repeats itself" ? lines.repeat(12) : lines);
    } catch (error) {
      if (!(error instanceof SizeConflict)) throw error;
      return new Response(`${error.size}\n`, { status: error.status, headers: { "content-type": SIZE_TYPE } });
    }
  }

  async grow(count: number): Promise<void> {
    const writer = new Writer(this.#server.db, this.audit, strictLog);
    const fact = { type: "token.created", subject: "x", digest: new Uint8Array(32) } as const;
    for (let i = 0; i < count; i++) await writer.write((tx) => this.audit.append(tx, fact));
  }

  /** As a server does that starts: with the log as it is stored. */
  async start(): Promise<void> {
    await this.#running?.close();
    this.audit = new AuditLog({ ...this.#server.auditPorts(), isWitnessed: true });
    await this.audit.load();
    const writer = new Writer(this.#server.db, this.audit, strictLog);
    const ports = { audit: this.audit, writer, log: silentLog, policy: this.any, onCosigned: () => undefined };
    const running = new Witnesses(ports);
    this.#running = running;
    this.#context.after(() => running.close());
    running.start();
  }

  /** Each pause begins in the turn of what came before it. */
  async pass(ms: number): Promise<void> {
    await nextTurn();
    this.#context.mock.timers.tick(ms);
    await nextTurn();
  }

  isServed(size: number, policy = this.any): boolean {
    const { served, signer } = this.audit;
    if (served?.size !== size) return false;
    try {
      openCheckpoint({ origin: served.origin, logKeys: [signer.keys[1]!], policy }, served.note);
      return true;
    } catch {
      return false;
    }
  }
}

describe("witnesses of which one is enough", () => {
  it("are asked again for what is served where they were away, ever later, until all have signed", async (t) => {
    const scene = await Scene.open(t);
    await scene.start();
    await until(() => scene.isServed(5));
    assert.deepEqual(scene.asked, { one: 1, two: 1 });
    const pauses = [1, 2, 4, 8, 16, 30, 30].map((seconds) => seconds * 1000);
    for (const [i, ms] of pauses.entries()) {
      await scene.pass(ms - 1);
      assert.deepEqual(scene.asked, { one: 1, two: 1 + i }, `before pause ${i} is over`);
      await scene.pass(1);
      await until(() => scene.asked.two > 1 + i);
    }
    scene.moods.two = "there";
    assert.ok(!scene.isServed(5, scene.all));
    await scene.pass(30_000);
    await until(() => scene.isServed(5, scene.all));
    const { two } = scene.asked;
    await scene.pass(120_000);
    assert.deepEqual(scene.asked, { one: 1, two });
  });

  it("are asked for what is missing after a restart of the server, and for no more where all is there", async (t) => {
    const scene = await Scene.open(t);
    await scene.start();
    await until(() => scene.isServed(5));
    scene.moods.two = "there";
    await scene.start();
    assert.ok(scene.isServed(5) && !scene.isServed(5, scene.all));
    await scene.pass(1000);
    await until(() => scene.isServed(5, scene.all));
    const asked = { ...scene.asked };
    await scene.start();
    assert.ok(scene.isServed(5, scene.all));
    await scene.pass(120_000);
    assert.deepEqual(scene.asked, asked);
  });

  it("do not hold up what is new by being late for what is served", async (t) => {
    const scene = await Scene.open(t);
    await scene.start();
    await until(() => scene.isServed(5));
    scene.moods.two = "hangs";
    await scene.pass(1000);
    await until(() => scene.asked.two === 2);
    assert.equal(scene.givenUp, 0);
    scene.moods.two = "there";
    await scene.grow(1);
    await until(() => scene.isServed(6, scene.all));
    assert.equal(scene.givenUp, 1);
  });

  it("have one line each, though one of them repeats its own", async (t) => {
    const scene = await Scene.open(t);
    scene.moods.two = "repeats itself";
    await scene.start();
    await until(() => scene.isServed(5, scene.all));
    const names = parseNote(scene.audit.served!.note).signatures.map(({ name }) => name);
    assert.deepEqual(names.slice(2), ["w.example/one", "w.example/two"]);
  });
});
