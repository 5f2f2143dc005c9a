import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import type { Kysely } from "kysely";
import { openDatabase } from "../../../src/server/store/database.ts";
import type { Tables } from "../../../src/server/store/schema.ts";
import { type Write, Writer } from "../../../src/server/store/writer.ts";
import { silentLog } from "../../support/clock.ts";

/** A writer whose transactions are listed, each by the names of its writes. */
class Desk {
  readonly commits: string[][] = [];
  readonly writer: Writer;
  #current: string[] = [];

  private constructor(db: Kysely<Tables>) {
    const beforeCommit = async (): Promise<() => void> => {
      const names = this.#current;
      return () => void this.commits.push(names);
    };
    this.writer = new Writer(db, { beforeCommit }, silentLog);
  }

  static async open(context: TestContext): Promise<Desk> {
    const db = await openDatabase(":memory:");
    context.after(async () => await db.destroy());
    return new Desk(db);
  }

  named(name: string, isFirst = false): Write<string> {
    return async () => {
      this.#current = isFirst ? [name] : [...this.#current, name];
      return name;
    };
  }
}

/** A writer whose hook fails with these texts, one for each transaction on disk, and what it reports of that. */
async function failing(context: TestContext, ...texts: string[]): Promise<{ writer: Writer; reported: string[] }> {
  const db = await openDatabase(":memory:");
  context.after(async () => await db.destroy());
  const reported: string[] = [];
  const committed = (): void => {
    const text = texts.shift();
    if (text !== undefined) throw new Error(text);
  };
  const error = (fields: object): void => void reported.push(JSON.stringify(fields));
  return { writer: new Writer(db, { beforeCommit: async () => committed }, { ...silentLog, error }), reported };
}

/** More than a transaction takes that waits for nothing. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

describe("the writer of the ledger", () => {
  it("puts writes of one moment in one transaction, in their order", async (context) => {
    const desk = await Desk.open(context);
    const written = ["a", "b", "c"].map((name, i) => desk.writer.write(desk.named(name, i === 0)));
    assert.deepEqual(await Promise.all(written), ["a", "b", "c"]);
    assert.deepEqual(desk.commits, [["a", "b", "c"]]);
  });

  it("takes what nobody waits for along with the next write, in the order of the calls", async (context) => {
    const desk = await Desk.open(context);
    const idle = desk.writer.writeIdly(desk.named("idle", true));
    await pause(1);
    assert.deepEqual(desk.commits, []);
    await desk.writer.write(desk.named("next"));
    assert.equal(await idle, "idle");
    assert.deepEqual(desk.commits, [["idle", "next"]]);
  });

  it("writes it on its own where no other comes, and goes on after that", async (context) => {
    const desk = await Desk.open(context);
    for (const name of ["first", "second"]) {
      await desk.writer.writeIdly(desk.named(name, true));
    }
    await desk.writer.write(desk.named("third", true));
    assert.deepEqual(desk.commits, [["first"], ["second"], ["third"]]);
  });

  it("brings it to disk when it is drained", async (context) => {
    const desk = await Desk.open(context);
    void desk.writer.writeIdly(desk.named("idle", true));
    await desk.writer.drained();
    assert.deepEqual(desk.commits, [["idle"]]);
  });

  it("waits for a write that is about to come, and no longer than until it has come", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const desk = await Desk.open(context);
    const come = desk.writer.expect();
    const first = desk.writer.write(desk.named("first", true));
    await turns();
    assert.deepEqual(desk.commits, []);
    const second = desk.writer.write(desk.named("second"));
    come();
    await turns();
    assert.deepEqual(desk.commits, [["first", "second"]]);
    assert.deepEqual(await Promise.all([first, second]), ["first", "second"]);
  });

  it("waits 3 ms for one that does not come", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const desk = await Desk.open(context);
    desk.writer.expect();
    void desk.writer.write(desk.named("alone", true));
    await turns();
    context.mock.timers.tick(2);
    await turns();
    assert.deepEqual(desk.commits, []);
    context.mock.timers.tick(1);
    await turns();
    assert.deepEqual(desk.commits, [["alone"]]);
  });

  it("neither repeats nor rejects what is on disk where the hook fails after that, and goes on", async (context) => {
    const { writer } = await failing(context, "the hook's own");
    const runs: number[] = [];
    const write = (i: number): Promise<number> => writer.write(async () => runs.push(i));
    assert.deepEqual(await Promise.all([write(1), write(2)]), [1, 2]);
    // A promise that nobody awaits would be noticed by now.
    await turns();
    assert.equal(await write(3), 3);
    assert.deepEqual(runs, [1, 2, 3]);
  });

  it("leaves no write without an answer where the hook fails while a batch is taken apart", async (context) => {
    const { writer } = await failing(context, "the hook's own");
    let late: Promise<string> | undefined;
    const first = writer.write(async () => "first");
    const bad = writer.write(async () => {
      late ??= writer.write(async () => "late");
      throw new Error("refused");
    });
    const last = writer.write(async () => "last");
    await assert.rejects(bad, /refused/);
    assert.deepEqual(await Promise.all([first, last, late]), ["first", "last", "late"]);
  });

  it("reports each fault of the hook when it comes, and throws the first when it is drained, once", async (context) => {
    const { writer, reported } = await failing(context, "the hook's first", "the hook's second");
    for (const name of ["one", "two", "three"]) await writer.write(async () => name);
    assert.deepEqual(reported, ['{"error":"Error: the hook\'s first"}', '{"error":"Error: the hook\'s second"}']);
    await assert.rejects(writer.drained(), /the hook's first/);
    await writer.drained();
  });

  it("is drained only when nothing is on its way, whatever the hook throws before", async (context) => {
    const { writer } = await failing(context, "the hook's own");
    let isLateWritten = false;
    const first = writer.write(async () => {
      const late = writer.write(async () => "late");
      void late.then(() => {
        isLateWritten = true;
      });
    });
    await assert.rejects(writer.drained(), /the hook's own/);
    assert.ok(isLateWritten);
    await first;
  });

  it("lets a write that fails fail alone", async (context) => {
    const desk = await Desk.open(context);
    const failing = desk.writer.writeIdly(async () => {
      throw new Error("refused");
    });
    const written = desk.writer.write(desk.named("good", true));
    await assert.rejects(failing, /refused/);
    assert.equal(await written, "good");
    assert.deepEqual(desk.commits, [["good"]]);
  });
});
