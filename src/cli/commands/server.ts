// qflare server: coordinates rounds for the devices that enrol.

import { createSecureContext } from "node:tls";
import type { Command } from "commander";
import type { Policy } from "../../aggregation/policy.ts";
import { choiceText } from "../../aggregation/specification.ts";
import type { Log } from "../../core/ports.ts";
import type { CertifiedKey } from "../../crypto/certificate.ts";
import { systemRandom } from "../../crypto/random.ts";
import type { SuiteName } from "../../crypto/suite.ts";
import type { RunEvent } from "../../server/events.ts";
import { type RemoteEnclave, readAddress } from "../../server/remote-enclave.ts";
import { type RunDefinition, type ServerOptions, startServer } from "../../server/server.ts";
import { AGGREGATION_LENGTH_MAX } from "../../wire/policy.ts";
import { NO_WITNESSES, parseWitnessPolicy, type WitnessPolicy } from "../../wire/witness-policy.ts";
import { readDefence } from "../defence.ts";
import { collateralReader, readEvidencePolicy } from "../evidence.ts";
import { readBytes, readText } from "../files.ts";
import { createLog, LOG_LEVELS } from "../log.ts";
import { firstModel, trainingPlan } from "../model.ts";
import { createOutput, UsageError } from "../output.ts";
import { choice } from "../parse.ts";
import { serverPsk } from "../qkd.ts";
import { addSettings, readSettings, type Settings } from "../settings.ts";
import { endWithInput, interrupted, systemClock } from "../system.ts";
import { type AdminFlags, addAdminCommand, withAdmin } from "../with-admin.ts";

interface Flags {
  readonly dataDir: string;
  readonly logLevel: string;
  readonly exitWhenFinished?: boolean;
  readonly endWithInput?: boolean;
  readonly json?: boolean;
}

export function addServerCommand(program: Command): void {
  const command = program
    .command("server")
    .description("coordinate a run: enrol devices, open rounds, publish models")
    .option("--data-dir <folder>", "where keys, ledger and blobs lie", ".qflare")
    .option("--log-level <level>", LOG_LEVELS.join(", "), "info")
    .option("--exit-when-finished", "end when the planned rounds are published")
    .addOption(endWithInput())
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      "\nExample:\n  qflare server --data-dir /var/lib/qflare --host 0.0.0.0 --target 20 --rounds 50",
    );
  addSettings(command).action(async (flags: Flags) => await run(flags, readSettings({ ...flags }, process.env)));
  addRotateCommand(command);
}

/** Its options are those of the server command too, which takes them first. */
function addRotateCommand(server: Command): void {
  const description = "on a running server: put the announced identity into force and announce another";
  const rotate = addAdminCommand(server, "rotate", description, "qflare server rotate --data-dir /var/lib/qflare");
  rotate.action(async (_own: AdminFlags, command: Command) => {
    await withAdmin(command.optsWithGlobals<AdminFlags>(), async (admin, output) => {
      const rotated = await admin.call<{ fingerprint: string; next_fingerprint: string }>("server.rotate");
      const { fingerprint, next_fingerprint } = rotated;
      output.emit(rotated, `identity ${fingerprint} is in force, ${next_fingerprint} is announced`);
    });
  });
}

async function run(flags: Flags, settings: Settings): Promise<void> {
  // Nothing in the data folder is for others.
  process.umask(0o077);
  const log = createLog(choice(flags.logLevel, "--log-level", LOG_LEVELS));
  const output = createOutput(flags);
  // Before anybody can know that there is a server to stop.
  const stopped = interrupted(flags.endWithInput);
  const server = await startServer(serverOptions(flags, settings, log));
  const { url, port, isolation, tee } = server;
  const where = { event: "listening", url, port, data_dir: flags.dataDir, isolation, tee, pid: process.pid };
  output.emit(where, `listening on ${url}, enclave ${tee} with isolation "${isolation}", data in ${flags.dataDir}`);
  server.events.listen((event) => output.emit(event, describe(event)));
  const closed = stopped.then(() => server.close());
  try {
    await server.finished;
  } catch (error) {
    // Without its coordinator a server would only look alive.
    await server.close();
    throw error;
  }
  if (flags.exitWhenFinished ?? false) await server.close();
  else await Promise.race([closed, server.closed]);
}

function serverOptions(flags: Flags, settings: Settings, log: Log): ServerOptions {
  const psk = serverPsk(settings.qkd, settings.qkd_link, log);
  return {
    dataDir: flags.dataDir,
    host: settings.host,
    port: settings.port,
    publicUrl: publicUrl(settings),
    tls: tlsFiles(settings),
    suites: settings.suites.split(",") as SuiteName[],
    run: runDefinition(settings),
    rounds: roundSettings(settings),
    epochs: { rounds: settings.epoch_rounds, timeMs: settings.epoch_time },
    ...remoteEnclave(settings),
    lostEnclave: settings.lost_enclave,
    rateLimits: {
      enroll: settings.enroll_per_minute,
      challenge: settings.challenge_per_minute,
      submit: settings.submit_per_minute,
      model: settings.model_per_minute,
      log: settings.log_per_minute,
    },
    witnesses: witnessPolicy(settings),
    isolationRequired: settings.require_isolation,
    tee: settings.tee,
    ...evidenceOptions(settings),
    clock: systemClock,
    random: systemRandom,
    log,
    ...(psk === undefined ? {} : { psk }),
  };
}

function evidenceOptions({ evidence_policy, evidence_collateral }: Settings): Partial<ServerOptions> {
  const policy = evidence_policy && { evidencePolicy: readEvidencePolicy(evidence_policy, "--evidence-policy") };
  const collateral = evidence_collateral && {
    evidenceCollateral: collateralReader(evidence_collateral, "--evidence-collateral"),
  };
  return { ...(policy || {}), ...(collateral || {}) };
}

function remoteEnclave({ enclave, enclave_pin: pin }: Settings): { enclave?: RemoteEnclave } {
  if (enclave === undefined && pin === undefined) return {};
  if (enclave === undefined || pin === undefined) throw new UsageError("--enclave and --enclave-pin: expected both");
  return { enclave: { address: readAddress(enclave), pin } };
}

function publicUrl({ public_url }: Settings): string | undefined {
  if (public_url !== undefined && !/^https:\/\/[a-zA-Z0-9.[\]:-]+$/.test(public_url)) {
    throw new UsageError(`--public-url: expected https://host or https://host:port, got ${JSON.stringify(public_url)}`);
  }
  return public_url;
}

function tlsFiles({ tls_cert, tls_key }: Settings): CertifiedKey | undefined {
  if (tls_cert === undefined && tls_key === undefined) return undefined;
  if (tls_cert === undefined || tls_key === undefined) throw new UsageError("--tls-cert and --tls-key: expected both");
  const files = { certificate: readText(tls_cert, "--tls-cert"), key: readBytes(tls_key, "--tls-key") };
  try {
    createSecureContext({ cert: files.certificate, key: files.key });
  } catch (error) {
    throw new UsageError(
      `--tls-cert and --tls-key: expected a certificate and its key, got ${(error as Error).message}`,
    );
  }
  return files;
}

function witnessPolicy({ witness_policy }: Settings): WitnessPolicy {
  if (witness_policy === undefined) return NO_WITNESSES;
  const policy = parseWitnessPolicy(readText(witness_policy, "--witness-policy"));
  for (const { name, url } of policy.witnesses) {
    if (url === undefined || !URL.canParse(url)) throw new UsageError(`--witness-policy: witness ${name} has no URL`);
  }
  return policy;
}

function roundSettings(settings: Settings): Parameters<typeof startServer>[0]["rounds"] {
  const { rounds, target, quorum } = settings;
  if (quorum > target) throw new UsageError(`--quorum: expected at most the target of ${target}, got ${quorum}`);
  return {
    rounds,
    target,
    quorum,
    overSelection: settings.over_selection,
    selectionMs: settings.selection_time,
    deadlineMs: settings.round_deadline,
  };
}

/** Throws UsageError or config.invalid where a run cannot be what the settings say. */
export function runDefinition(settings: Settings): RunDefinition {
  const defence = readDefence(settings);
  return {
    suite: settings.suites.split(",")[0] as SuiteName,
    aggregation: aggregationText(defence),
    updates_min: defence.updates_min,
    norm_max: defence.norm_max,
    weight_cap: defence.weight_cap,
    plan: JSON.stringify(trainingPlan(settings)),
    firstModel: firstModel(settings),
  };
}

function aggregationText({ aggregation }: Policy): string {
  const text = choiceText(aggregation);
  if (text.length <= AGGREGATION_LENGTH_MAX) return text;
  throw new UsageError(`--rule: expected a policy of ${AGGREGATION_LENGTH_MAX} characters at most, got ${text.length}`);
}

function describe(event: RunEvent): string {
  switch (event.event) {
    case "round.started":
      return `round ${event.round}: ${event.devices.length} devices selected`;
    case "round.published": {
      const rejected = event.rejected.map((one) => `${one.device} (${one.reason})`).join(", ");
      const missing = event.missing.length === 0 ? "" : `, missing ${event.missing.join(", ")}`;
      const turnedDown = rejected === "" ? "" : `, rejected ${rejected}`;
      const time = `published in ${event.seconds.toFixed(2)} s`;
      return `round ${event.round}: ${time}, ${event.accepted.length} accepted${turnedDown}${missing}`;
    }
    case "round.failed":
      return `round ${event.round}: failed, ${event.reason}`;
    case "run.finished":
      return `run finished after ${event.rounds} rounds`;
  }
}
