// Starts an enclave and a process that did not shut itself in, and says whether the memory of each can be opened by
// their parent, a process of the same user.
//
//   node peek.ts <folder>

import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { launchEnclave } from "../../../src/server/enclave-launch.ts";
import { EnclaveProcess } from "../../../src/server/enclave-process.ts";
import { examineHost } from "../../../src/server/isolation.ts";
import { policyMessage } from "../../../src/wire/policy.ts";
import { silentLog } from "../clock.ts";
import { openingOf, policyOf } from "../enclave.ts";

const host = await examineHost();
const outcomes: Record<string, boolean> = { plain: opens(plainProcess()) };
for (const sandbox of [undefined, host.sandbox]) {
  const { child, pid } = launchEnclave(process.argv[2]!, { ...host, sandbox });
  const enclave = new EnclaveProcess(child, silentLog);
  const { answer } = await enclave.call("open", openingOf(policyMessage.encode(policyOf())));
  outcomes[answer.isolation] = opens((await pid)!);
  await enclave.close();
}
process.stdout.write(JSON.stringify(outcomes));
process.exit(0);

function plainProcess(): number {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
  process.once("exit", () => child.kill("SIGKILL"));
  return child.pid!;
}

function opens(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) throw new Error(`no process ${pid}`);
  try {
    readFileSync(`/proc/${pid}/environ`);
    closeSync(openSync(`/proc/${pid}/mem`, "r"));
    return true;
  } catch {
    return false;
  }
}
