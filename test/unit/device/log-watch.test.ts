import assert from "node:assert/strict";
import {
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { LogWatch } from "../../../src/device/log-watch.ts";
import { AuditLog } from "../../../src/server/audit.ts";
import { Writer } from "../../../src/server/store/writer.ts";
import { openCheckpoint } from "../../../src/wire/checkpoint.ts";
import type { LogView } from "../../../src/wire/log-view.ts";
import { formatSignature, formatVkey } from "../../../src/wire/note.ts";
import { NO_WITNESSES, parseWitnessPolicy, type WitnessPolicy } from "../../../src/wire/witness-policy.ts";
import { loadWitnessKeys } from "../../../src/witness/keys.ts";
import { seededRandom, strictLog } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";
import { rewrite } from "../../support/forger.ts";
import { TestServer } from "../../support/parts.ts";

type Show = (seenSize: number) => Promise<LogView>;

async function grow({ writer, audit }: Pick<TestServer, "writer" | "audit">, count: number): Promise<void> {
  const fact = (i: number) => ({ type: "token.created", subject: `entry ${i}`, digest: new Uint8Array(32) }) as const;
  await Promise.all(Array.from({ length: count }, (_, i) => writer.write((tx) => audit.append(tx, fact(i)))));
}

/** What an honest server shows. */
function honest(audit: AuditLog): Show {
  return async (seenSize) => {
    const { size, ...view } = await audit.view(seenSize);
    return view;
  };
}

/** A device that gets its answers from show. */
class Watcher {
  readonly path: string;
  readonly watch: LogWatch;
  readonly #show: Show;

  constructor(path: string, { audit }: TestServer, show: Show = honest(audit), policy: WitnessPolicy = NO_WITNESSES) {
    const [, logKey] = audit.signer.keys;
    const trust = { origin: logKey.name, logKeys: [logKey], policy };
    this.path = path;
    this.watch = new LogWatch({ path, trust: () => trust, keptTrust: () => trust });
    this.#show = show;
  }

  /** Sizes that it named; what it has seen is on disk then. */
  async check(): Promise<number[]> {
    const named = await this.look();
    await this.watch.close();
    return named;
  }

  async look(): Promise<number[]> {
    const named: number[] = [];
    await this.watch.ask(async (size) => {
      named.push(size);
      return { shown: this.watch.opened(await this.#show(size)) };
    });
    return named;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function sizeKept(path: string): number {
  return Number(readFileSync(path, "utf8").split("\n")[1]);
}

function pathOf(context: TestContext): string {
  return join(folderOf(context), "device.key.log");
}

describe("a device that watches the log", () => {
  it("follows it as it grows, over many tiles, and keeps the newest checkpoint", async (context) => {
    const server = await TestServer.start(context);
    const device = new Watcher(pathOf(context), server);
    assert.ok(!existsSync(device.path));
    let before = 0;
    for (const count of [1, 1, 300, 600]) {
      await grow(server, count);
      assert.deepEqual(await device.check(), [before]);
      before = server.audit.newest!.size;
      assert.equal(device.watch.size, before);
      assert.equal(readFileSync(device.path, "utf8"), server.audit.newest!.note);
    }
    await device.check();
    const again = new Watcher(device.path, server);
    assert.equal(again.watch.size, 902);
    assert.deepEqual(await again.check(), [902]);
  });

  it("writes what comes quickly a second after the one before, and the newest at its end", async (t) => {
    const server = await TestServer.start(t);
    const views: LogView[] = [];
    for (let size = 0; size < 20; size++) {
      await grow(server, 1);
      views.push(await honest(server.audit)(size));
    }
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const device = new Watcher(pathOf(t), server, async (size) => views[size]!);
    const kept = (): number => sizeKept(device.path);
    await device.look();
    while (!existsSync(device.path)) await nextTurn();
    for (let i = 0; i < 9; i++) await device.look();
    assert.equal(kept(), 1);
    for (; kept() !== 10; await nextTurn()) t.mock.timers.tick(1000);
    for (let i = 0; i < 10; i++) await device.look();
    t.mock.timers.tick(999);
    assert.equal(kept(), 10);
    await device.watch.close();
    assert.equal(kept(), 20);
  });

  it("has what it has seen on disk before it gives that its name, and then the name", async (t) => {
    const server = await TestServer.start(t);
    await grow(server, 5);
    const device = new Watcher(pathOf(t), server);
    const synced: { what: string; isNamed: boolean }[] = [];
    const any = await open(dirname(device.path), "r");
    const { sync } = Object.getPrototypeOf(any) as FileHandle;
    t.mock.method(Object.getPrototypeOf(any) as FileHandle, "sync", async function (this: FileHandle) {
      const status = fstatSync(this.fd);
      const what = status.isDirectory() ? "folder" : `${status.size} bytes`;
      synced.push({ what, isNamed: existsSync(device.path) });
      await sync.call(this);
    });
    await any.close();
    await device.check();
    const note = `${readFileSync(device.path).length} bytes`;
    assert.deepEqual(synced, [
      { what: note, isNamed: false },
      { what: "folder", isNamed: true },
    ]);
  });

  describe("beside another process with its key file", () => {
    /** What has been written goes no further until it is let go, one after the other. */
    async function heldSyncs(t: TestContext, path: string): Promise<(() => void)[]> {
      const letGo: (() => void)[] = [];
      const any = await open(dirname(path), "r");
      t.mock.method(Object.getPrototypeOf(any) as FileHandle, "sync", async (): Promise<void> => {
        if (letGo.length < 2) await new Promise<void>((resolve) => letGo.push(resolve));
      });
      await any.close();
      return letGo;
    }

    async function count(letGo: unknown[], wanted: number): Promise<void> {
      while (letGo.length < wanted) await nextTurn();
    }

    it("writes where the other does not, and leaves the later checkpoint, whoever comes last", async (t) => {
      const server = await TestServer.start(t);
      const path = pathOf(t);
      const [status, run] = [new Watcher(path, server), new Watcher(path, server)];
      const letGo = await heldSyncs(t, path);
      await grow(server, 5);
      await status.look();
      await count(letGo, 1);
      await grow(server, 5);
      await run.look();
      await count(letGo, 2);
      const names = readdirSync(dirname(path));
      assert.equal(names.length, 2);
      for (const name of names) assert.equal(statSync(join(dirname(path), name)).mode & 0o777, 0o600);
      letGo[1]!();
      await run.watch.close();
      letGo[0]!();
      await status.watch.close();
      assert.equal(sizeKept(path), 10);
      assert.deepEqual(readdirSync(dirname(path)), ["device.key.log"]);
    });

    it("leaves the later checkpoint also where its own could not be written at first", async (t) => {
      const server = await TestServer.start(t);
      await grow(server, 5);
      const path = pathOf(t);
      const [status, run] = [new Watcher(path, server), new Watcher(path, server)];
      mkdirSync(path);
      await status.look();
      await assert.rejects(status.watch.close(), coded("store.unavailable"));
      rmdirSync(path);
      await grow(server, 5);
      await run.check();
      await status.watch.close();
      assert.equal(sizeKept(path), 10);
    });

    it("writes over what is damaged or of another log, however large", async (t) => {
      const server = await TestServer.start(t);
      const stranger = await TestServer.start(t);
      await grow(stranger, 100);
      const foreign = stranger.audit.newest!.note;
      for (const found of ["", foreign]) {
        const device = new Watcher(pathOf(t), server);
        writeFileSync(device.path, found);
        await grow(server, 1);
        await device.check();
        assert.equal(sizeKept(device.path), server.audit.newest!.size);
      }
    });
  });

  it("takes an earlier checkpoint of the same history, and keeps the later one", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const earlier = server.audit.newest!;
    await grow(server, 300);
    const late = { checkpoint: earlier.note, consistency: await server.audit.proveConsistency(earlier.size, 305) };
    const shows = [honest(server.audit), async () => late];
    const device = new Watcher(pathOf(context), server, (size) => shows.shift()!(size));
    await device.check();
    await device.check();
    assert.equal(device.watch.size, 305);
  });

  it("asks again where it has seen something newer while an answer was on its way", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const device = new Watcher(pathOf(context), server);
    await device.check();
    await grow(server, 5);
    const named: number[] = [];
    await device.watch.ask(async (size) => {
      named.push(size);
      const view = await honest(server.audit)(size);
      if (named.length === 1) {
        await grow(server, 5);
        await device.check();
      }
      return { shown: device.watch.opened(view) };
    });
    assert.deepEqual(named, [5, 15]);
    assert.equal(device.watch.size, 15);
  });

  it("refuses a history that was rewritten, of the same length or longer, also after a restart", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 290);
    const device = new Watcher(pathOf(context), server);
    await device.check();
    await rewrite(server, 3, ({ at }) => ({ at: at + 1 }));
    const audit = new AuditLog(server.auditPorts());
    await audit.load();
    const restarted = { audit, writer: new Writer(server.db, audit, strictLog) };
    for (const count of [0, 20]) {
      await grow(restarted, count);
      await assert.rejects(new Watcher(device.path, server, honest(audit)).check(), coded("log.fork"));
    }
    // Who has seen nothing before has nothing to hold against it; that takes a witness.
    await new Watcher(pathOf(context), server, honest(audit)).check();
  });

  it("refuses another run, and proofs that are missing, short, altered or too long", async (context) => {
    const server = await TestServer.start(context);
    const stranger = await TestServer.start(context);
    await grow(server, 5);
    await grow(stranger, 9);
    await assert.rejects(new Watcher(pathOf(context), server, honest(stranger.audit)).check(), coded("log.signature"));
    const lies: Record<string, (proof: LogView["consistency"]) => LogView["consistency"]> = {
      "is missing": () => [],
      "is short": (proof) => proof.slice(1),
      "is altered": ([first, ...rest]) => [first!.map((byte) => byte ^ 1), ...rest],
      "is too long": (proof) => [...proof, new Uint8Array(32)],
    };
    for (const [what, lie] of Object.entries(lies)) {
      const shows = [
        honest(server.audit),
        async (size: number): Promise<LogView> => {
          const view = await honest(server.audit)(size);
          return { ...view, consistency: lie(view.consistency) };
        },
        honest(server.audit),
      ];
      const device = new Watcher(pathOf(context), server, (size) => shows.shift()!(size));
      await device.check();
      const { size } = device.watch;
      await grow(server, 300);
      await assert.rejects(device.check(), coded("log.fork"), what);
      assert.equal(device.watch.size, size);
      await device.check();
    }
  });

  it("refuses a log that is shorter than what it has seen and proves nothing", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const earlier = server.audit.newest!;
    // What a server that was put back to that has for whoever has seen more.
    const consistency = await server.audit.proveConsistency(10, earlier.size);
    assert.deepEqual(consistency, []);
    await grow(server, 5);
    const shows = [honest(server.audit), async () => ({ checkpoint: earlier.note, consistency })];
    const device = new Watcher(pathOf(context), server, (size) => shows.shift()!(size));
    await device.check();
    await assert.rejects(device.check(), coded("log.fork"));
  });

  it("refuses a kept checkpoint that was tampered with", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const path = pathOf(context);
    writeFileSync(path, server.audit.newest!.note.replace("\n5\n", "\n4\n"));
    assert.throws(() => new Watcher(path, server), coded("log.signature"));
  });

  it("names the file that it keeps, where that is cut short or empty", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const path = pathOf(context);
    for (const kept of ["", server.audit.newest!.note.slice(0, 80)]) {
      writeFileSync(path, kept);
      assert.throws(() => new Watcher(path, server), coded("log.malformed", /device\.key\.log holds no checkpoint/));
    }
  });

  it("says so, before it asks again, where what it has seen cannot be kept, until it can", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const device = new Watcher(pathOf(context), server);
    const refused = coded("store.unavailable", /device\.key\.log \(EISDIR\)$/);
    mkdirSync(device.path);
    // What was answered counts: a receipt must not be lost for it.
    assert.deepEqual(await device.look(), [0]);
    await assert.rejects(device.watch.close(), refused);
    await grow(server, 5);
    assert.deepEqual(readdirSync(dirname(device.path)), ["device.key.log"]);
    const unasked = device.watch.ask(() => assert.fail("it asks for what it could not keep"));
    await assert.rejects(unasked, refused);
    rmdirSync(device.path);
    assert.deepEqual(await device.look(), [5]);
    await device.watch.close();
    assert.equal(readFileSync(device.path, "utf8"), server.audit.newest!.note);
  });

  describe("and wants witnesses", () => {
    /** A log and its witness; show: what was cosigned last, to whoever asks. */
    async function witnessed(context: TestContext) {
      const server = await TestServer.start(context);
      await grow(server, 5);
      const signer = loadWitnessKeys(join(server.folder, "w.key"), "witness.example/one", seededRandom("w"));
      const policy = parseWitnessPolicy(`witness one ${formatVkey(signer.keys[1])}\nquorum one`);
      const audit = new AuditLog({ ...server.auditPorts(), isWitnessed: true });
      await audit.load();
      const log = { audit, writer: new Writer(server.db, audit, strictLog) };
      const cosign = (): void => {
        const newest = audit.newest!;
        const lines = signer.sign(newest, server.clock.nowMs()).map(formatSignature);
        audit.cosigned({ ...newest, note: newest.note + lines.join("") });
      };
      const careless = async (seenSize: number): Promise<LogView> => {
        const { size, note } = audit.served!;
        return { checkpoint: note, consistency: await audit.proveConsistency(seenSize, size) };
      };
      const receipt = async (watch: LogWatch): Promise<void> => {
        await grow(log, 1);
        const { signer, newest } = audit;
        const trust = { origin: newest!.origin, logKeys: [signer.keys[1]!], policy: NO_WITNESSES };
        await watch.ask(async (size) => {
          const consistency = await audit.proveConsistency(size, newest!.size);
          const checkpoint = openCheckpoint(trust, newest!.note);
          return { shown: { checkpoint, note: newest!.note, consistency, isCosigned: false } };
        });
      };
      return { server, log, policy, cosign, careless, receipt };
    }

    it("refuses a log that they have not cosigned", async (context) => {
      const { server, policy } = await witnessed(context);
      const device = new Watcher(pathOf(context), server, honest(server.audit), policy);
      await assert.rejects(device.check(), coded("log.witness"));
    });

    it("refuses to go on under what they had cosigned before its receipt, also after a restart", async (context) => {
      const { server, log, policy, cosign, careless, receipt } = await witnessed(context);
      cosign();
      const device = new Watcher(pathOf(context), server, careless, policy);
      assert.deepEqual(await device.look(), [0]);
      await receipt(device.watch);
      const refused = coded("log.witness", /expected a checkpoint over 6 entries, got 5$/);
      await assert.rejects(device.look(), refused);
      await device.watch.close();
      const again = new Watcher(device.path, server, careless, policy);
      await assert.rejects(again.look(), refused);
      // An honest server has them wait for it.
      await assert.rejects(honest(log.audit)(6), coded("log.witness"));
      cosign();
      assert.deepEqual(await again.look(), [6]);
      await grow(log, 3);
      assert.deepEqual(await again.check(), [6]);
    });

    it("is told of a fork, not to wait, by a server that was put back behind what it has seen", async (context) => {
      const { server, policy, cosign, careless, receipt } = await witnessed(context);
      cosign();
      const putBack = async (seenSize: number): Promise<LogView> => ({
        ...(await careless(seenSize)),
        consistency: await server.audit.proveConsistency(seenSize, 5),
      });
      const device = new Watcher(pathOf(context), server, putBack, policy);
      await device.look();
      await receipt(device.watch);
      // It has not grown with the other.
      assert.ok(server.audit.newest!.size === 5 && server.audit.isServedTo(6));
      await assert.rejects(device.look(), coded("log.fork"));
    });
  });
});
