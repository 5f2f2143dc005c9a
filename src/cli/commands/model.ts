// qflare model: the trained model as a file.

import { join } from "node:path";
import type { Command } from "commander";
import { toHex } from "../../core/bytes.ts";
import { systemRandom } from "../../crypto/random.ts";
import { decodeModel } from "../../learning/model-file.ts";
import { BLOB_FOLDER } from "../../server/data-folder.ts";
import { ModelVault } from "../../server/models.ts";
import { BlobStore } from "../../server/store/blobs.ts";
import { writeNamed } from "../files.ts";
import { readLedger } from "../ledger.ts";
import { createOutput, UsageError } from "../output.ts";
import { whole } from "../parse.ts";
import { systemClock } from "../system.ts";

const ROUND_MAX = 999_999_999;

interface Flags {
  readonly dataDir: string;
  readonly out: string;
  readonly round?: string;
  readonly json?: boolean;
}

export function addModelCommand(program: Command): void {
  program
    .command("model")
    .description("the trained model")
    .command("export")
    .description("write a model as safetensors")
    .option("--data-dir <folder>", "data folder of the server", ".qflare")
    .option("--out <file>", "file to write", "model.safetensors")
    .option("--round <n>", "model of this round (default: the newest)")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare model export --data-dir .qflare --out model.safetensors")
    .action(async (flags: Flags) => await exportModel(flags));
}

async function exportModel({ dataDir, out, round, json }: Flags): Promise<void> {
  const row = await readLedger(dataDir, async (db) => {
    const query = db.selectFrom("models").selectAll().orderBy("round", "desc").limit(1);
    return await (round === undefined
      ? query
      : query.where("round", "=", whole(round, "--round", 0, ROUND_MAX))
    ).executeTakeFirst();
  });
  if (row === undefined)
    throw new UsageError(round === undefined ? "the run has no model yet" : `--round: no model of round ${round}`);
  const blobs = new BlobStore(join(dataDir, BLOB_FOLDER), systemRandom);
  const file = await new ModelVault(blobs, systemRandom, systemClock).read(row);
  const { description, parameters } = decodeModel(file);
  writeNamed(out, "--out", file);
  const facts = {
    event: "exported",
    file: out,
    round: row.round,
    digest: toHex(row.digest),
    parameters: parameters.length,
  };
  createOutput({ json }).emit(
    facts,
    `${out}: round ${row.round}, ${description.kind}, ${parameters.length} parameters`,
  );
}
