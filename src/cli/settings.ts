// Settings of a server: the one table from which command-line flags, environment variables, the configuration file and
// their help are made. A flag wins over the environment, the environment over the file, the file over the default.

import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { parse as parseToml, TomlError } from "smol-toml";
import { TEE_CHOICES } from "../attestation/tee-device.ts";
import { LIMITS } from "../core/limits.ts";
import { isSuiteName, SUITE_NAMES } from "../crypto/suite.ts";
import { ISOLATION_LEVELS } from "../isolation/level.ts";
import { DEFAULT_NAME, DEFAULT_PLAN } from "../learning/defaults.ts";
import { OPTIMIZERS } from "../learning/optimizer.ts";
import { QKD_POLICIES } from "../qkd/psk.ts";
import { LOST_ENCLAVE } from "../server/enclave-link.ts";
import { DEFAULT_EPOCHS } from "../server/epochs.ts";
import { RULE_WORDS } from "./defence.ts";
import { readText } from "./files.ts";
import { UsageError } from "./output.ts";
import { parseChoice, parseDuration, parseNumber, parseWhole } from "./parse.ts";

interface Setting<T> {
  readonly words: string;
  readonly placeholder: string;
  readonly fallback: T;
  /** The value of a text, or undefined where it is not one. */
  read(text: string): T | undefined;
  /** What read takes. */
  readonly expected: string;
}

function whole(words: string, fallback: number, min: number, max: number): Setting<number> {
  const read = (text: string): number | undefined => parseWhole(text, min, max);
  return { words, placeholder: "n", fallback, read, expected: `a whole number from ${min} to ${max}` };
}

function number(words: string, fallback: number, min: number, max: number): Setting<number> {
  const read = (text: string): number | undefined => parseNumber(text, min, max);
  return { words, placeholder: "x", fallback, read, expected: `a number from ${min} to ${max}` };
}

function duration(words: string, fallback: string, minMs: number, maxMs: number): Setting<number> {
  const read = (text: string): number | undefined => {
    const value = parseDuration(text);
    return value !== undefined && value >= minMs && value <= maxMs ? value : undefined;
  };
  const expected = `a time such as 500ms, 10s, 5m or 1h, from ${minMs} ms to ${maxMs / 3_600_000} h`;
  return { words, placeholder: "time", fallback: parseDuration(fallback)!, read, expected };
}

function string<T extends string | undefined>(words: string, placeholder: string, fallback: T): Setting<T> {
  return {
    words,
    placeholder,
    fallback,
    read: (text) => (text === "" ? undefined : (text as T)),
    expected: "some text",
  };
}

function choice<T extends string>(
  words: string,
  placeholder: string,
  fallback: NoInfer<T>,
  choices: readonly T[],
): Setting<T> {
  const read = (text: string): T | undefined => parseChoice(text, choices);
  return { words, placeholder, fallback, read, expected: `one of ${choices.join(", ")}` };
}

const suites: Setting<string> = {
  words: "suites that sessions may use, preferred first, with commas",
  placeholder: "names",
  fallback: SUITE_NAMES.join(","),
  read: (text) => (text.split(",").every(isSuiteName) ? text : undefined),
  expected: `a list out of ${SUITE_NAMES.join(", ")}`,
};

const perMinute = (what: string, fallback: number): Setting<number> =>
  whole(`${what} a minute and client`, fallback, 1, 1_000_000);

const optimizer = choice(OPTIMIZERS.join(", "), "name", DEFAULT_PLAN.optimizer, OPTIMIZERS);

const tee = choice(
  `hardware that the enclave asks for evidence: ${TEE_CHOICES.join(", ")}`,
  "kind",
  "auto",
  TEE_CHOICES,
);

const isolation = choice(
  "least isolation of the enclave process; the server does not start below it",
  "level",
  "none",
  ISOLATION_LEVELS,
);

const qkd = choice(
  "a key from quantum key distribution in each session: off, prefer or require",
  "policy",
  "off",
  QKD_POLICIES,
);

const lostEnclave = choice(
  "where the enclave's keys are lost: stop, or replace it and begin a new epoch with new keys",
  "what",
  "stop",
  LOST_ENCLAVE,
);

const SETTINGS = {
  host: string<string>("address to listen on", "address", "127.0.0.1"),
  port: whole("port to listen on; 0 takes a free one", 8443, 0, 65_535),
  public_url: string<string | undefined>("URL that tokens name, by default https://host:port", "url", undefined),
  tls_cert: string<string | undefined>(
    "certificate chain, PEM; by default the server makes its own",
    "file",
    undefined,
  ),
  tls_key: string<string | undefined>("key of the certificate, PEM", "file", undefined),
  suites,
  witness_policy: string<string | undefined>("who cosigns the audit log (C2SP tlog-policy)", "file", undefined),
  qkd,
  qkd_link: string<string | undefined>(
    "link file of the KME at this site, as qflare qkd simulate writes one",
    "file",
    undefined,
  ),
  require_isolation: isolation,
  tee,
  evidence_policy: string<string | undefined>("what the enclave's evidence must meet, JSON", "file", undefined),
  evidence_collateral: string<string | undefined>("what the vendor says about the platform, JSON", "file", undefined),
  enclave: string<string | undefined>(
    "enclave elsewhere, tls://host:port; by default it is started here",
    "url",
    undefined,
  ),
  enclave_pin: string<string | undefined>("SHA-256 of its certificate, hexadecimal", "sha256", undefined),
  lost_enclave: lostEnclave,
  rounds: whole("rounds to publish", 10, 1, LIMITS.roundsMax),
  target: whole("accepted updates that close a round", 10, 1, LIMITS.devicesPerRoundMax),
  quorum: whole("fewest updates that make a model", 3, 1, LIMITS.devicesPerRoundMax),
  over_selection: number("devices selected for each wanted update", 1, 1, 10),
  selection_time: duration("how long a round waits for more than quorum devices", "10s", 0, LIMITS.roundDeadlineMsMax),
  round_deadline: duration("how long a round takes updates", "60s", 100, LIMITS.roundDeadlineMsMax),
  epoch_rounds: whole("rounds after which the enclave gets a new key", DEFAULT_EPOCHS.rounds, 1, LIMITS.roundsMax),
  epoch_time: duration("time after which it does", "24h", 1000, LIMITS.epochMsMax),
  rule: string<string>(RULE_WORDS, "rule", "default"),
  updates_min: whole("fewest updates that the enclave puts into a model", 2, 1, LIMITS.devicesPerRoundMax),
  norm_max: number("largest norm of an update", 1e6, 0, 1e18),
  weight_cap: number("most that one device weighs, in medians of the claimed example counts", 2, 1, 1e6),
  model: string<string>(
    "softmax, mlp, such as mlp:128,64, cnn, or a .json or .safetensors file",
    "model",
    DEFAULT_NAME,
  ),
  inputs: whole("inputs of the model", 784, 1, LIMITS.layerWidthMax),
  classes: whole("classes of the model", 10, 2, LIMITS.classesMax),
  epochs: whole("local passes over a device's data", DEFAULT_PLAN.epochs, 1, LIMITS.epochsMax),
  batch_size: whole("examples in a batch", DEFAULT_PLAN.batch_size, 1, LIMITS.batchSizeMax),
  optimizer,
  learning_rate: number("step size", DEFAULT_PLAN.learning_rate, 0, 100),
  momentum: number("momentum of sgd", DEFAULT_PLAN.momentum, 0, 0.999),
  proximal_mu: number("weight of FedProx's proximal term", DEFAULT_PLAN.proximal_mu, 0, 100),
  weight_decay: number("weight decay: L2, decoupled for adamw", DEFAULT_PLAN.weight_decay, 0, 1),
  seed: whole("seed of the first model", 1, 0, 2 ** 31),
  enroll_per_minute: perMinute("enrolments", 5),
  challenge_per_minute: perMinute("handshakes", 30),
  submit_per_minute: perMinute("updates", 10),
  model_per_minute: perMinute("model requests", 60),
  log_per_minute: perMinute("files of the audit log", 600),
} as const satisfies Record<string, Setting<never> | Setting<string | undefined> | Setting<number> | Setting<string>>;

export type Name = keyof typeof SETTINGS;
export type Settings = { readonly [K in Name]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never };

export const SETTING_NAMES: readonly Name[] = Object.keys(SETTINGS) as Name[];
const CONFIG_FILE = "qflare.toml";

function flagOf(name: string): string {
  return name.replaceAll("_", "-");
}

/** Flags without defaults, so that a missing one can be told from a given one. */
export function addSettings(command: Command): Command {
  command.addOption(new Option("--config <file>", `configuration file, by default ${CONFIG_FILE} if it is there`));
  for (const name of SETTING_NAMES) {
    const { words, placeholder, fallback } = SETTINGS[name];
    const shown = fallback === undefined ? words : `${words} (default: ${shownDefault(name)})`;
    command.addOption(new Option(`--${flagOf(name)} <${placeholder}>`, shown));
  }
  return command;
}

function shownDefault(name: Name): string {
  const { fallback, placeholder } = SETTINGS[name];
  return placeholder === "time" ? `${Number(fallback) / 1000}s` : String(fallback);
}

type Flags = Readonly<Record<string, unknown>>;

/** Throws UsageError, which names the place of the mistake. */
export function readSettings(flags: Flags, environment: NodeJS.ProcessEnv): Settings {
  const file = readConfigFile(flags.config as string | undefined);
  const out: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const given = givenText(name, flags, environment, file);
    out[name] = given === undefined ? SETTINGS[name].fallback : readOne(name, given);
  }
  return out as Settings;
}

interface Given {
  readonly text: string;
  readonly place: string;
}

function givenText(name: Name, flags: Flags, environment: NodeJS.ProcessEnv, file: ConfigFile): Given | undefined {
  const flag = flags[camel(name)];
  if (typeof flag === "string") return { text: flag, place: `--${flagOf(name)}` };
  const variable = `QFLARE_${name.toUpperCase()}`;
  const fromEnvironment = environment[variable];
  if (fromEnvironment !== undefined) return { text: fromEnvironment, place: variable };
  const fromFile = file.values[name];
  return fromFile === undefined ? undefined : { text: String(fromFile), place: `${file.path}: ${name}` };
}

function readOne(name: Name, { text, place }: Given): unknown {
  const setting = SETTINGS[name] as Setting<unknown>;
  const value = setting.read(text);
  if (value === undefined) {
    throw new UsageError(`${place}: expected ${setting.expected}, got ${JSON.stringify(text.slice(0, 80))}`);
  }
  return value;
}

function camel(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

interface ConfigFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

function readConfigFile(path: string | undefined): ConfigFile {
  if (path === undefined && !existsSync(CONFIG_FILE)) return { path: CONFIG_FILE, values: {} };
  const file = path ?? CONFIG_FILE;
  let values: Record<string, unknown>;
  try {
    values = parseToml(readText(file, "--config"));
  } catch (error) {
    const reason =
      error instanceof TomlError ? `line ${error.line}: ${error.message.split("\n")[0]}` : "it cannot be read";
    throw new UsageError(`${file}: ${reason}`);
  }
  for (const [name, value] of Object.entries(values)) {
    if (!Object.hasOwn(SETTINGS, name)) throw new UsageError(`${file}: ${name}: there is no such setting`);
    if (typeof value === "object") throw new UsageError(`${file}: ${name}: expected a single value`);
  }
  return { path: file, values };
}
