// Time of a whole secured round, with training that costs nothing: server, enclave and each device are processes.
//
//   node bench/overhead.ts [rounds] [devices,devices,...]
//
// 1,000 parameters, 40 rounds after 5 that warm up. A round lasts from one published model to the next: selection,
// model, sealing, signing, submission, receipt, opening, aggregation, signing, commit. Then: where the time goes, as
// CPU time of server, enclave and devices for each round.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdminClient } from "../src/cli/admin-client.ts";
import { Child } from "../src/cli/children.ts";
import { Program } from "./support/program.ts";

const WARM_UP_ROUNDS = 5;
const TICKS_A_SECOND = 100;
const LIMIT = "1000000";

interface Result {
  readonly times: number[];
  readonly cpu: Readonly<Record<"server" | "enclave" | "devices", number>>;
}

/** User and system time so far, in milliseconds. */
function cpuTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_A_SECOND;
}

async function measure(devices: number, rounds: number): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "qflare-bench-"));
  const total = rounds + WARM_UP_ROUNDS;
  const listening = Promise.withResolvers<void>();
  const limits = ["enroll", "challenge", "submit", "model", "log"].flatMap((name) => [`--${name}-per-minute`, LIMIT]);
  const server = new Child(
    [
      ...["server", "--json", "--log-level", "warn", "--data-dir", folder, "--port", "0", "--rule", "mean"],
      ...["--model", "softmax", "--inputs", "99", "--classes", "10", "--rounds", String(total)],
      ...["--target", String(devices), "--quorum", String(devices), ...limits],
    ],
    (line) => line.event === "listening" && listening.resolve(),
  );
  const programs: Program[] = [];
  try {
    await Promise.race([listening.promise, server.exited]);
    const admin = await AdminClient.connect(folder);
    const { enclave_pid } = await admin.call<{ enclave_pid: number }>("status");
    const published: number[] = [];
    const finished = Promise.withResolvers<void>();
    let before = { server: 0, enclave: 0, devices: 0 };
    const cpuNow = (): typeof before => ({
      server: cpuTime(server.pid!),
      enclave: cpuTime(enclave_pid),
      devices: programs.reduce((sum, program) => sum + cpuTime(program.pid), 0),
    });
    await admin.watch((event) => {
      if (event.event === "round.published") published.push(performance.now());
      if (event.event === "round.failed") finished.reject(new Error(String(event.reason)));
      if (published.length === WARM_UP_ROUNDS) before = cpuNow();
      if (published.length === total) finished.resolve();
    });
    for (let i = 0; i < devices; i++) {
      const { token } = await admin.call<{ token: string }>("token.create", { name: `device-${i}`, age_ms: 60_000 });
      programs.push(new Program("overhead-device.ts", [token, join(folder, `device-${i}.key`)]));
    }
    await finished.promise;
    const after = cpuNow();
    admin.close();
    const times = published.slice(1).map((at, i) => at - published[i]!);
    const perRound = (name: keyof typeof before): number => (after[name] - before[name]) / rounds;
    return {
      times: times.slice(WARM_UP_ROUNDS - 1),
      cpu: { server: perRound("server"), enclave: perRound("enclave"), devices: perRound("devices") },
    };
  } finally {
    for (const program of programs) program.kill();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

const rounds = Number(process.argv[2] ?? 40);
const sizes = (process.argv[3] ?? "2,10").split(",").map(Number);
for (const devices of sizes) {
  const { times, cpu } = await measure(devices, rounds);
  const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)].map((ms) => ms.toFixed(1));
  const parts = Object.entries(cpu).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`);
  console.log(
    `${devices} devices, ${times.length} rounds: p50 ${p50} ms, p95 ${p95} ms; CPU a round: ${parts.join(", ")}`,
  );
}
