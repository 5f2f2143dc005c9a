// Where devices ask for work and wait for it.

import { toHex, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import type { EvidencePackage, WorkAnswer, WorkRequest } from "../wire/work.ts";
import type { AuditLog } from "./audit.ts";
import type { EvidenceDesk, LoggedEvidence } from "./evidence.ts";
import type { Device } from "./registry.ts";
import type { RunState } from "./run-state.ts";

export interface WorkDeskPorts {
  readonly state: RunState;
  readonly evidence: EvidenceDesk;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** JSON text of the training plan. */
  readonly plan: string;
  readonly policyHash: Uint8Array<ArrayBuffer>;
}

export class WorkDesk {
  readonly #ports: WorkDeskPorts;

  constructor(ports: WorkDeskPorts) {
    this.#ports = ports;
  }

  /** Waits until there is work for this device, but no longer than it asked for or its connection lasts. */
  async ask(device: Device, request: WorkRequest, signal: AbortSignal): Promise<WorkAnswer> {
    const { state, clock } = this.#ports;
    const id = toHex(device.id);
    const untilMs = clock.nowMs() + request.wait_ms;
    state.enter(id);
    try {
      while (!this.#isSettled(id, request, signal)) {
        const leftMs = untilMs - clock.nowMs();
        if (leftMs <= 0) break;
        await state.forDevices.wait(leftMs, signal);
      }
    } finally {
      state.leave(id);
    }
    return await this.#answer(id, request);
  }

  #isSettled(id: string, request: WorkRequest, signal: AbortSignal): boolean {
    const { state } = this.#ports;
    const isOver = state.isStopped || state.isFinished || signal.aborted;
    return isOver || (this.#hasWork(id, request) && this.#isServed(request));
  }

  /** Whether witnesses have cosigned what this device has seen, and what evidence refers to where it wants some. */
  #isServed({ log_size, nonce }: WorkRequest): boolean {
    const { audit, evidence } = this.#ports;
    return audit.isServedTo(log_size) && (nonce === null || audit.isServedTo(evidence.logIndex + 1));
  }

  #hasWork(id: string, { after_round }: WorkRequest): boolean {
    const { state, evidence } = this.#ports;
    return state.hasWork(id, after_round) && evidence.isFor(state.open!.row.round);
  }

  /**
   * Throws log.witness where witnesses have yet to cosign what the device is to see: it asks again. The content key in
   * the task is the caller's to wipe.
   */
  async #answer(id: string, request: WorkRequest): Promise<WorkAnswer> {
    const { state, audit, clock, plan, policyHash } = this.#ports;
    const outcome = state.outcomes.get(id) ?? null;
    if (state.isFinished) return { state: "finished", task: null, evidence: null, outcome };
    const wait: WorkAnswer = { state: "wait", task: null, evidence: null, outcome };
    if (!this.#hasWork(id, request)) return wait;
    // Evidence costs a quote and an entry of the log; so whoever is sent away gets none made.
    if (!this.#isServed(request)) throw new QflareError("log.witness");
    const shown = request.nonce === null ? null : await this.#evidence(request.nonce);
    // Asking for evidence may have started an enclave that does not know the round's key.
    if (!this.#hasWork(id, request)) return wait;
    const open = state.open!;
    const remainingMs = Math.max(0, Math.floor(open.row.deadline_at! - clock.nowMs()));
    const work = { ...open.task(plan, policyHash), remaining_ms: remainingMs };
    try {
      const { size, ...log } = await audit.view(request.log_size);
      const evidence = shown === null ? null : await this.#proved(shown, size);
      return { state: "train", task: { ...work, log }, evidence, outcome };
    } catch (error) {
      wipe(work.content_key);
      throw error;
    }
  }

  async #proved(shown: LoggedEvidence, size: number): Promise<EvidencePackage> {
    const { audit } = this.#ports;
    const { announcement: before, first: start } = shown;
    const announcement = before === null ? null : { ...before, log_path: await audit.path(before.log_index, size) };
    const first = start === null ? null : { ...start, log_path: await audit.path(0, size) };
    return { ...shown, log_path: await audit.path(shown.log_index, size), announcement, first };
  }

  /** Of the key that the task will name: one that was renewed meanwhile is asked for again. */
  async #evidence(nonce: Uint8Array<ArrayBuffer>): Promise<LoggedEvidence> {
    const { evidence } = this.#ports;
    for (;;) {
      const { epoch } = evidence;
      const shown = await evidence.get(nonce);
      if (evidence.epoch === epoch) return shown;
    }
  }
}
