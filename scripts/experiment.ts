// Full experiments, too long for the tests.
//
//   node scripts/experiment.ts matrix [--data DIR] [--out DIR] [--seeds N] [--threads N]
//
// matrix: every rule against every attack, on data that are alike and on data that differ; writes docs/robustness.md.
// With the full Fashion-MNIST (Debian's dataset-fashion-mnist: --data /usr/share/datasets/fashion-mnist).

import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadTest, loadTraining } from "../src/cli/data.ts";
import { ruleNamed } from "../src/cli/names.ts";
import { readVersion } from "../src/cli/version.ts";
import { DEFAULT_PLAN } from "../src/learning/defaults.ts";
import { parseAttack } from "../src/simulate/attacks.ts";
import { SimulationFolder } from "../src/simulate/folder.ts";
import { type Grid, type RunResult, runGrid } from "../src/simulate/grid.ts";
import { shared } from "../src/simulate/jobs.ts";
import type { Setting } from "../src/simulate/plan.ts";
import { Pool } from "../src/simulate/pool.ts";
import { reportOf } from "../src/simulate/report.ts";
import { csvOf, type Summary, summarise } from "../src/simulate/summary.ts";

const DEVICES = 20;
const LIARS = 4;
const ATTACKS = [
  ...["none", "sign-flip", "sign-flip:10", "gauss", "label-flip", "alie:1.5", "ipm:0.5", "min-max", "mimic"],
  ...["backdoor:1", "backdoor:5", "free-rider"],
];
const RULES = [
  ...["default", "heterogeneous", "backdoor", "streaming-mean", "mean", "median", "trimmed-mean", "krum", "multi-krum"],
  ...["bulyan", "geometric-median", "meamed", "dnc", "fltrust", "foolsgold", "flame", "signguard"],
];
/** What a default must not be worse than (by more than half a point). */
const CLASSICS = ["median", "trimmed-mean", "multi-krum", "krum", "bulyan"];
const SPLITS = { iid: "iid", dirichlet: "dirichlet:0.3" } as const;

function settingOf(partition: string): Setting {
  return {
    ...{ devices: DEVICES, sample: 1, rounds: 25, partition, examplesMax: 300, byzantine: LIARS / DEVICES },
    model: { kind: "mlp", inputs: 784, hidden: [32], classes: 10 },
    training: { ...DEFAULT_PLAN, epochs: 1, batch_size: 30, learning_rate: 0.1 },
    ...{ evaluateEvery: 25, rootExamples: 100 },
  };
}

interface Options {
  readonly data: string | undefined;
  readonly out: string;
  readonly seeds: number;
  readonly threads: number;
}

async function matrix(options: Options): Promise<void> {
  const startedMs = performance.now();
  const data = options.data === undefined ? {} : { data: options.data };
  const [training, test] = [loadTraining(data), loadTest(data)!];
  const pool = new Pool(options.threads, { training: shared(training), test: shared(test) });
  const summaries: Record<string, Summary> = {};
  try {
    for (const [name, partition] of Object.entries(SPLITS)) {
      const grid: Grid = {
        setting: settingOf(partition),
        rules: RULES.map((text) => ({ text, policy: ruleNamed(text, LIARS) })),
        attacks: ATTACKS.map(parseAttack),
        seeds: Array.from({ length: options.seeds }, (_, i) => i + 1),
      };
      const results = await runOne(grid, join(options.out, name), pool);
      summaries[name] = summarise(results);
    }
  } finally {
    await pool.close();
  }
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const text = document(summaries, options, training.count, minutes);
  writeFileSync(new URL("../docs/robustness.md", import.meta.url), text);
  console.log(text);
}

async function runOne(grid: Grid, path: string, pool: Pool): Promise<RunResult[]> {
  const folder = new SimulationFolder(path, grid);
  let shownMs = 0;
  const results = await runGrid(grid, {
    pool,
    store: folder,
    nowMs: () => performance.now(),
    onRound: ({ plan, roundsDone, roundsTotal, leftMs }) => {
      if (performance.now() - shownMs < 5000) return;
      shownMs = performance.now();
      const left = Math.ceil((leftMs ?? 0) / 1000);
      console.error(`${path}: ${roundsDone} of ${roundsTotal} rounds, ${left} s left (${plan.rule.text})`);
    },
  });
  const facts = { title: "Defences against attacks", grid, command: COMMAND, version: readVersion() };
  folder.write("report.html", reportOf(facts, results, summarise(results)));
  folder.write("rounds.csv", csvOf(results));
  return results;
}

const COMMAND = "npm run experiment -- matrix --data /usr/share/datasets/fashion-mnist";

function document(
  summaries: Readonly<Record<string, Summary>>,
  { seeds, threads }: Options,
  examples: number,
  minutes: string,
): string {
  const tables = Object.entries(summaries).map(
    ([name, summary]) => `## ${SPLITS[name as keyof typeof SPLITS]}\n\n${tableOf(summary)}\n\n${readingOf(summary)}\n`,
  );
  return `# Robustness, measured

\`${COMMAND}\` writes this page: ${DEVICES} devices of 300 of ${examples} Fashion-MNIST images, ${LIARS} of them lying,
784-32-10 perceptron, one local pass (batch 30, step 0.1), 25 rounds, ${seeds} seed${seeds === 1 ? "" : "s"}. It took
${minutes} minutes with ${threads} threads on ${cpus()[0]?.model.trim()}. Accuracy in per cent of the test images, mean
of the last three rounds; with a backdoor, accuracy / share of patched images taken for the attacker's class. The liars
know all honest updates. \`qflare simulate --help\` says what each attack does.

${tables.join("\n")}`;
}

function tableOf({ cells, rules }: Summary): string {
  const percent = (value: number): string => (100 * value).toFixed(1);
  const head = ["rule", ...ATTACKS, "worst", "worst backdoor"];
  const lines = rules.map(({ rule, worst, worstBackdoor }) => {
    const shown = ATTACKS.map((attack) => {
      const { accuracy, backdoor } = cells.find((cell) => cell.rule === rule && cell.attack === attack)!;
      return backdoor === null ? percent(accuracy.mean) : `${percent(accuracy.mean)}/${percent(backdoor.mean)}`;
    });
    return [rule, ...shown, `**${percent(worst.accuracy)}**`, percent(worstBackdoor ?? 0)];
  });
  return [head, head.map(() => "---"), ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** The figures that the presets are held to. */
function readingOf({ rules }: Summary): string {
  const of = (name: string) => rules.find(({ rule }) => rule === name);
  const points = (value: number): string => (100 * value).toFixed(1);
  const clean = of("mean")?.clean ?? 0;
  const classics = rules.filter(({ rule }) => CLASSICS.includes(rule));
  const best = classics.reduce((a, b) => (b.worst.accuracy > a.worst.accuracy ? b : a));
  return ["default", "heterogeneous", "backdoor"]
    .flatMap((name) => of(name) ?? [])
    .map(
      ({ rule, worst, worstBackdoor }) =>
        `- \`${rule}\`: worst accuracy ${points(worst.accuracy)} (${worst.attack}), ` +
        `${points(clean - worst.accuracy)} points below the clean mean of ${points(clean)}, ` +
        `${points(worst.accuracy - best.worst.accuracy)} against the best of the classics (\`${best.rule}\`, ` +
        `${points(best.worst.accuracy)}); backdoor success at most ${points(worstBackdoor ?? 0)} %.`,
    )
    .join("\n");
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string" },
    out: { type: "string", default: "experiments/matrix" },
    seeds: { type: "string", default: "1" },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});
if (positionals[0] !== "matrix") {
  console.error("expected: node scripts/experiment.ts matrix [--data DIR] [--out DIR] [--seeds N] [--threads N]");
  process.exitCode = 2;
} else {
  await matrix({ ...values, seeds: Number(values.seeds), threads: Number(values.threads) } as Options);
}
