// What security costs: the same training by the product, by the product without its cryptography (no TLS, no
// encryption, no KEM, no signatures: bench/support/no-crypto), and over plain HTTP with nothing else of the product
// either, no sessions, no ledger, no enclave process (bench/support/plain-*.ts).
//
//   node bench/security-cost.ts [rounds] [local passes,local passes,...]
//
// Ten devices of 600 images, rule mean. 2 passes are the demonstration; 50 passes (30,000 examples a round and device)
// are as much work as five passes over a tenth of Fashion-MNIST each, a usual size in the literature (McMahan et al.,
// 2017).

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "../src/cli/children.ts";
import { BenchServer, ended, ROOT } from "./support/bench-server.ts";
import { SIGN, treeWithoutCrypto } from "./support/no-crypto/tree.ts";
import { Program } from "./support/program.ts";

const DEVICES = 10;
const PAIRS = 3;
/** Programs that have just started are slow, whatever they do. */
const WARM_UP_ROUNDS = 3;

/** Milliseconds a round of the program whose sources lie below root. */
async function product(root: string, rounds: number, epochs: number): Promise<number> {
  const { Child: Device } = (await import(join(root, "src/cli/children.ts"))) as { Child: typeof Child };
  const total = WARM_UP_ROUNDS + rounds;
  const server = await BenchServer.start(
    [
      ...["--rule", "mean", "--rounds", String(total), "--epochs", String(epochs)],
      ...["--target", String(DEVICES), "--quorum", String(DEVICES)],
    ],
    root,
  );
  const devices: Child[] = [];
  try {
    const finished = server.rounds(total);
    finished.catch(() => undefined); // until it is awaited, below
    for (let i = 1; i <= DEVICES; i++) {
      const token = await server.token(`device-${i}`);
      const keys = join(server.folder, `device-${i}.key`);
      const args = ["device", "run", "--json", "--allow-simulated-enclave", "--token", token, "--keystore", keys];
      devices.push(new Device([...args, "--part", `${i}/${DEVICES}`], () => undefined));
    }
    const published = await Promise.race([finished, ...devices.map(ended)]);
    return (published.at(-1)! - published[WARM_UP_ROUNDS - 1]!) / rounds;
  } finally {
    await Promise.all(devices.map((device) => device.stop()));
    await server.close();
  }
}

async function plain(rounds: number, epochs: number): Promise<number> {
  const total = WARM_UP_ROUNDS + rounds;
  const server = new Program("support/plain-server.ts", [DEVICES, total, epochs, WARM_UP_ROUNDS].map(String));
  const port = Number((await server.line()).split(" ")[1]);
  const devices = Array.from(
    { length: DEVICES },
    (_, i) => new Program("support/plain-device.ts", [String(port), `${i + 1}/${DEVICES}`]),
  );
  try {
    return Number((await server.line()).split(" ")[1]) / rounds;
  } finally {
    for (const program of [...devices, server]) program.kill();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const rounds = Number(process.argv[2] ?? 10);
const tree = treeWithoutCrypto();
process.env[SIGN] = "1";
try {
  for (const epochs of (process.argv[3] ?? "2,50").split(",").map(Number)) {
    const ratios: { crypto: number; all: number }[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      const none = await plain(rounds, epochs);
      const without = await product(tree, rounds, epochs);
      const secured = await product(ROOT, rounds, epochs);
      ratios.push({ crypto: secured / without, all: secured / none });
      const [a, b, c] = [secured, without, none].map((ms) => ms.toFixed(0));
      console.log(`${epochs} passes, ms a round: ${a}, without cryptography ${b}, plain HTTP ${c}`);
    }
    const [crypto, all] = [median(ratios.map((r) => r.crypto)), median(ratios.map((r) => r.all))];
    console.log(
      `${epochs} passes: ${crypto.toFixed(3)} times without cryptography, ${all.toFixed(3)} times plain HTTP`,
    );
  }
} finally {
  rmSync(tree, { recursive: true, force: true });
}
