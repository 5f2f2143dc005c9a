import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromHex } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { enrollDevice } from "../../../src/device/enroll.ts";
import { OpenRound } from "../../../src/server/open-round.ts";
import type { Device } from "../../../src/server/registry.ts";
import { RunState } from "../../../src/server/run-state.ts";
import { WorkDesk } from "../../../src/server/work-desk.ts";
import { type Task, type WorkAnswer, workRequest } from "../../../src/wire/work.ts";
import { FakeClock } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { HandSession } from "../../support/session.ts";
import { startTinyServer } from "../../support/tiny-server.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const ID = fromHex("0f".repeat(16))!;
const WANTED = { after_round: 0, wait_ms: 0, nonce: new Uint8Array(32), log_size: 0 };
const isWiped = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

/** A round that collects from one device; which parts of the log are to be seen is what the test says. */
class Desk {
  view = async (): Promise<object> => ({ size: 9, checkpoint: "", consistency: [] });
  path = async (): Promise<Bytes[]> => [];
  /** Content keys of the tasks that were made. */
  readonly keys: Bytes[] = [];
  readonly desk: WorkDesk;

  constructor() {
    const row = { round: 1, state: "collecting", cohort: ID, deadline_at: Number.MAX_SAFE_INTEGER };
    const base = { content_key: new Uint8Array(32).fill(7) };
    const open = new OpenRound({ enclave: { facts: {} } } as never, row as never, base as never);
    const task = open.task.bind(open);
    open.task = (...args) => {
      const made = task(...args);
      this.keys.push(made.content_key);
      return made;
    };
    const state = new RunState();
    state.show(open);
    const evidence = {
      epoch: 1,
      logIndex: 3,
      isFor: () => true,
      get: async () => ({ log_index: 3, announcement: null, first: null }),
    };
    const audit = { isServedTo: () => true, view: () => this.view(), path: () => this.path() };
    const ports = { state, evidence, audit, clock: new FakeClock(), plan: "{}", policyHash: new Uint8Array(32) };
    this.desk = new WorkDesk(ports as never);
  }

  async ask(): Promise<WorkAnswer> {
    return await this.desk.ask({ id: ID } as Device, WANTED, new AbortController().signal);
  }
}

describe("the content key of a task", () => {
  it("goes out with it", async () => {
    const desk = new Desk();
    const { task } = await desk.ask();
    assert.deepEqual(desk.keys, [task!.content_key]);
    assert.ok(!isWiped(task!.content_key));
  });

  it("is wiped where witnesses have yet to cosign what goes with it", async () => {
    const late = async (): Promise<never> => {
      throw new QflareError("log.witness");
    };
    for (const member of ["view", "path"] as const) {
      const desk = new Desk();
      desk[member] = late;
      await assert.rejects(desk.ask(), coded("log.witness"));
      assert.equal(desk.keys.length, 1);
      assert.ok(desk.keys.every(isWiped), member);
    }
  });

  it("is wiped where the answer cannot be encoded", async (context) => {
    const server = await startTinyServer();
    context.after(() => server.close());
    const { token } = await server.admin("token.create", { name: "ward-1", age_ms: 600_000 });
    const keystore = await enrollDevice(String(token));
    const place = { port: server.running.port, clock: { nowMs: () => Date.now() } };
    const session = await HandSession.open(place, keystore);
    const contentKey = new Uint8Array(32).fill(7);
    const answer: WorkAnswer = {
      state: "train",
      task: { content_key: contentKey } as Task,
      evidence: null,
      outcome: null,
    };
    context.mock.method(WorkDesk.prototype, "ask", async () => answer);
    const request = session.seal("GET", "/api/global_model", workRequest.encode({ ...WANTED, nonce: null }));
    assert.notEqual((await session.send(request)).status, 200);
    assert.ok(isWiped(contentKey));
  });
});
