// What security costs: the same training by the product, by the product without its cryptography (no TLS, no
// encryption, no KEM, no signatures: bench/support/no-crypto), and over plain HTTP with nothing else of the product
// either, no sessions, no ledger, no enclave process (bench/support/plain-*.ts).
//
//   node bench/security-cost.ts [rounds] [local passes,local passes,...]
//
// Ten devices of 600 images, rule mean. 2 passes are the demonstration; 50 passes (30,000 examples a round and device)
// are as much work as five passes over a tenth of Fashion-MNIST each, a usual size in the literature (McMahan et al.,
// 2017).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { treeWithoutCrypto } from "./support/no-crypto/tree.ts";
import { Program } from "./support/program.ts";

const DEVICES = 10;
const PAIRS = 3;
const LIMIT = "1000000";
/** Programs that have just started are slow, whatever they do. */
const WARM_UP_ROUNDS = 3;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Milliseconds a round of the program whose sources lie in this folder. */
async function product(tree: string, rounds: number, epochs: number): Promise<number> {
  const { Child } = (await import(join(tree, "src/cli/children.ts"))) as typeof import("../src/cli/children.ts");
  const { AdminClient } = (await import(
    join(tree, "src/cli/admin-client.ts")
  )) as typeof import("../src/cli/admin-client.ts");
  const folder = mkdtempSync(join(tmpdir(), "qflare-bench-"));
  const listening = Promise.withResolvers<void>();
  const limits = ["enroll", "challenge", "submit", "model", "log"].flatMap((name) => [`--${name}-per-minute`, LIMIT]);
  const children = [
    new Child(
      [
        ...["server", "--json", "--log-level", "warn", "--data-dir", folder, "--port", "0", "--rule", "mean"],
        ...["--rounds", String(WARM_UP_ROUNDS + rounds), "--epochs", String(epochs), "--target", String(DEVICES)],
        ...["--quorum", String(DEVICES), ...limits],
      ],
      (line) => line.event === "listening" && listening.resolve(),
    ),
  ];
  try {
    await Promise.race([listening.promise, ended(children[0]!)]);
    const admin = await AdminClient.connect(folder);
    const finished = Promise.withResolvers<void>();
    const published: number[] = [];
    await admin.watch((event) => {
      if (event.event === "round.published") published.push(performance.now());
      if (event.event === "run.finished") finished.resolve();
    });
    for (let i = 1; i <= DEVICES; i++) {
      const { token } = await admin.call<{ token: string }>("token.create", { name: `device-${i}`, age_ms: 60_000 });
      const keys = join(folder, `device-${i}.key`);
      const args = ["device", "run", "--json", "--allow-simulated-enclave", "--token", token, "--keystore", keys];
      children.push(new Child([...args, "--part", `${i}/${DEVICES}`], () => undefined));
    }
    await Promise.race([finished.promise, ...children.map(ended)]);
    admin.close();
    return (published.at(-1)! - published[WARM_UP_ROUNDS - 1]!) / rounds;
  } finally {
    await Promise.all(children.toReversed().map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ended(child: { readonly exited: Promise<void>; readonly ending: string }): Promise<never> {
  await child.exited;
  throw new Error(`a program ended too early: ${child.ending}`);
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
try {
  for (const epochs of (process.argv[3] ?? "2,50").split(",").map(Number)) {
    const ratios: { crypto: number; all: number }[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      const none = await plain(rounds, epochs);
      const without = await product(tree, rounds, epochs);
      const secured = await product(root, rounds, epochs);
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
