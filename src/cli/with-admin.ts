// Commands that ask a running server, over its administration socket.

import type { Command } from "commander";
import { AdminClient } from "./admin-client.ts";
import { createOutput, type Output } from "./output.ts";

export interface AdminFlags {
  readonly dataDir: string;
  readonly json?: boolean;
}

/** example: a call, as it would be typed. Its options are those of AdminFlags. */
export function addAdminCommand(parent: Command, name: string, description: string, example: string): Command {
  return parent
    .command(name)
    .description(description)
    .option("--data-dir <folder>", "data folder of the running server", ".qflare")
    .option("--json", "one JSON object a line")
    .addHelpText("after", `\nExample:\n  ${example}`);
}

export async function withAdmin(
  flags: AdminFlags,
  work: (admin: AdminClient, output: Output) => Promise<void>,
): Promise<void> {
  const admin = await AdminClient.connect(flags.dataDir);
  try {
    await work(admin, createOutput(flags));
  } finally {
    admin.close();
  }
}
