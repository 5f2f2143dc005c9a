import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { LogWatch } from "../../../src/device/log-watch.ts";
import { AuditLog } from "../../../src/server/audit.ts";
import { Writer } from "../../../src/server/store/writer.ts";
import { formatVkey } from "../../../src/wire/note.ts";
import { LOG_PREFIX, parseTilePath } from "../../../src/wire/tile.ts";
import { NO_WITNESSES, parseWitnessPolicy, type WitnessPolicy } from "../../../src/wire/witness-policy.ts";
import { loadWitnessKeys } from "../../../src/witness/keys.ts";
import { seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";
import { rewrite } from "../../support/forger.ts";
import { TestServer } from "../../support/parts.ts";

async function grow({ writer, audit }: Pick<TestServer, "writer" | "audit">, count: number): Promise<void> {
  const fact = (i: number) => ({ type: "token.created", subject: `entry ${i}`, digest: new Uint8Array(32) }) as const;
  await Promise.all(Array.from({ length: count }, (_, i) => writer.write((tx) => audit.append(tx, fact(i)))));
}

/** What the gateway serves, without the network; from: what a liar shows in place of the newest checkpoint. */
function served(audit: AuditLog, from?: { note?: string }): (path: string) => Promise<Uint8Array> {
  return async (path) => {
    const name = path.slice(LOG_PREFIX.length + 1);
    if (name === "checkpoint") return utf8(from?.note ?? audit.served!.note);
    const { row, number, width } = parseTilePath(name)!;
    const tile = await audit.tile(row as number, number, width);
    if (tile === undefined) throw new QflareError("request.not_found");
    return tile;
  };
}

function watchOf(
  context: TestContext,
  server: TestServer,
  get: (path: string) => Promise<Uint8Array>,
  policy: WitnessPolicy = NO_WITNESSES,
  path = join(folderOf(context), "device.key.log"),
): { watch: LogWatch; path: string } {
  const [, logKey] = server.audit.signer.keys;
  const trust = { origin: logKey.name, logKeys: [logKey], policy };
  return { watch: new LogWatch({ path, trust: () => trust, keptTrust: trust, get }), path };
}

describe("a device that watches the log", () => {
  it("follows it as it grows, over many tiles, and keeps the newest checkpoint", async (context) => {
    const server = await TestServer.start(context);
    const get = served(server.audit);
    const { watch, path } = watchOf(context, server, get);
    assert.ok(!existsSync(path));
    for (const count of [1, 1, 300, 600]) {
      await grow(server, count);
      await watch.check();
      assert.equal(watch.size, server.audit.newest!.size);
      assert.equal(readFileSync(path, "utf8"), server.audit.newest!.note);
    }
    await watch.check();
    const { watch: again } = watchOf(context, server, get, NO_WITNESSES, path);
    assert.equal(again.size, 902);
    await again.check();
  });

  it("takes an earlier checkpoint of the same history, and keeps the later one", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const earlier = server.audit.newest!.note;
    await grow(server, 300);
    const liar: { note?: string } = {};
    const { watch } = watchOf(context, server, served(server.audit, liar));
    await watch.check();
    liar.note = earlier;
    await watch.check();
    assert.equal(watch.size, 305);
  });

  it("refuses a history that was rewritten, of the same length or longer, also after a restart", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 290);
    const { watch, path } = watchOf(context, server, served(server.audit));
    await watch.check();
    await rewrite(server, 3, ({ at }) => ({ at: at + 1 }));
    const audit = new AuditLog(server.auditPorts());
    await audit.load();
    const restarted = { audit, writer: new Writer(server.db, audit) };
    const lie = served(audit);
    for (const count of [0, 20]) {
      await grow(restarted, count);
      const { watch } = watchOf(context, server, lie, NO_WITNESSES, path);
      await assert.rejects(watch.check(), coded("log.fork"));
    }
    // Who has seen nothing before has nothing to hold against it; that takes a witness.
    await watchOf(context, server, lie).watch.check();
  });

  it("refuses a checkpoint of another key or run, and tiles that are not there or lie", async (context) => {
    const server = await TestServer.start(context);
    const stranger = await TestServer.start(context);
    await grow(server, 5);
    await grow(stranger, 9);
    const liar: { note?: string } = {};
    const honest = served(server.audit, liar);
    const { watch } = watchOf(context, server, honest);
    await watch.check();
    liar.note = stranger.audit.newest!.note;
    await assert.rejects(watch.check(), coded("log.signature"));
    delete liar.note;
    await grow(server, 300);
    const lies: Record<string, (path: string) => Promise<Uint8Array>> = {
      "is gone": async () => {
        throw new QflareError("request.not_found");
      },
      "is short": async (path) => (await honest(path)).subarray(32),
      "is altered": async (path) => (await honest(path)).map((byte) => byte ^ 1),
    };
    for (const [what, lie] of Object.entries(lies)) {
      const get = async (path: string) => (path.endsWith("checkpoint") ? await honest(path) : await lie(path));
      const { watch: lied } = watchOf(context, server, get);
      await lied.check();
      await grow(server, 1);
      await assert.rejects(lied.check(), coded("log.fork"), what);
    }
    await watch.check();
  });

  it("refuses a kept checkpoint that was tampered with", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const { path } = watchOf(context, server, served(server.audit));
    writeFileSync(path, server.audit.newest!.note.replace("\n5\n", "\n4\n"));
    assert.throws(() => watchOf(context, server, served(server.audit), NO_WITNESSES, path), coded("log.signature"));
  });

  it("that wants witnesses refuses a log that they have not cosigned", async (context) => {
    const server = await TestServer.start(context);
    await grow(server, 5);
    const signer = loadWitnessKeys(join(server.folder, "w.key"), "witness.example/one", seededRandom("w"));
    const policy = parseWitnessPolicy(`witness one ${formatVkey(signer.keys[1])}\nquorum one`);
    const { watch } = watchOf(context, server, served(server.audit), policy);
    await assert.rejects(watch.check(), coded("log.witness"));
  });
});
