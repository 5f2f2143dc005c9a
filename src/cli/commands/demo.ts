// qflare demo: the whole of it on this machine, over real sockets: a server, its enclave, and devices as processes of
// their own, some of them lying.

import { mkdtempSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { SUITE_NAMES } from "../../crypto/suite.ts";
import { parseAttack } from "../../learning/attacks.ts";
import type { Dataset } from "../../learning/dataset.ts";
import { DEFAULT_NAME, DEFAULT_PLAN } from "../../learning/defaults.ts";
import { type Evaluation, evaluate } from "../../learning/evaluate.ts";
import type { ModelDescription } from "../../learning/model.ts";
import { decodeModel } from "../../learning/model-file.ts";
import type { Network } from "../../learning/network.ts";
import { parsePartition } from "../../learning/partition.ts";
import type { RunEvent } from "../../server/events.ts";
import { AdminClient } from "../admin-client.ts";
import { Child, type JsonLine } from "../children.ts";
import { type DataOptions, loadTest } from "../data.ts";
import { RULE_WORDS } from "../defence.ts";
import { makeNamedFolder } from "../files.ts";
import { networkFor } from "../model.ts";
import { createOutput, type Output, paint, UsageError } from "../output.ts";
import { choice, parseDuration, whole } from "../parse.ts";
import { readSettings } from "../settings.ts";
import { interrupted } from "../system.ts";
import { DemoTally } from "../tally.ts";
import { verifyFolder } from "./audit.ts";
import { runDefinition } from "./server.ts";

interface Flags extends Pick<DataOptions, "data"> {
  readonly devices: string;
  readonly rounds: string;
  readonly malicious?: string;
  readonly attack: string;
  readonly rule?: string;
  readonly suite: string;
  readonly partition: string;
  readonly seed: string;
  readonly model: string;
  readonly deadline: string;
  readonly dataDir?: string;
  readonly json?: boolean;
}

interface Plan {
  readonly devices: number;
  readonly rounds: number;
  readonly malicious: number;
  readonly seed: number;
  readonly rule: string;
  /** One device alone cannot hide in a sum; more than one can. */
  readonly updatesMin: number;
  readonly description: ModelDescription;
}

const DEVICES_MAX = 200;
const DEADLINE_MS_MIN = 100;
/** A longer timer would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const START_MS = 60_000;
/** The demonstration is the same in every folder. */
const NO_CONFIG = devNull;
/** All devices of the demonstration share one address, and rounds follow one another within a second. */
const RAISED_LIMIT = "100000";

export function addDemoCommand(program: Command): void {
  const { epochs, batch_size, learning_rate } = DEFAULT_PLAN;
  program
    .command("demo")
    .description("run server, enclave and devices on this machine and train a model, with a liar among them")
    .option("--devices <n>", "devices, each a process", "10")
    .option("--rounds <n>", "rounds to publish", "10")
    .option("--malicious <n>", "how many of the devices lie (default: 1, below 3 devices none)")
    .option("--attack <name>", "how they lie: sign-flip, label-flip, noise or scale", "sign-flip")
    .option("--rule <rule>", `${RULE_WORDS} (default: default, below 3 devices mean)`)
    .option("--suite <name>", `suite of the sessions: ${SUITE_NAMES.join(" or ")}`, SUITE_NAMES[0])
    .option("--partition <how>", "how the data is shared out: iid, dirichlet:<alpha>, shards:<n>", "iid")
    .option("--model <model>", "softmax, mlp, such as mlp:128,64, cnn, or a .json or .safetensors file", DEFAULT_NAME)
    .option("--seed <n>", "seed of first model, partition and batches", "1")
    .option("--data <folder>", "folder of IDX files (default: 7,000 Fashion-MNIST images that come with qflare)")
    .option("--deadline <time>", "how long a round waits for updates", "20s")
    .option("--data-dir <folder>", "where to put the run (default: a new folder below .qflare)")
    .option("--json", "one JSON object a line")
    .addHelpText("after", `\nTraining: ${epochs} passes a round, batches of ${batch_size}, step ${learning_rate}.`)
    .addHelpText("after", "\nExample:\n  qflare demo --devices 10 --malicious 2 --attack scale --rule krum:f=2")
    .action(async (flags: Flags) => await new Demo(flags).run());
}

function readPlan(flags: Flags): Plan {
  const devices = whole(flags.devices, "--devices", 1, DEVICES_MAX);
  const malicious = whole(flags.malicious ?? (devices < 3 ? "0" : "1"), "--malicious", 0, devices);
  const rule = flags.rule ?? (devices < 3 ? "mean" : "default");
  choice(flags.suite, "--suite", SUITE_NAMES);
  const updatesMin = Math.min(2, devices);
  parseAttack(flags.attack);
  parsePartition(flags.partition);
  const deadlineMs = parseDuration(flags.deadline) ?? 0;
  if (deadlineMs < DEADLINE_MS_MIN || deadlineMs > LIMITS.roundDeadlineMsMax) {
    throw new UsageError(`--deadline: expected a time such as 20s, from 100ms to 24h, got ${flags.deadline}`);
  }
  // The server would refuse them too, but only once there is a folder for it.
  const counts = { target: String(devices), quorum: String(quorumOf(devices)), updatesMin: String(updatesMin) };
  const { firstModel } = runDefinition(readSettings({ config: NO_CONFIG, rule, model: flags.model, ...counts }, {}));
  return {
    devices,
    rounds: whole(flags.rounds, "--rounds", 1, 100_000),
    malicious,
    seed: whole(flags.seed, "--seed", 0, 2 ** 31),
    rule,
    updatesMin,
    description: decodeModel(firstModel).description,
  };
}

/** Half the devices make a model, but no fewer than the default defence needs. */
function quorumOf(devices: number): number {
  return Math.max(Math.ceil(devices / 2), Math.min(devices, 3));
}

class Demo {
  readonly #flags: Flags;
  readonly #plan: Plan;
  readonly #output: Output;
  readonly #test: Dataset;
  readonly #children: Child[] = [];
  readonly #tally: DemoTally;
  readonly #startedMs = performance.now();
  readonly #network: Network;
  #last: Evaluation | undefined;

  constructor(flags: Flags) {
    this.#flags = flags;
    this.#plan = readPlan(flags);
    this.#output = createOutput(flags);
    this.#test = loadTest(flags)!;
    this.#network = networkFor(this.#plan.description, this.#test);
    const names = Array.from({ length: this.#plan.devices }, (_, i) => deviceName(i, this.#plan.devices));
    this.#tally = new DemoTally(names, new Set(names.slice(this.#plan.devices - this.#plan.malicious)));
  }

  async run(): Promise<void> {
    const stop = new AbortController();
    void interrupted().then(() => stop.abort());
    const folder = runFolder(this.#flags.dataDir);
    let admin: AdminClient | undefined;
    try {
      const server = await this.#startServer(folder, stop.signal);
      admin = await AdminClient.connect(folder);
      await this.#train(admin, server, folder, stop.signal);
      await this.#conclude(folder);
    } finally {
      admin?.close();
      await Promise.all(this.#children.toReversed().map((child) => child.stop()));
    }
  }

  async #startServer(folder: string, stop: AbortSignal): Promise<Child> {
    const { devices, rounds, seed, rule, updatesMin } = this.#plan;
    const listening = Promise.withResolvers<JsonLine>();
    const limits = ["enroll", "challenge", "submit", "model", "log"].flatMap((name) => [
      `--${name}-per-minute`,
      RAISED_LIMIT,
    ]);
    const server = new Child(
      [
        ...["server", "--json", "--log-level", "warn", "--data-dir", folder, "--port", "0"],
        ...["--config", NO_CONFIG, "--end-with-input"],
        ...["--rounds", String(rounds), "--target", String(devices), "--quorum", String(quorumOf(devices))],
        // Its devices are told to expect no hardware.
        ...["--updates-min", String(updatesMin), "--tee", "simulated"],
        ...["--selection-time", "30s", "--round-deadline", this.#flags.deadline, "--rule", rule],
        ...["--suites", this.#flags.suite, "--model", this.#flags.model, "--seed", String(seed), ...limits],
      ],
      (line) => {
        if (line.event === "listening") listening.resolve(line);
      },
    );
    this.#children.push(server);
    stop.addEventListener("abort", () => listening.reject(new QflareError("server.unavailable", "stopped")));
    const ended = server.exited.then(() => {
      throw new QflareError("server.unavailable", `the server did not start: ${server.ending}`);
    });
    const line = await Promise.race([listening.promise, ended]);
    ended.catch(() => undefined);
    const { url, isolation } = line as { url: string; isolation: string };
    this.#output.emit(
      { event: "started", url, isolation, data_dir: folder, suite: this.#flags.suite, rule },
      `server on ${url}, enclave simulated with isolation "${isolation}", suite ${this.#flags.suite}, rule ${rule}\n` +
        "rate limits are raised for this demonstration: all devices share one address",
    );
    return server;
  }

  async #train(admin: AdminClient, server: Child, folder: string, stop: AbortSignal): Promise<void> {
    const finished = Promise.withResolvers<void>();
    let work = Promise.resolve();
    await admin.watch((event) => {
      work = work.then(() => this.#take(admin, event as unknown as RunEvent, finished.resolve)).catch(finished.reject);
    });
    await this.#startDevices(admin, folder);
    this.#output.emit({ event: "devices", devices: this.#plan.devices }, `\n${header()}`);
    const deadlineMs = parseDuration(this.#flags.deadline)!;
    const longest = Math.min(START_MS + 2 * this.#plan.rounds * (deadlineMs + START_MS / 2), TIMER_MS_MAX);
    const timer = setTimeout(
      () => finished.reject(new QflareError("server.unavailable", "the run takes too long")),
      longest,
    );
    void server.exited.then(() =>
      finished.reject(new QflareError("server.unavailable", `the server ended: ${server.ending}`)),
    );
    const stopped = (): void => finished.reject(new QflareError("server.unavailable", "stopped"));
    if (stop.aborted) stopped();
    stop.addEventListener("abort", stopped);
    try {
      await finished.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #startDevices(admin: AdminClient, folder: string): Promise<void> {
    const { devices, malicious, seed, updatesMin } = this.#plan;
    const { attack, partition, data, suite } = this.#flags;
    for (const [i, name] of this.#tally.names.entries()) {
      const { token } = await admin.call<{ token: string }>("token.create", { name, age_ms: START_MS });
      const isLiar = i >= devices - malicious;
      const child = new Child(
        [
          ...["device", "run", "--json", "--end-with-input", "--token", "-"],
          ...["--keystore", join(folder, `${name}.key`)],
          ...["--allow-simulated-enclave", "--suites", suite, "--partition", partition],
          ...["--updates-min", String(updatesMin)],
          ...["--part", `${i + 1}/${devices}`, "--seed", String(seed)],
          ...(data === undefined ? [] : ["--data", data]),
          ...(isLiar ? ["--attack", attack] : []),
        ],
        () => undefined,
        `${token}\n`,
      );
      this.#children.push(child);
      void child.exited.then(() => this.#tally.end(name, child.ending));
    }
  }

  async #take(admin: AdminClient, event: RunEvent, finish: () => void): Promise<void> {
    if (event.event === "run.finished") return finish();
    if (event.event === "round.failed") {
      this.#tally.fail();
      this.#output.emit(event, paint("red", `${String(event.round).padStart(5)}  failed: ${event.reason}`));
    }
    if (event.event !== "round.published") return;
    this.#tally.add(event);
    const { accuracy, loss } = await this.#evaluate(admin, event.round);
    this.#output.emit({ ...event, event: "round", accuracy, loss }, row(event, accuracy, loss));
  }

  async #evaluate(admin: AdminClient, round: number): Promise<Evaluation> {
    const { safetensors } = await admin.call<{ safetensors: string }>("model.read", { round });
    const { parameters } = decodeModel(new Uint8Array(Buffer.from(safetensors, "base64")));
    this.#last = evaluate(this.#network, parameters, this.#test);
    return this.#last;
  }

  async #conclude(folder: string): Promise<void> {
    const { accepted, rejected, rejectedHonest } = this.#tally.totals;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const audit = await verifyFolder(folder);
    const accuracy = this.#last?.accuracy ?? 0;
    const examples = this.#test.count;
    this.#output.emit(
      { event: "verdicts", devices: this.#tally.devices() },
      `\naccuracy ${paint("bold", accuracy.toFixed(3))} on ${examples} test images\n\n${this.#tally.table()}`,
    );
    this.#output.emit(
      { event: "audit", ...audit },
      `\naudit log ${audit.ok ? paint("green", "verified") : paint("red", `BROKEN: ${audit.problems[0]}`)}: ` +
        `${audit.entries} entries, ${audit.updates} updates, ${audit.models} models\n\ngo on with\n` +
        `  npx qflare audit verify --data-dir ${folder}\n` +
        `  npx qflare model export --data-dir ${folder} --out model.safetensors\n` +
        "  npx qflare demo --malicious 3 --attack scale --rule mean\n  npx qflare --help",
    );
    this.#output.emit({
      event: "finished",
      rounds: this.#plan.rounds,
      devices: this.#plan.devices,
      malicious: this.#plan.malicious,
      accuracy,
      acceptedUpdates: accepted,
      rejectedUpdates: rejected,
      rejectedHonest,
      auditVerified: audit.ok,
      suite: this.#flags.suite,
      seconds: Number(seconds.toFixed(2)),
    });
    if (!audit.ok) throw new QflareError("audit.broken", audit.problems[0]);
  }
}

function runFolder(given: string | undefined): string {
  if (given !== undefined) return given;
  makeNamedFolder(".qflare", "--data-dir", 0o700);
  return mkdtempSync(join(".qflare", "demo-"));
}

function deviceName(index: number, count: number): string {
  return `device-${String(index + 1).padStart(String(count).length, "0")}`;
}

function header(): string {
  return paint("bold", "round  accuracy    loss  accepted  seconds  rejected and missing");
}

function row(event: Extract<RunEvent, { event: "round.published" }>, accuracy: number, loss: number): string {
  const rejected = event.rejected.map(({ device, reason }) => `${device} (${reason})`);
  const missing = event.missing.map((device) => `${device} missing`);
  return [
    String(event.round).padStart(5),
    accuracy.toFixed(3).padStart(10),
    loss.toFixed(4).padStart(8),
    String(event.accepted.length).padStart(10),
    event.seconds.toFixed(2).padStart(9),
    `  ${[...rejected, ...missing].join(", ")}`,
  ].join("");
}
