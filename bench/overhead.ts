// Time of a whole secured round, with training that costs nothing: server, enclave and each device are processes.
//
//   node bench/overhead.ts [rounds] [devices,devices,...]
//
// 1,000 parameters, 40 rounds after 5 that warm up. A round lasts from one published model to the next: selection,
// model, sealing, signing, submission, receipt, opening, aggregation, signing, commit. Then: where the time goes, as
// CPU time of server, enclave and devices for each round.

import { join } from "node:path";
import { BenchServer } from "./support/bench-server.ts";
import { cpuTimeMs } from "./support/process-figures.ts";
import { Program } from "./support/program.ts";

const WARM_UP_ROUNDS = 5;

interface Result {
  readonly times: number[];
  readonly cpu: Readonly<Record<"server" | "enclave" | "devices", number>>;
}

async function measure(devices: number, rounds: number): Promise<Result> {
  const total = rounds + WARM_UP_ROUNDS;
  const server = await BenchServer.start([
    ...["--rule", "mean", "--model", "softmax", "--inputs", "99", "--classes", "10", "--rounds", String(total)],
    ...["--target", String(devices), "--quorum", String(devices)],
  ]);
  const programs: Program[] = [];
  try {
    let before = { server: 0, enclave: 0, devices: 0 };
    const cpuNow = (): typeof before => ({
      server: cpuTimeMs(server.pid),
      enclave: cpuTimeMs(server.enclavePid),
      devices: programs.reduce((sum, program) => sum + cpuTimeMs(program.pid), 0),
    });
    const finished = server.rounds(total, ({ length }) => {
      if (length === WARM_UP_ROUNDS) before = cpuNow();
    });
    for (let i = 0; i < devices; i++) {
      const keystore = join(server.folder, `device-${i}.key`);
      programs.push(new Program("overhead-device.ts", [await server.token(`device-${i}`), keystore]));
    }
    const published = await finished;
    const after = cpuNow();
    const times = published.slice(1).map((at, i) => at - published[i]!);
    const perRound = (name: keyof typeof before): number => (after[name] - before[name]) / rounds;
    return {
      times: times.slice(WARM_UP_ROUNDS - 1),
      cpu: { server: perRound("server"), enclave: perRound("enclave"), devices: perRound("devices") },
    };
  } finally {
    for (const program of programs) program.kill();
    await server.close();
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
