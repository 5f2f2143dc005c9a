// Starts the probe as the server starts its enclave, at one level, as whoever runs this, and passes on what it writes.
//
//   node drive.ts <level> <folder> <surroundings, JSON>

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../../../src/server/enclave-launch.ts";
import { buildProgram } from "../../../src/server/enclave-program.ts";
import { examineHost } from "../../../src/server/isolation.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PROBE = "test/support/escapes/probe.ts";
const [level, folder, surroundings] = process.argv.slice(2) as [string, string, string];
if (level === "none") spawn(process.execPath, ["--no-warnings", join(ROOT, PROBE), surroundings], { stdio: "inherit" });
else await shutIn();

async function shutIn(): Promise<void> {
  const host = await examineHost();
  const isolation = level === "sandbox" ? host : { ...host, sandbox: undefined };
  const keyFile = openSync(join(folder, `key-${process.pid}`), "w+", 0o600);
  const program = buildProgram(ROOT, PROBE);
  const { child, pid } = launch({ program, keyFile, args: [surroundings] }, folder, isolation);
  closeSync(keyFile);
  child.stdout.pipe(process.stdout);
  child.stderr.pipe(process.stderr);
  await pid;
}
