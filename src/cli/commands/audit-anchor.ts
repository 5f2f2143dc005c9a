// qflare audit anchor: writes the log's root where nobody can take it back, and holds the log against it.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { evmAnchor, httpProvider } from "../../anchor/evm.ts";
import { judgeAnchored } from "../../anchor/port.ts";
import { fromHex, toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { TileEdge } from "../../crypto/log-tree.ts";
import { leafHash } from "../../crypto/merkle.ts";
import { readSecretFile } from "../../crypto/secret-file.ts";
import { countEntries, readEntries } from "../../server/log-store.ts";
import { type Checkpoint, parseCheckpoint } from "../../wire/checkpoint.ts";
import { parseNote } from "../../wire/note.ts";
import { readLedger } from "../ledger.ts";
import { createOutput, UsageError } from "../output.ts";
import { whole } from "../parse.ts";
import { verifyFolder } from "./audit.ts";

interface Flags {
  readonly dataDir: string;
  readonly rpc: string;
  readonly contract: string;
  readonly account?: string;
  readonly keyFile?: string;
  readonly confirmations: string;
  readonly json?: boolean;
}

const BATCH = 1024;

export function addAnchorCommand(audit: Command): void {
  audit
    .command("anchor")
    .description("write the log's root to a chain, or with --account check the log against what stands there")
    .option("--data-dir <folder>", "data folder of the server", ".qflare")
    .requiredOption("--rpc <url>", "JSON-RPC of a node")
    .requiredOption("--contract <address>", "the contract of deploy/anchor")
    .option("--key-file <file>", "secp256k1 key that pays and signs, hexadecimal, mode 0600")
    .option("--account <address>", "check only: the account whose roots count")
    .option("--confirmations <n>", "blocks on top after which a root counts as written", "2")
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      "\nExample:\n  qflare audit anchor --rpc http://127.0.0.1:8545 --contract 0x5fbd... --key-file anchor.key",
    )
    .action(async (flags: Flags) => await run(flags));
}

async function run(flags: Flags): Promise<void> {
  const { keyFile, account } = flags;
  if ((keyFile === undefined) === (account === undefined)) throw new UsageError("expected --key-file or --account");
  const summary = await verifyFolder(flags.dataDir);
  if (!summary.ok) throw new QflareError("audit.broken", summary.problems[0]);
  const anchor = await evmAnchor({
    provider: httpProvider(flags.rpc),
    contract: flags.contract,
    confirmations: whole(flags.confirmations, "--confirmations", 1, 1000),
    ...(account === undefined ? {} : { account }),
    ...(keyFile === undefined ? {} : { secretKey: readKey(keyFile) }),
  });
  const newest = await newestCheckpoint(flags.dataDir);
  const roots = await rootsOf(flags.dataDir);
  const { problems, anchored } = judgeAnchored(await anchor.read(newest.origin), roots);
  if (problems.length > 0) throw new QflareError("anchor.mismatch", problems.join("; "));
  const output = createOutput(flags);
  const { size, root } = newest;
  if (keyFile === undefined) {
    output.emit({ event: "anchored", checked: anchored }, `${anchored} roots on the chain are the log's`);
    return;
  }
  const { reference, height } = await anchor.publish(newest);
  output.emit(
    { event: "anchored", size, root: toHex(root), reference, height },
    `root over ${size} entries stands in block ${height}, ${reference}`,
  );
}

function readKey(path: string): Uint8Array {
  const contents = readSecretFile(path);
  const text = contents === undefined ? "" : readFileSync(path, "utf8").trim().replace(/^0x/, "");
  const key = fromHex(text);
  if (key?.length !== 32) throw new UsageError(`--key-file: expected 32 bytes in hexadecimal in ${path}`);
  return key;
}

async function newestCheckpoint(dataDir: string): Promise<Checkpoint> {
  const query = readLedger(dataDir, (db) =>
    db.selectFrom("checkpoints").select("note").orderBy("size", "desc").executeTakeFirstOrThrow(),
  );
  return parseCheckpoint(parseNote((await query).note).text);
}

/** Roots of the log at every size. */
async function rootsOf(dataDir: string): Promise<(size: number) => Uint8Array | undefined> {
  const leaves = await readLedger(dataDir, async (db) => {
    const count = await countEntries(db);
    const hashes: Uint8Array[] = [];
    while (hashes.length < count) hashes.push(...(await readEntries(db, hashes.length, BATCH)).map(leafHash));
    return hashes;
  });
  return (size) => {
    if (size > leaves.length) return undefined;
    const edge = new TileEdge();
    for (const leaf of leaves.slice(0, size)) edge.append(leaf);
    return edge.root();
  };
}
