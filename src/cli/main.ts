// The command line.

import { Command, CommanderError } from "commander";
import { addAuditCommand } from "./commands/audit.ts";
import { addAnchorCommand } from "./commands/audit-anchor.ts";
import { addBenchCommand } from "./commands/bench.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDeviceCommand } from "./commands/device.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addEvidenceCommands } from "./commands/enclave.ts";
import { addAnnounceCommand } from "./commands/enclave-announce.ts";
import { addMeasureCommand } from "./commands/enclave-measure.ts";
import { addServeCommands } from "./commands/enclave-serve.ts";
import { addModelCommand } from "./commands/model.ts";
import { addQkdCommand } from "./commands/qkd.ts";
import { addServerCommand } from "./commands/server.ts";
import { addSimulateCommand } from "./commands/simulate.ts";
import { addTokenCommand } from "./commands/token.ts";
import { addWitnessCommand } from "./commands/witness.ts";
import { outliveReaders, report } from "./output.ts";
import { readVersion } from "./version.ts";

const EXIT_CODES = `
Exit code: 0 done, 1 failed, 2 used wrongly. Ctrl-C or SIGTERM ends a server or device with 0, since stopping is how
they are done; a demo that is stopped has not reached its end: 1.

Example:
  qflare demo --devices 10 --rounds 10`;

function createProgram(): Command {
  const program = new Command("qflare")
    .description("federated learning over mutually distrusting devices, post-quantum secured end to end")
    .version(readVersion())
    .addHelpText("after", EXIT_CODES)
    .showHelpAfterError("(add --help for what it takes)")
    .exitOverride();
  addDemoCommand(program);
  addServerCommand(program);
  addTokenCommand(program);
  addDeviceCommand(program);
  addModelCommand(program);
  addAnchorCommand(addAuditCommand(program));
  addWitnessCommand(program);
  const enclave = program.command("enclave").description("the enclave's program and evidence");
  addMeasureCommand(enclave);
  addAnnounceCommand(enclave);
  addEvidenceCommands(enclave);
  addServeCommands(enclave);
  addDoctorCommand(program);
  addBenchCommand(program);
  addSimulateCommand(program);
  addQkdCommand(program);
  for (const command of program.commands) {
    command.exitOverride();
    for (const inner of command.commands) inner.exitOverride();
  }
  return program;
}

/** Sets the exit code: 0 done, 1 failed, 2 used wrongly. */
export async function main(args: readonly string[]): Promise<void> {
  outliveReaders();
  try {
    await createProgram().parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else report(error);
  }
}
