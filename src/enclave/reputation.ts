// Reputation: how often a device's updates were accepted, the last rounds counting most. It is written into the signed
// reports for people to read, and read from there by the enclave alone: no update is ever rejected for it.

import { toHex } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import type { Reputation, Verdict } from "../wire/report.ts";

const START = 0.5; // nothing is known
const MEMORY = 0.9; // share of the past: half of it is forgotten after 7 rounds
const EARNED = { accepted: 1, rejected: 0, "passed over": undefined } as const;

/** In the order of device ids. A device that was passed over or is missing keeps what it has. */
export function updatedReputations(previous: readonly Reputation[], verdicts: readonly Verdict[]): Reputation[] {
  const known = new Map(previous.map(({ device_id, reputation }) => [toHex(device_id), { device_id, reputation }]));
  for (const { device_id, verdict } of verdicts) {
    const id = toHex(device_id);
    const before = known.get(id)?.reputation ?? START;
    const earned = EARNED[verdict] ?? before;
    known.set(id, { device_id, reputation: MEMORY * before + (1 - MEMORY) * earned });
  }
  return mostTelling([...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry));
}

/** Where a run has seen more devices than a report may name, those of whom least is known are left out. */
function mostTelling(all: readonly Reputation[]): Reputation[] {
  const excess = all.length - LIMITS.devicesPerRoundMax;
  if (excess <= 0) return [...all];
  const distance = ({ reputation }: Reputation): number => Math.abs(reputation - START);
  const dropped = new Set(all.toSorted((a, b) => distance(a) - distance(b)).slice(0, excess));
  return all.filter((entry) => !dropped.has(entry));
}
