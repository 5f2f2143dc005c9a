// Runs a command against the administration socket of a running server.

import { AdminClient } from "./admin-client.ts";
import { createOutput, type Output } from "./output.ts";

export interface AdminFlags {
  readonly dataDir: string;
  readonly json?: boolean;
}

export async function withAdmin(
  flags: AdminFlags,
  work: (admin: AdminClient, output: Output) => Promise<void>,
): Promise<void> {
  const admin = await AdminClient.connect(flags.dataDir);
  try {
    await work(admin, createOutput(flags.json ?? false));
  } finally {
    admin.close();
  }
}
