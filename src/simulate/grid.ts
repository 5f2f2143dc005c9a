// Many runs: every rule against every attack, each with every seed. Runs go on side by side, one a thread; each is the
// same as it would be alone.

import { toHex, utf8 } from "../core/bytes.ts";
import { sha256 } from "../crypto/hash.ts";
import type { Attack } from "./attacks.ts";
import type { Rule, RunPlan, Setting } from "./plan.ts";
import type { Pool } from "./pool.ts";
import { type RoundRecord, Run, type Snapshot } from "./run.ts";

export interface Grid {
  readonly setting: Setting;
  readonly rules: readonly Rule[];
  readonly attacks: readonly Attack[];
  readonly seeds: readonly number[];
}

export interface RunResult {
  readonly rule: string;
  readonly attack: string;
  readonly seed: number;
  readonly records: readonly RoundRecord[];
}

/** Where runs are kept, so that what was interrupted goes on. */
export interface RunStore {
  load(key: string): Snapshot | undefined;
  save(key: string, snapshot: Snapshot): void;
}

export interface Progress {
  readonly plan: RunPlan;
  readonly record: RoundRecord;
  readonly roundsDone: number;
  readonly roundsTotal: number;
  /** Milliseconds, from the pace so far; undefined before the first round. */
  readonly leftMs: number | undefined;
}

export interface GridPorts {
  readonly pool: Pool;
  readonly store: RunStore;
  readonly nowMs: () => number;
  readonly onRound: (progress: Progress) => void;
}

/** A run of many rounds is saved this often, and at its end. */
const SAVE_MS = 5000;

function plansOf({ setting, rules, attacks, seeds }: Grid): RunPlan[] {
  return attacks.flatMap((attack) =>
    rules.flatMap((rule) => seeds.map((seed) => ({ ...setting, rule, attack, seed }))),
  );
}

/** For people the start of the names, for the rest their hash: signs and ends of names tell runs apart too. */
function keyOf({ rule, attack, seed }: RunPlan): string {
  const plain = (text: string): string => text.replaceAll(/[^A-Za-z0-9.]+/g, "-").slice(0, 60);
  const cell = toHex(sha256(utf8(JSON.stringify([attack.text, rule.text])))).slice(0, 16);
  return `${plain(attack.text)}.${plain(rule.text)}.${cell}.${seed}`;
}

export async function runGrid(grid: Grid, ports: GridPorts): Promise<RunResult[]> {
  const plans = plansOf(grid);
  const snapshots = plans.map((plan) => ports.store.load(keyOf(plan)));
  const doneBefore = snapshots.reduce((sum, snapshot) => sum + (snapshot?.records.length ?? 0), 0);
  const roundsTotal = plans.length * grid.setting.rounds;
  const startedMs = ports.nowMs();
  let roundsDone = doneBefore;
  const results: RunResult[] = [];
  const next = plans.entries();
  const carry = async (): Promise<void> => {
    for (const [i, plan] of next) {
      const records = await carryOne(plan, snapshots[i], ports, (record) => {
        roundsDone += 1;
        const pace = (ports.nowMs() - startedMs) / (roundsDone - doneBefore);
        ports.onRound({ plan, record, roundsDone, roundsTotal, leftMs: pace * (roundsTotal - roundsDone) });
      });
      results[i] = { rule: plan.rule.text, attack: plan.attack.text, seed: plan.seed, records };
    }
  };
  await Promise.all(Array.from({ length: Math.min(ports.pool.threads, plans.length) }, carry));
  return results;
}

async function carryOne(
  plan: RunPlan,
  from: Snapshot | undefined,
  { pool, store, nowMs }: GridPorts,
  onRound: (record: RoundRecord) => void,
): Promise<readonly RoundRecord[]> {
  const run = new Run(plan, pool, from);
  let savedMs = nowMs();
  while (!run.isFinished) {
    onRound(await run.round());
    if (!run.isFinished && nowMs() - savedMs < SAVE_MS) continue;
    store.save(keyOf(plan), run.snapshot);
    savedMs = nowMs();
  }
  return run.snapshot.records;
}
