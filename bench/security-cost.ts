// What security costs: the same training over the same processes, once as the product does it, once over plain HTTP
// with no TLS, no sessions, no sealing, no signatures, no ledger and no enclave process (bench/support/plain-*.ts, made
// for this comparison alone).
//
//   node bench/security-cost.ts [rounds] [local passes,local passes,...]
//
// Ten devices of 600 images. 2 passes are the demonstration; 50 passes (30,000 examples a round and device) are as much
// work as five passes over a tenth of Fashion-MNIST each, a usual size in the literature (McMahan et al., 2017).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdminClient } from "../src/cli/admin-client.ts";
import { Child } from "../src/cli/children.ts";
import { Program } from "./support/program.ts";

const DEVICES = 10;
const LIMIT = "1000000";

/** Milliseconds from the first published model to the last. */
async function secured(rounds: number, epochs: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "qflare-bench-"));
  const listening = Promise.withResolvers<void>();
  const limits = ["enroll", "challenge", "submit", "model", "log"].flatMap((name) => [`--${name}-per-minute`, LIMIT]);
  const children = [
    new Child(
      [
        ...["server", "--json", "--log-level", "warn", "--data-dir", folder, "--port", "0", "--rule", "mean"],
        ...["--rounds", String(rounds), "--epochs", String(epochs), "--target", String(DEVICES)],
        ...["--quorum", String(DEVICES), ...limits],
      ],
      (line) => line.event === "listening" && listening.resolve(),
    ),
  ];
  try {
    await Promise.race([listening.promise, children[0]!.exited]);
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
    await finished.promise;
    admin.close();
    return published.at(-1)! - published[0]!;
  } finally {
    await Promise.all(children.toReversed().map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function plain(rounds: number, epochs: number): Promise<number> {
  const server = new Program("support/plain-server.ts", [String(DEVICES), String(rounds), String(epochs)]);
  const port = Number((await server.line()).split(" ")[1]);
  const devices = Array.from(
    { length: DEVICES },
    (_, i) => new Program("support/plain-device.ts", [String(port), `${i + 1}/${DEVICES}`]),
  );
  try {
    return Number((await server.line()).split(" ")[1]);
  } finally {
    for (const program of [...devices, server]) program.kill();
  }
}

const rounds = Number(process.argv[2] ?? 11);
for (const epochs of (process.argv[3] ?? "2,50").split(",").map(Number)) {
  const ratios: number[] = [];
  for (let pair = 0; pair < 3; pair++) {
    const withoutMs = await plain(rounds, epochs);
    const withMs = await secured(rounds, epochs);
    ratios.push(withMs / withoutMs);
    const each = (ms: number): string => (ms / (rounds - 1)).toFixed(0);
    console.log(`${epochs} passes: secured ${each(withMs)} ms a round, plain ${each(withoutMs)} ms`);
  }
  const [least, middle, most] = ratios.toSorted((a, b) => a - b).map((ratio) => ratio.toFixed(3));
  console.log(`${epochs} passes: ratio ${middle} (${least} to ${most})`);
}
