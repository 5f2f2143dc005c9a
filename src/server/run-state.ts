// What the coordinator's loop and the requests of devices share: the open round, who waits, who is to be woken.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Outcome } from "../wire/work.ts";
import { Changes } from "./changes.ts";
import type { RoundRow, UpdateRow } from "./ledger.ts";
import type { OpenRound } from "./open-round.ts";

export class RunState {
  #open: OpenRound | undefined;
  isFinished = false;
  isStopped = false;
  /** What became of each device in the last closed round that it was selected for. */
  outcomes: ReadonlyMap<string, Outcome> = new Map();
  /** Devices whose request for work is waiting, and how many such requests. */
  readonly ready = new Map<string, number>();
  /** Who took part in the last round to its end, and so will be back for the next. */
  expected: Set<string> = new Set();
  /** Wakes devices: the state of the round changed. */
  readonly forDevices = new Changes();
  /** Wakes the loop: something that it may be waiting for happened. */
  readonly forLoop = new Changes();

  get open(): OpenRound | undefined {
    return this.#open;
  }

  /** The round that devices see from now on; undefined for none. */
  show(open: OpenRound | undefined): void {
    const former = this.#open;
    this.#open = open;
    former?.close();
  }

  get current(): RoundRow | undefined {
    return this.open?.row;
  }

  hasWork(deviceId: string, afterRound: number): boolean {
    const open = this.open;
    if (open === undefined || open.row.state !== "collecting" || open.row.round <= afterRound) return false;
    return open.has(deviceId) && !open.hasAccepted(deviceId);
  }

  enter(deviceId: string): void {
    this.ready.set(deviceId, (this.ready.get(deviceId) ?? 0) + 1);
    this.forLoop.notify();
  }

  leave(deviceId: string): void {
    const others = (this.ready.get(deviceId) ?? 1) - 1;
    if (others === 0) this.ready.delete(deviceId);
    else this.ready.set(deviceId, others);
  }

  /** The id stands for no device any more: nobody waits for it. */
  depart(deviceId: string): void {
    this.expected.delete(deviceId);
    this.open?.depart(deviceId);
    this.forLoop.notify();
  }

  /** The open round while it takes updates of this device. Throws the coded reason where it does not. */
  requireOpen(deviceId: Uint8Array, round: number): OpenRound {
    const open = this.open;
    if (open === undefined || open.row.state !== "collecting") throw new QflareError("round.closed");
    if (open.row.round !== round) {
      throw new QflareError("round.wrong", `expected round ${open.row.round}, got ${round}`);
    }
    if (!open.has(toHex(deviceId))) throw new QflareError("round.not_selected");
    return open;
  }

  /** The gateway stored an update of the open round. */
  accepted(update: UpdateRow): void {
    if (this.open?.row.round === update.round) this.open.add(update);
    this.forLoop.notify();
  }
}
