// Counts what became of each device's updates over the rounds of a demonstration.

import type { RunEvent } from "../server/events.ts";
import { paint } from "./output.ts";

type Published = Extract<RunEvent, { event: "round.published" }>;

export interface DeviceTally {
  readonly device: string;
  readonly malicious: boolean;
  accepted: number;
  rejected: number;
  missing: number;
  /** Reason of the newest rejection. */
  reason: string | null;
  /** Why its process ended before the run did. */
  ended: string | null;
}

export class DemoTally {
  readonly names: readonly string[];
  readonly #devices: ReadonlyMap<string, DeviceTally>;
  #isOver = false;
  failedRounds = 0;

  constructor(names: readonly string[], malicious: ReadonlySet<string>) {
    this.names = names;
    const fresh = { accepted: 0, rejected: 0, missing: 0, reason: null, ended: null };
    this.#devices = new Map(names.map((device) => [device, { device, malicious: malicious.has(device), ...fresh }]));
  }

  add(event: Published): void {
    for (const name of event.accepted) this.#of(name).accepted += 1;
    for (const name of event.missing) this.#of(name).missing += 1;
    for (const { device, reason } of event.rejected) {
      this.#of(device).rejected += 1;
      this.#of(device).reason = reason;
    }
  }

  fail(): void {
    this.failedRounds += 1;
  }

  end(name: string, ending: string): void {
    if (!this.#isOver) this.#of(name).ended = ending;
  }

  devices(): DeviceTally[] {
    this.#isOver = true;
    return [...this.#devices.values()];
  }

  get totals(): { accepted: number; rejected: number; rejectedHonest: number } {
    const all = [...this.#devices.values()];
    const sum = (of: (tally: DeviceTally) => number): number => all.reduce((total, tally) => total + of(tally), 0);
    return {
      accepted: sum((tally) => tally.accepted),
      rejected: sum((tally) => tally.rejected),
      rejectedHonest: sum((tally) => (tally.malicious ? 0 : tally.rejected)),
    };
  }

  table(): string {
    const lines = this.devices().map((tally) => {
      const role = tally.malicious ? paint("red", "liar  ") : "honest";
      const counts = [tally.accepted, tally.rejected, tally.missing].map((count) => String(count).padStart(9)).join("");
      return `${tally.device.padEnd(12)} ${role}${counts}  ${tally.reason ?? ""}`;
    });
    return [paint("bold", "device       is     accepted rejected  missing"), ...lines].join("\n");
  }

  #of(name: string): DeviceTally {
    const tally = this.#devices.get(name);
    if (tally === undefined) throw new RangeError(`no device ${name}`);
    return tally;
  }
}
