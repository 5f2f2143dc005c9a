import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import type { AuditLog } from "../../../src/server/audit.ts";
import type { OpenRound } from "../../../src/server/open-round.ts";
import type { Device } from "../../../src/server/registry.ts";
import { RunState } from "../../../src/server/run-state.ts";
import { WorkDesk, type WorkDeskPorts } from "../../../src/server/work-desk.ts";
import type { WorkAnswer } from "../../../src/wire/work.ts";
import { FakeClock } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

const SEEN = 9;
const NONCE = new Uint8Array(32);
const STARTED = { log_index: SEEN + 2, announcement: null, first: null };

describe("a desk whose log's witnesses are late", () => {
  /** cosigned: entries under the checkpoint that is served. */
  function prepare(cosigned: number) {
    const log = { size: cosigned };
    const audit = {
      isServedTo: (seen: number) => seen <= log.size,
      view: async (seen: number) => {
        if (seen > log.size) throw new QflareError("log.witness");
        return { size: log.size, checkpoint: "note", consistency: [] };
      },
      path: async () => [],
    } as unknown as AuditLog;
    const state = new RunState();
    const open = {
      row: { round: 1, state: "collecting", deadline_at: 1e15 },
      has: () => true,
      hasAccepted: () => false,
      task: () => ({ round: 1, content_key: new Uint8Array(32) }),
    } as unknown as OpenRound;
    state.show(open);
    const made = { count: 0 };
    const get = async (): Promise<object> => {
      made.count += 1;
      return STARTED;
    };
    const evidence = { epoch: 1, logIndex: STARTED.log_index, isFor: () => true, get };
    const desk = new WorkDesk({
      state,
      evidence: evidence as unknown as WorkDeskPorts["evidence"],
      audit,
      clock: new FakeClock(),
      plan: "",
      policyHash: new Uint8Array(32),
    });
    const ask = (wait_ms: number, nonce: typeof NONCE | null = null): Promise<WorkAnswer> => {
      const request = { after_round: 0, wait_ms, nonce, log_size: SEEN };
      return desk.ask({ id: new Uint8Array(16) } as Device, request, new AbortController().signal);
    };
    return { log, state, made, ask };
  }

  it("gives a device no task until they have cosigned what that has seen", async () => {
    const { log, state, ask } = prepare(SEEN - 1);
    let answer: WorkAnswer | undefined;
    const asked = ask(60_000).then((given) => {
      answer = given;
    });
    state.forDevices.notify();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(answer, undefined);
    log.size = SEEN;
    state.forDevices.notify();
    await asked;
    assert.equal(answer!.state, "train");
  });

  it("tells it to try again where it waits no longer", async () => {
    await assert.rejects(prepare(SEEN - 1).ask(0), coded("log.witness"));
    assert.equal((await prepare(SEEN).ask(0)).state, "train");
  });

  it("has no evidence made before they have cosigned that and the enclave's start", async () => {
    for (const cosigned of [SEEN - 1, STARTED.log_index]) {
      const { log, made, ask } = prepare(cosigned);
      await assert.rejects(ask(0, NONCE), coded("log.witness"));
      assert.equal(made.count, 0);
      log.size = STARTED.log_index + 1;
      assert.notEqual((await ask(0, NONCE)).evidence, null);
      assert.equal(made.count, 1);
    }
  });
});
