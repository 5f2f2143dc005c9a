// qflare witness: cosigns the audit logs of runs, so that nobody is shown a history of his own.

import { join } from "node:path";
import type { Command } from "commander";
import { systemRandom } from "../../crypto/random.ts";
import { formatVkey, type NoteKey, parseVkey } from "../../wire/note.ts";
import { loadWitnessKeys } from "../../witness/keys.ts";
import { listenWitness } from "../../witness/listen.ts";
import { WitnessStore } from "../../witness/store.ts";
import { Witness } from "../../witness/witness.ts";
import { makeNamedFolder } from "../files.ts";
import { createLog } from "../log.ts";
import { createOutput, UsageError } from "../output.ts";
import { whole } from "../parse.ts";
import { interrupted, systemClock } from "../system.ts";

interface Flags {
  readonly dataDir: string;
  readonly name?: string;
  readonly log: readonly string[];
  readonly host: string;
  readonly port: string;
  readonly json?: boolean;
}

const KEY_FILE = "witness.key";
const STORE_FILE = "witness.sqlite";

export function addWitnessCommand(program: Command): void {
  program
    .command("witness")
    .description("cosign audit logs that are a continuation of what this witness has seen of them")
    .option("--data-dir <folder>", "where key and checkpoints lie", ".qflare-witness")
    .option("--name <name>", "name of the witness, at its first start; such as witness.example/one")
    .requiredOption(
      "--log <vkey...>",
      "ML-DSA-44 verifier keys of the logs, as qflare audit keys prints them; of one log the older ones first",
    )
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 takes a free one", "8454")
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      '\nExample:\n  qflare witness --name witness.example/one --log "qflare/3f...+75d3b0b4+Bkb..."',
    )
    .action(async (flags: Flags) => await run(flags));
}

async function run(flags: Flags): Promise<void> {
  process.umask(0o077);
  const stopped = interrupted();
  const logs = flags.log.map(logKey);
  const port = whole(flags.port, "--port", 0, 65_535);
  makeNamedFolder(flags.dataDir, "--data-dir", 0o700);
  const signer = loadWitnessKeys(join(flags.dataDir, KEY_FILE), flags.name, systemRandom);
  const store = new WitnessStore(join(flags.dataDir, STORE_FILE));
  const witness = new Witness({ signer, logs, store, clock: systemClock });
  const listening = await listenWitness(witness, { host: flags.host, port, log: createLog("warn") });
  const output = createOutput(flags);
  const vkeys = signer.keys.map(formatVkey);
  const name = signer.keys[0]!.name;
  output.emit(
    { event: "listening", url: listening.url, name, vkeys, pid: process.pid },
    `${name} cosigns on ${listening.url}\n${vkeys.join("\n")}`,
  );
  await stopped;
  await listening.close();
  store.close();
}

function logKey(text: string): NoteKey {
  const key = parseVkey(text);
  if (key === undefined || key.type === "ed25519-cosignature") {
    throw new UsageError(`--log: expected a log's verifier key, got ${text.slice(0, 80)}`);
  }
  return key;
}
