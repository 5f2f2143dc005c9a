// The command line.

import { Command, CommanderError } from "commander";
import { addAuditCommand } from "./commands/audit.ts";
import { addBenchCommand } from "./commands/bench.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDeviceCommand } from "./commands/device.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addModelCommand } from "./commands/model.ts";
import { addServerCommand } from "./commands/server.ts";
import { addTokenCommand } from "./commands/token.ts";
import { report } from "./output.ts";
import { readVersion } from "./version.ts";

function createProgram(): Command {
  const program = new Command("qflare")
    .description("federated learning over mutually distrusting devices, post-quantum secured end to end")
    .version(readVersion())
    .showHelpAfterError("(add --help for what it takes)")
    .exitOverride();
  addDemoCommand(program);
  addServerCommand(program);
  addTokenCommand(program);
  addDeviceCommand(program);
  addModelCommand(program);
  addAuditCommand(program);
  addDoctorCommand(program);
  addBenchCommand(program);
  for (const command of program.commands) {
    command.exitOverride();
    for (const inner of command.commands) inner.exitOverride();
  }
  return program;
}

/** Sets the exit code: 0 done, 1 failed, 2 used wrongly. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else report(error);
  }
}
