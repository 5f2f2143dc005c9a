// Peak memory of the enclave's process over rounds, in models of float32, above what it takes before the first.
//
//   node bench/enclave-memory.ts [rule ...]
//
// A model of 2,000,000 parameters (8 MB); for each rule a server with its enclave, and 4, then 12 devices that train
// nothing, over four rounds. Rules that stream should not grow with the devices, the others by a model a device.

import { join } from "node:path";
import { BenchServer } from "./support/bench-server.ts";
import { peakBytes } from "./support/process-figures.ts";
import { Program } from "./support/program.ts";

const [INPUTS, CLASSES] = [199_999, 10];
const MODEL_BYTES = 4 * (INPUTS + 1) * CLASSES;
const ROUNDS = 4;

async function measure(rule: string, devices: number): Promise<{ before: number; peak: number }> {
  const server = await BenchServer.start([
    ...["--rule", rule, "--model", "softmax", "--inputs", String(INPUTS), "--classes", String(CLASSES)],
    ...["--rounds", String(ROUNDS), "--target", String(devices), "--quorum", String(devices)],
  ]);
  const programs: Program[] = [];
  try {
    const before = peakBytes(server.enclavePid);
    let peak = before;
    const published = server.rounds(ROUNDS, () => {
      peak = peakBytes(server.enclavePid);
    });
    for (let i = 0; i < devices; i++) {
      const keystore = join(server.folder, `device-${i}.key`);
      programs.push(new Program("overhead-device.ts", [await server.token(`device-${i}`), keystore]));
    }
    await published;
    return { before, peak };
  } finally {
    for (const program of programs) program.kill();
    await server.close();
  }
}

const rules = process.argv.length > 2 ? process.argv.slice(2) : ["streaming-mean", "mean", "default"];
for (const rule of rules) {
  for (const devices of [4, 12]) {
    const { before, peak } = await measure(rule, devices);
    const [start, above] = [before, peak - before].map((bytes) => (bytes / 1e6).toFixed(0));
    const models = ((peak - before) / MODEL_BYTES).toFixed(1);
    console.log(`${rule}, ${devices} devices: ${start} MB before, ${above} MB above that: ${models} models`);
  }
}
