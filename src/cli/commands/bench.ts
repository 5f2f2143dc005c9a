// qflare bench crypto: how fast the cryptography is on this machine.

import type { Command } from "commander";
import { blobOperations, frodoOperations, mlKemOperations, signatureOperations } from "../crypto-operations.ts";
import { type Figures, measure, type Operation } from "../measure.ts";
import { createOutput, type Output } from "../output.ts";
import { whole } from "../parse.ts";

interface Flags {
  readonly rounds: string;
  readonly json?: boolean;
}

const BLOB_BYTES = 4 * 2 ** 20;
const BLOB_ROUNDS_MAX = 20;

export function addBenchCommand(program: Command): void {
  program
    .command("bench")
    .description("how fast this machine is")
    .command("crypto")
    .description("key exchange, signatures, sealing, hash tree")
    .option("--rounds <count>", "times that each operation is timed", "200")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare bench crypto --rounds 50")
    .action(benchCrypto);
}

function benchCrypto(flags: Flags): void {
  const output = createOutput(flags);
  const rounds = whole(flags.rounds, "--rounds", 1, 100_000);
  output.emit(
    { event: "bench", rounds, unit: "us" },
    `${"microseconds".padEnd(40)}      min      p50      p95  p95/p50`,
  );
  const groups: { operations: Operation[]; rounds: number }[] = [
    { operations: frodoOperations("FrodoKEM-640-AES"), rounds },
    { operations: mlKemOperations("ML-KEM-768"), rounds },
    { operations: mlKemOperations("ML-KEM-1024"), rounds },
    { operations: signatureOperations("ML-DSA-44"), rounds },
    { operations: signatureOperations("ML-DSA-65"), rounds },
    { operations: blobOperations(BLOB_BYTES), rounds: Math.min(rounds, BLOB_ROUNDS_MAX) },
  ];
  for (const group of groups) {
    for (const figures of measure(group.operations, group.rounds)) print(output, figures);
  }
}

function print(output: Output, { name, min, p50, p95, spread, rate }: Figures): void {
  const times = [min, p50, p95].map((us) => us.toFixed(1).padStart(9)).join("");
  const behind = rate === undefined ? "" : `  ${rate.toFixed(2)} GB/s`;
  output.emit(
    { event: "figure", name, min, p50, p95, spread, ...(rate === undefined ? {} : { gb_per_s: rate }) },
    `${name.padEnd(40)}${times}${spread.toFixed(2).padStart(9)}${behind}`,
  );
}
