// qflare device: enrol a device, run it, look at it.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { AppraisalPolicy } from "../../attestation/policy.ts";
import { readReferenceValues } from "../../attestation/reference-values.ts";
import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { DEFAULT_SUITE, isSuiteName, SUITE_NAMES, type SuiteName } from "../../crypto/suite.ts";
import { Device } from "../../device/device.ts";
import type { Releases } from "../../device/enclave-trust.ts";
import type { DeviceEvent } from "../../device/event.ts";
import { createProcessTrainer } from "../../device/process-trainer.ts";
import type { ProvenReceipt, Round } from "../../device/round.ts";
import { type Attack, parseAttack, poisonDataset, poisonDelta } from "../../learning/attacks.ts";
import type { ModelDescription } from "../../learning/model.ts";
import { decodeModel } from "../../learning/model-file.ts";
import { Network } from "../../learning/network.ts";
import { type TrainingPlan, trainingPlanShape } from "../../learning/plan.ts";
import { createTrainer, keepTrainer, type Trainer } from "../../learning/trainer.ts";
import { type DataOptions, loadTraining, shareOf } from "../data.ts";
import { readEvidencePolicy, readReference, readReleaseKey } from "../evidence.ts";
import { makeNamedFolder, readText, writeNamed } from "../files.ts";
import { createOutput, type Output, printable, UsageError } from "../output.ts";
import { parseDuration, whole } from "../parse.ts";
import { devicePsk, type QkdFlags } from "../qkd.ts";
import { endWithInput, interrupted, systemClock } from "../system.ts";
import { readToken, type TokenFlags } from "../token-input.ts";
import { addDeviceAdminCommands } from "./device-admin.ts";

interface Flags extends DataOptions, TokenFlags, QkdFlags {
  readonly keystore: string;
  readonly allowSimulatedEnclave?: boolean;
  readonly evidencePolicy?: string;
  readonly releaseKey?: string;
  readonly referenceValues?: readonly string[];
  readonly updatesMin: string;
  readonly suites?: string;
  readonly witnessPolicy?: string;
  readonly receipts?: string;
  readonly suite?: string;
  readonly partition: string;
  readonly part: string;
  readonly seed: string;
  readonly attack?: string;
  readonly endWithInput?: boolean;
  readonly trainer?: string;
  readonly trainerTime: string;
  readonly json?: boolean;
}

/** A device that takes part waits for its server; whoever asks how things are wants to know. */
const STATUS_MS = 10_000;

export function addDeviceCommand(program: Command): void {
  const device = program.command("device").description("a device that trains and keeps its data");
  common(device.command("enroll").description("make keys and enrol them under a token"))
    .option("--token-file <file>", "file whose first line is what qflare token create printed")
    .option("--token <token>", "the token itself, for others on this machine to see, or - for standard input")
    .addHelpText(
      "after",
      "\nExample:\n  qflare device enroll --token-file ward-3.token --keystore device.key --allow-simulated-enclave",
    )
    .action(async (flags: Flags) => await enroll(flags));
  training(common(device.command("run").description("take part in rounds until the run is finished")))
    .option("--token-file <file>", "where there is no key file yet, enrol first with the token in this file")
    .option(
      "--token <token>",
      "the same with the token itself, for others on this machine to see, or - for standard input",
    )
    .addOption(endWithInput())
    .addHelpText(
      "after",
      "\nExample:\n  qflare device run --keystore device.key --data ./my-idx-folder --allow-simulated-enclave",
    )
    .action(async (flags: Flags) => await run(flags));
  common(device.command("status").description("what the key file says, and whether the server knows it"))
    .addHelpText("after", "\nExample:\n  qflare device status --keystore device.key")
    .action(async (flags: Flags) => await status(flags));
  common(
    device.command("rekey").description("replace the device's keys by new ones, signed by the old; not while it runs"),
  )
    .option("--suite <name>", `suite that the new keys are for: ${SUITE_NAMES.join(", ")} (default: as before)`)
    .addHelpText("after", "\nExample:\n  qflare device rekey --keystore device.key --suite QF3-LONGTERM")
    .action(async (flags: Flags) => await rekey(flags));
  addDeviceAdminCommands(device);
}

function common(command: Command): Command {
  return command
    .option("--keystore <file>", "key file of the device, mode 0600", "device.key")
    .option("--allow-simulated-enclave", "take an enclave without hardware evidence; refused by default")
    .option("--evidence-policy <file>", "which hardware evidence to take, JSON; without measurements in it, none")
    .option("--release-key <hex>", "take enclaves of releases that this key has signed, and no others")
    .option("--reference-values <file...>", "signed values of such releases; later ones come with their announcement")
    .option("--updates-min <n>", "refuse an enclave that would aggregate fewer updates", "2")
    .option("--witness-policy <file>", "who must have cosigned the server's audit log (C2SP tlog-policy)")
    .option(
      "--suites <names>",
      `suites to use, preferred first; the first decides the keys (default: ${SUITE_NAMES.join(",")})`,
    )
    .option("--qkd <policy>", "a key from quantum key distribution in each session: off, prefer or require", "off")
    .option("--qkd-link <file>", "link file of the KME at this site, as qflare qkd simulate writes one")
    .option("--json", "one JSON object a line");
}

function training(command: Command): Command {
  return command
    .option("--data <folder>", "folder of IDX files (default: the images that come with qflare)")
    .option("--csv <file>", "table with a header, instead of --data")
    .option("--label <column>", "label column of the table")
    .option("--class-names <names>", "classes of the table in order, where not every device has them all")
    .option("--partition <how>", "iid, dirichlet:<alpha> or shards:<n>, for --part", "iid")
    .option("--part <i/n>", "train on this share of the data", "1/1")
    .option("--seed <n>", "seed of partition and batches", "1")
    .option("--receipts <folder>", "keep each round's receipt there, for qflare audit receipt")
    .option("--attack <name>", "lie, to try a defence: sign-flip, label-flip, noise or scale")
    .option("--trainer <command>", "program that trains instead, on data of its own; words are split at spaces")
    .option("--trainer-time <time>", "how long that program may take for a round", "1h");
}

function evidencePolicyOf({ evidencePolicy: path }: Flags): { evidencePolicy?: AppraisalPolicy } {
  return path === undefined ? {} : { evidencePolicy: readEvidencePolicy(path, "--evidence-policy") };
}

function releasesOf({ releaseKey, referenceValues = [] }: Flags): { releases?: Releases } {
  if (releaseKey === undefined && referenceValues.length > 0) throw new UsageError("--release-key: expected it too");
  if (releaseKey === undefined) return {};
  const keyHash = readReleaseKey(releaseKey);
  const references = referenceValues.map((path) => readReference(path, "--reference-values"));
  for (const file of references) readReferenceValues(file, keyHash, systemClock.nowMs());
  return { releases: { keyHash, references } };
}

function deviceOptions(
  flags: Flags,
  output: Output,
  onEvent: (event: DeviceEvent) => void = () => undefined,
): Parameters<typeof Device.open>[0] {
  const psk = devicePsk(flags, (reason) =>
    output.emit({ event: "session.no_quantum_key", reason }, `no quantum key goes into the session: ${reason}`),
  );
  return {
    ...(psk === undefined ? {} : { psk }),
    keystore: flags.keystore,
    allowSimulatedEnclave: flags.allowSimulatedEnclave ?? false,
    ...evidencePolicyOf(flags),
    ...releasesOf(flags),
    updatesMin: whole(flags.updatesMin, "--updates-min", 1, LIMITS.devicesPerRoundMax),
    suites: suitesOf(flags.suites ?? SUITE_NAMES.join(",")),
    ...(flags.witnessPolicy === undefined ? {} : { witnessPolicy: readText(flags.witnessPolicy, "--witness-policy") }),
    onEvent: (event) => {
      onEvent(event);
      output.emit(event, describe(event));
    },
  };
}

function suitesOf(text: string): SuiteName[] {
  const names = text.split(",");
  if (names.every(isSuiteName)) return names;
  throw new UsageError(
    `--suites: expected a list such as ${DEFAULT_SUITE} out of ${SUITE_NAMES.join(", ")}, got ${text}`,
  );
}

async function enroll(flags: Flags): Promise<void> {
  const output = createOutput(flags);
  const options = deviceOptions(flags, output);
  const link = await readToken(flags);
  if (link === undefined) throw new UsageError("expected --token-file with a token to enrol with");
  const device = await Device.enroll({ ...options, link });
  const { name, id, url } = device;
  await device.close();
  output.emit({ event: "enrolled", device_id: id, name, url, keystore: flags.keystore }, `enrolled as ${name} (${id})`);
}

async function status(flags: Flags): Promise<void> {
  const output = createOutput(flags);
  let reason = "no answer";
  let psk = false;
  const onEvent = (event: DeviceEvent): void => {
    if (event.event === "retry") reason = event.reason;
    if (event.event === "session") psk = event.psk;
  };
  const device = Device.open({ ...deviceOptions(flags, output), onEvent });
  const timer = setTimeout(() => end(device), STATUS_MS);
  try {
    await device.connect();
  } catch (error) {
    const isLate = error instanceof QflareError && error.code === "server.unavailable";
    throw isLate ? new QflareError(error.code, `${device.url}: ${reason}`) : error;
  } finally {
    clearTimeout(timer);
    await device.close();
  }
  const { name, id, url } = device;
  output.emit(
    { event: "status", device_id: id, name, url, connected: true, psk },
    `${name} (${id}) is known at ${url}${psk ? ", with a quantum key in the session" : ""}`,
  );
}

/** From outside what it is at: that ends then, and closes it too, with the error where there is one. */
function end(device: Device): void {
  device.close().catch(() => undefined);
}

async function rekey(flags: Flags): Promise<void> {
  const output = createOutput(flags);
  const suite = flags.suite === undefined ? undefined : suitesOf(flags.suite)[0];
  const device = Device.open(deviceOptions(flags, output));
  try {
    await device.rekey(suite);
  } finally {
    await device.close();
  }
  const { name, id, url } = device;
  output.emit({ event: "rekeyed", device_id: id, name, url, keystore: flags.keystore }, `${name} has new keys (${id})`);
}

/** What a device of the command line trains with. examples: of its data set, where the program holds one. */
interface Training {
  readonly trainerFor: (description: ModelDescription) => Trainer;
  readonly examples: number | null;
  readonly attack: Attack | undefined;
  readonly seed: number;
}

function prepareTraining(flags: Flags): Training {
  const seed = whole(flags.seed, "--seed", 0, 2 ** 31);
  const attack = flags.attack === undefined ? undefined : parseAttack(flags.attack);
  if (flags.trainer !== undefined) {
    if (attack?.kind === "label-flip") throw new UsageError("--attack label-flip: the data are the --trainer's own");
    const options = { command: words(flags.trainer), timeoutMs: trainerTime(flags.trainerTime) };
    const trainerFor = keepTrainer((description) => createProcessTrainer(description, options));
    return { trainerFor, examples: null, attack, seed };
  }
  const own = shareOf(loadTraining(flags), flags.part, flags.partition, seed);
  const dataset = attack === undefined ? own : poisonDataset(attack, own);
  const trainerFor = keepTrainer((description) => createTrainer(new Network(description), dataset));
  return { trainerFor, examples: dataset.count, attack, seed };
}

function words(command: string): string[] {
  const found = command.split(" ").filter((word) => word !== "");
  if (found.length === 0) throw new UsageError("--trainer: expected a program and its arguments");
  return found;
}

function trainerTime(text: string): number {
  const timeoutMs = parseDuration(text) ?? 0;
  if (timeoutMs >= 1 && timeoutMs <= LIMITS.trainingMsMax) return timeoutMs;
  throw new UsageError(`--trainer-time: expected a time such as 10m, at most 24h, got ${JSON.stringify(text)}`);
}

async function run(flags: Flags): Promise<void> {
  const output = createOutput(flags);
  const training = prepareTraining(flags);
  if (flags.receipts !== undefined) makeNamedFolder(flags.receipts, "--receipts");
  const tally = { accepted: 0, rejected: 0 };
  const device = await openOrEnroll(flags, output, (event) => {
    if (event.event !== "outcome") return;
    if (event.verdict === "accepted") tally.accepted += 1;
    if (event.verdict === "rejected") tally.rejected += 1;
  });
  let trainer: Trainer | undefined;
  let isStopped = false;
  void interrupted(flags.endWithInput).then(async () => {
    isStopped = true;
    end(device);
    await trainer?.close?.();
  });
  const { name, id } = device;
  const { examples } = training;
  const owned = examples === null ? "a trainer of its own" : `${examples} examples`;
  output.emit({ event: "ready", device_id: id, name, examples }, `${name}: ${owned}, ready`);
  const showProgress = (what: string): void =>
    output.progress(`${name}: ${what}, ${tally.accepted} updates accepted, ${tally.rejected} rejected so far`);
  try {
    showProgress("waiting for a round");
    for await (const round of device.rounds()) {
      showProgress(`training for round ${round.number}`);
      trainer = training.trainerFor(decodeModel(round.model).description);
      const receipt = await takePart(round, trainer, training, output);
      if (receipt !== undefined && flags.receipts !== undefined) keepReceipt(flags.receipts, receipt);
      showProgress(`waiting after round ${round.number}`);
    }
  } catch (error) {
    const ends = isStopped ? ["server.unavailable", "training.failed"] : ["server.unavailable"];
    if (!(error instanceof QflareError && ends.includes(error.code))) throw error;
    return;
  } finally {
    await trainer?.close?.();
    await device.close();
  }
  output.emit({ event: "finished" }, "the run is finished");
}

async function openOrEnroll(flags: Flags, output: Output, onEvent: (event: DeviceEvent) => void): Promise<Device> {
  const options = deviceOptions(flags, output, onEvent);
  // The token of an enrolled device is used up, and its file may be gone.
  const link = existsSync(flags.keystore) ? undefined : await readToken(flags);
  return link === undefined ? Device.open(options) : await Device.enroll({ ...options, link });
}

async function takePart(
  round: Round,
  trainer: Trainer,
  { attack, seed }: Training,
  output: Output,
): Promise<ProvenReceipt | undefined> {
  const started = performance.now();
  const job = { parameters: round.parameters, plan: readPlan(round.plan), seed: seed + round.number };
  const trained = await trainer.train(job);
  const honest = trained.parameters.map((value, i) => value - round.parameters[i]!);
  const delta = attack === undefined ? honest : poisonDelta(attack, honest, seed + round.number);
  const receipt = await round.submit(delta, trained.examples);
  if (receipt === undefined) return undefined;
  const seconds = (performance.now() - started) / 1000;
  const { examples, loss } = trained;
  output.emit(
    { event: "submitted", round: round.number, examples, loss, audit_index: receipt.audit_index, seconds },
    `round ${round.number}: loss ${loss.toFixed(4)}, submitted in ${seconds.toFixed(2)} s, ` +
      `receipt at entry ${receipt.audit_index}`,
  );
  return receipt;
}

function keepReceipt(folder: string, { round, encoded }: ProvenReceipt): void {
  makeNamedFolder(folder, "--receipts");
  writeNamed(join(folder, `round-${round}.receipt`), "--receipts", encoded);
}

function readPlan(json: string): TrainingPlan {
  return trainingPlanShape.read(JSON.parse(json), "plan");
}

function describeSession({ suite, resumed, psk }: Extract<DeviceEvent, { event: "session" }>): string {
  const secrets = psk ? `${suite} and a quantum key` : suite;
  return resumed ? `session goes on under new keys (${secrets})` : `session open with ${secrets}`;
}

function describe(event: DeviceEvent): string {
  switch (event.event) {
    case "session":
      return describeSession(event);
    case "enclave": {
      const identity = event.replaced ? ", a new identity" : "";
      return `enclave checked: evidence ${event.tee}, isolation ${event.isolation}, epoch ${event.epoch}${identity}`;
    }
    case "outcome":
      return `round ${event.round}: ${event.verdict}${event.reason === null ? "" : ` (${event.reason})`}`;
    case "late":
      return `round ${event.round}: too late (${printable(event.reason)})`;
    case "retry":
      return `waiting ${event.wait_ms} ms: ${printable(event.reason)}`;
  }
}
