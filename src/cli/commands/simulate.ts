// qflare simulate: many devices in one process, attacks against defences, without network and keys.

import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { QflareError } from "../../core/error.ts";
import type { Dataset } from "../../learning/dataset.ts";
import { DEFAULT_NAME, DEFAULT_PLAN } from "../../learning/defaults.ts";
import { parsePartition } from "../../learning/partition.ts";
import { describeAttacks, parseAttack } from "../../simulate/attacks.ts";
import { SimulationFolder } from "../../simulate/folder.ts";
import { type Grid, type Progress, runGrid } from "../../simulate/grid.ts";
import { shared } from "../../simulate/jobs.ts";
import { checkRule, checkSetting, cohortSize, type Setting } from "../../simulate/plan.ts";
import { Pool } from "../../simulate/pool.ts";
import { reportOf } from "../../simulate/report.ts";
import { type Cell, csvOf, type Summary, summarise } from "../../simulate/summary.ts";
import { loadTest, loadTraining } from "../data.ts";
import { makeNamedFolder } from "../files.ts";
import { modelNamed, networkFor } from "../model.ts";
import { ruleNamed } from "../names.ts";
import { createOutput, type Output } from "../output.ts";
import { number, whole } from "../parse.ts";
import { readVersion } from "../version.ts";

interface Flags {
  readonly devices: string;
  readonly sample: string;
  readonly rounds: string;
  readonly partition: string;
  readonly examples: string;
  readonly byzantine: string;
  readonly attack: string;
  readonly rule: string;
  readonly compare?: string;
  readonly model: string;
  readonly epochs: string;
  readonly batchSize: string;
  readonly learningRate: string;
  readonly momentum: string;
  readonly proximalMu: string;
  readonly evaluateEvery: string;
  readonly rootExamples: string;
  readonly seed: string;
  readonly seeds: string;
  readonly threads?: string;
  readonly data?: string;
  readonly out: string;
  readonly json?: boolean;
}

const DEVICES_MAX = 100_000;
const SEEDS_MAX = 100;
const THREADS_MAX = 256;

export function addSimulateCommand(program: Command): void {
  const attacks = describeAttacks().map(
    ({ name, words, strength }) => `  ${name}${strength === undefined ? "" : `:${strength}`}`.padEnd(20) + words,
  );
  program
    .command("simulate")
    .description("train with many devices in one process, some of them lying; write JSON, CSV and a report")
    .option("--devices <n>", "devices", "100")
    .option("--sample <share>", "share of them that each round takes", "0.1")
    .option("--rounds <n>", "rounds", "50")
    .option("--partition <how>", "iid, dirichlet:<alpha> or shards:<n>", "iid")
    .option("--examples <n>", "examples that a device keeps at most; 0: all of its share", "0")
    .option("--byzantine <share>", "share of the devices that lie", "0.2")
    .option("--attack <names>", "one attack or several, with commas", "none")
    .option("--rule <rule>", "rule or preset, as of qflare server", "default")
    .option("--compare <rules>", "several rules instead, with commas")
    .option("--model <name>", "softmax, mlp, such as mlp:128,64, cnn, or a .json file", DEFAULT_NAME)
    .option("--epochs <n>", "local passes", "1")
    .option("--batch-size <n>", "examples in a batch", "20")
    .option("--learning-rate <x>", "step size", "0.05")
    .option("--momentum <x>", "momentum of the local steps", "0")
    .option("--proximal-mu <x>", "weight of FedProx's proximal term", "0")
    .option("--evaluate-every <n>", "rounds from one evaluation to the next", "1")
    .option("--root-examples <n>", "examples of the server's own, for rules that need some", "100")
    .option("--seed <n>", "seed of everything", "1")
    .option("--seeds <n>", "how many seeds, from --seed on", "1")
    .option("--threads <n>", "worker threads (default: as many as the machine has cores)")
    .option("--data <folder>", "folder of IDX files (default: the images that come with qflare)")
    .option("--out <folder>", "where the results go; the same command goes on where it was stopped", "simulation")
    .option("--json", "one JSON object a line")
    .addHelpText("after", `\nAttacks, with their strength where one can be set:\n${attacks.join("\n")}`)
    .addHelpText(
      "after",
      "\nExample:\n  qflare simulate --devices 1000 --sample 0.1 --rounds 100 --partition dirichlet:0.3 " +
        "--attack alie --byzantine 0.2 --rule default --out alie",
    )
    .action(simulate);
}

async function simulate(flags: Flags): Promise<void> {
  const output = createOutput(flags);
  const [training, test] = [loadTraining(flags), loadTest(flags)!];
  const grid = gridOf(flags, training);
  const threads =
    flags.threads === undefined ? availableParallelism() : whole(flags.threads, "--threads", 1, THREADS_MAX);
  makeNamedFolder(flags.out, "--out");
  const folder = new SimulationFolder(flags.out, grid);
  const pool = new Pool(threads, { training: shared(training), test: shared(test) });
  try {
    const onRound = (progress: Progress): void => tell(output, progress);
    const results = await runGrid(grid, { pool, store: folder, nowMs: () => performance.now(), onRound });
    const summary = summarise(results);
    folder.write("results.json", `${JSON.stringify({ grid, summary, results }, null, 1)}\n`);
    folder.write("rounds.csv", csvOf(results));
    const facts = { title: "Simulated federated training", grid, command: commandOf(), version: readVersion() };
    const report = folder.write("report.html", reportOf(facts, results, summary));
    finish(output, summary, report);
  } finally {
    await pool.close();
  }
}

function gridOf(flags: Flags, training: Dataset): Grid {
  const setting: Setting = {
    devices: whole(flags.devices, "--devices", 1, Math.min(DEVICES_MAX, training.count)),
    sample: number(flags.sample, "--sample", 0, 1),
    rounds: whole(flags.rounds, "--rounds", 1, 1_000_000),
    partition: flags.partition,
    examplesMax: whole(flags.examples, "--examples", 0, training.count),
    byzantine: number(flags.byzantine, "--byzantine", 0, 1),
    model: modelNamed(flags.model, training.inputs, training.classes),
    training: {
      ...DEFAULT_PLAN,
      epochs: whole(flags.epochs, "--epochs", 1, 1000),
      batch_size: whole(flags.batchSize, "--batch-size", 1, 65_536),
      learning_rate: number(flags.learningRate, "--learning-rate", 0, 100),
      momentum: number(flags.momentum, "--momentum", 0, 0.999),
      proximal_mu: number(flags.proximalMu, "--proximal-mu", 0, 100),
    },
    evaluateEvery: whole(flags.evaluateEvery, "--evaluate-every", 1, 1_000_000),
    rootExamples: whole(flags.rootExamples, "--root-examples", 0, training.count),
  };
  networkFor(setting.model, training);
  checkSetting(setting);
  parsePartition(setting.partition);
  const liars = Math.ceil(setting.byzantine * cohortSize(setting));
  const rules = split(flags.compare ?? flags.rule).map((text) => ({ text, policy: ruleNamed(text, liars) }));
  for (const rule of rules) checkRule(setting, rule);
  const first = whole(flags.seed, "--seed", 0, 2 ** 31);
  const seeds = Array.from({ length: whole(flags.seeds, "--seeds", 1, SEEDS_MAX) }, (_, i) => first + i);
  return { setting, rules, attacks: split(flags.attack).map(parseAttack), seeds };
}

/** At commas outside of the brackets of JSON. */
function split(text: string): string[] {
  const parts = text.match(/(?:\{.*?\}(?=,|$)|[^,{]+)+/g) ?? [];
  if (parts.length > 0 && parts.join(",") === text) return parts;
  throw new QflareError("config.invalid", `expected names with commas, got ${JSON.stringify(text)}`);
}

function tell(output: Output, { plan, record, roundsDone, roundsTotal, leftMs }: Progress): void {
  const { rule, attack, seed } = plan;
  if (output.isJson) output.emit({ event: "round", rule: rule.text, attack: attack.text, seed, ...snake(record) });
  const left = leftMs === undefined ? "" : `, ${Math.ceil(leftMs / 1000)} s left`;
  const accuracy = record.accuracy === null ? "" : `, accuracy ${(100 * record.accuracy).toFixed(1)} %`;
  output.progress(
    `${roundsDone} of ${roundsTotal} rounds${left}: ${attack.text}, ${rule.text}, round ${record.round}${accuracy}`,
  );
}

function snake(record: object): object {
  const renamed = ([name, value]: [string, unknown]): [string, unknown] => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ];
  return Object.fromEntries(Object.entries(record).map(renamed));
}

function finish(output: Output, summary: Summary, report: string): void {
  if (!output.isJson) output.emit({}, table(summary));
  output.emit(
    { event: "finished", rules: summary.rules, cells: summary.cells, report },
    `the report is ${report}, beside it results.json and rounds.csv`,
  );
  failWhereNothingCame(summary.cells);
}

function failWhereNothingCame(cells: readonly Cell[]): void {
  const barren = cells.filter(({ rounds, failedRounds }) => failedRounds === rounds);
  if (barren.length === 0) return;
  const names = barren.map(({ rule, attack }) => `${rule} against ${attack}`);
  process.stderr.write(`qflare: no round gave a model: ${names.join(", ")}\n`);
  process.exitCode = 1;
}

function table({ cells }: Summary): string {
  const percent = (value: number): string => (100 * value).toFixed(1);
  const hasFailed = cells.some(({ failedRounds }) => failedRounds > 0);
  const rows = cells.map(({ rule, attack, accuracy, backdoor, excludedLiars, excludedHonest, failedRounds }) => [
    ...[
      rule,
      attack,
      `${percent(accuracy.mean)}${accuracy.deviation === 0 ? "" : ` ± ${percent(accuracy.deviation)}`}`,
    ],
    ...[backdoor === null ? "" : percent(backdoor.mean), excludedLiars === null ? "" : percent(excludedLiars)],
    percent(excludedHonest),
    ...(hasFailed ? [String(failedRounds)] : []),
  ]);
  const head = [
    ...["rule", "attack", "accuracy %", "backdoor %", "liars left out %", "honest left out %"],
    ...(hasFailed ? ["rounds without a model"] : []),
  ];
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function commandOf(): string {
  return ["qflare", ...process.argv.slice(2)].join(" ");
}
