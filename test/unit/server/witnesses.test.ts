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

const NAMES = ["one", "two", "three"] as const;
type Name = (typeof NAMES)[number];
/** How a witness meets a request: slow until the test opens its gate, hanging until the log gives up, or repeating. */
type Mood = "there" | "away" | "slow" | "hangs" | "repeats itself";
type Asked = Partial<Record<Name, number>>;

const PATIENCE_MS = 20_000;
const NEVER = new Promise<void>(() => undefined);

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waiting for ${isSo}`);
    await nextTurn();
  }
}

/** A log of 5 entries that one witness is enough for, of two or three; fetch reaches them without a network. */
class Scene {
  readonly moods: Record<Name, Mood> = { one: "there", two: "away", three: "hangs" };
  readonly asked: Asked;
  readonly any: WitnessPolicy;
  readonly all: WitnessPolicy;
  readonly warnings: string[] = [];
  audit: AuditLog;
  /** Requests that the log ended, and those of them whose time was over. */
  givenUp = 0;
  overdue = 0;
  /** Of those that are slow. */
  readonly gate: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  /** Most requests that one of them had at once. */
  mostAtOnce = 0;
  readonly #outstanding: Asked = {};
  readonly #context: TestContext;
  readonly #server: TestServer;
  readonly #witnesses: ReadonlyMap<string, Witness>;
  #running: Witnesses | undefined;

  private constructor(context: TestContext, server: TestServer, names: readonly Name[]) {
    const { folder, random, clock } = server;
    this.#context = context;
    this.#server = server;
    this.audit = new AuditLog({ ...server.auditPorts(), isWitnessed: true });
    this.asked = Object.fromEntries(names.map((name) => [name, 0]));
    const signers = names.map((name) => loadWitnessKeys(join(folder, `${name}.key`), `w.example/${name}`, random));
    const logs = [this.audit.signer.keys[1]!];
    const witnesses = names.map((name, i): [Name, Witness] => {
      const store = new WitnessStore(join(folder, `${name}.sqlite`));
      context.after(() => store.close());
      return [name, new Witness({ signer: signers[i]!, store, clock, logs })];
    });
    this.#witnesses = new Map(witnesses);
    const lines = names.map((name, i) => `witness ${name} ${formatVkey(signers[i]!.keys[1]!)} http://${name}`);
    const group = (count: string) => `group g ${count} ${names.join(" ")}\nquorum g`;
    const policy = (count: string) => parseWitnessPolicy(`${lines.join("\n")}\n${group(count)}`);
    this.any = policy("any");
    this.all = policy("all");
    const answer = (url: string, init: RequestInit) => this.#answer(new URL(url).hostname as Name, init);
    context.mock.method(globalThis, "fetch", answer as typeof fetch);
    context.mock.timers.enable({ apis: ["setTimeout"] });
  }

  static async open(context: TestContext, names: readonly Name[] = ["one", "two"]): Promise<Scene> {
    const scene = new Scene(context, await TestServer.start(context), names);
    await scene.grow(5);
    return scene;
  }

  get outstanding(): number {
    return Object.values(this.#outstanding).reduce((sum, count) => sum + count, 0);
  }

  async #answer(name: Name, request: RequestInit): Promise<Response> {
    this.asked[name]! += 1;
    const count = (this.#outstanding[name] ?? 0) + 1;
    this.#outstanding[name] = count;
    this.mostAtOnce = Math.max(this.mostAtOnce, count);
    try {
      return await this.#meet(name, request);
    } finally {
      this.#outstanding[name]! -= 1;
    }
  }

  async #meet(name: Name, { body, signal }: RequestInit): Promise<Response> {
    const mood = this.moods[name];
    if (mood === "away") throw new TypeError("fetch failed");
    if (mood === "hangs") await this.#hang(signal!, NEVER);
    if (mood === "slow") await this.#hang(signal!, this.gate.promise);
    try {
      const lines = this.#witnesses.get(name)!.addCheckpoint(body as string);
      return new Response(mood === "repeats itself" ? lines.repeat(12) : lines);
    } catch (error) {
      if (!(error instanceof SizeConflict)) throw error;
      return new Response(`${error.size}\n`, { status: error.status, headers: { "content-type": SIZE_TYPE } });
    }
  }

  async #hang(signal: AbortSignal, end: Promise<void>): Promise<void> {
    await Promise.race([end, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    if (!signal.aborted) return;
    this.givenUp += 1;
    if (signal.reason.name === "TimeoutError") this.overdue += 1;
    throw signal.reason;
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
    const log = { ...silentLog, warn: (_: object, text: string) => this.warnings.push(text) };
    const ports = { audit: this.audit, writer, log, policy: this.any, onCosigned: () => undefined };
    const running = new Witnesses(ports);
    this.#running = running;
    this.#context.after(() => running.close());
    running.start();
  }

  async close(): Promise<void> {
    await this.#running!.close();
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
      await until(() => scene.asked.two! > 1 + i);
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

  it("do not hold up a checkpoint by one that hangs from the beginning", async (t) => {
    const scene = await Scene.open(t);
    scene.moods.two = "hangs";
    await scene.start();
    await until(() => scene.isServed(5));
    assert.deepEqual(scene.asked, { one: 1, two: 1 });
    assert.equal(scene.givenUp, 0, "it has time for its line until the log grows");
  });

  it("do not hold up any while the log grows, and have no more than one request each", async (t) => {
    const scene = await Scene.open(t);
    scene.moods.two = "hangs";
    await scene.start();
    for (const size of [5, 6, 7]) {
      await until(() => scene.isServed(size));
      await scene.grow(1);
    }
    await until(() => scene.isServed(8));
    assert.equal(scene.overdue, 0);
    assert.equal(scene.mostAtOnce, 1);
    assert.equal(scene.outstanding, 1);
  });

  it("do not hold up what came while none had answered: it is asked for as soon as one has", async (t) => {
    const scene = await Scene.open(t);
    scene.moods.one = "slow";
    scene.moods.two = "hangs";
    await scene.start();
    await until(() => scene.asked.one === 1);
    await scene.grow(2);
    scene.gate.resolve();
    await until(() => scene.isServed(7));
    assert.equal(scene.overdue, 0);
  });

  it("see a line stored when it comes, not when the slowest has answered", async (t) => {
    const scene = await Scene.open(t, NAMES);
    scene.moods.two = "slow";
    await scene.start();
    await until(() => scene.isServed(5));
    const names = () => parseNote(scene.audit.served!.note).signatures.map(({ name }) => name.split("/")[1]!);
    assert.deepEqual(names().slice(2), ["one"]);
    scene.gate.resolve();
    await until(() => names().includes("two"));
    assert.equal(scene.givenUp, 0);
    scene.moods.three = "there";
    await scene.start();
    assert.deepEqual(names().slice(2), ["one", "two"], "as stored");
    await scene.pass(1000);
    await until(() => scene.isServed(5, scene.all));
    assert.deepEqual(scene.asked, { one: 1, two: 1, three: 2 });
  });

  it("are left alone once the log is closed, though one of them hangs", async (t) => {
    const scene = await Scene.open(t);
    scene.moods.two = "hangs";
    await scene.start();
    await until(() => scene.isServed(5));
    assert.equal(scene.outstanding, 1);
    await scene.close();
    assert.equal(scene.outstanding, 0);
    const asked = { ...scene.asked };
    await scene.grow(1);
    await scene.pass(120_000);
    assert.deepEqual([scene.asked, scene.overdue, scene.warnings], [asked, 0, []]);
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
