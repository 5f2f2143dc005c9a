// qflare doctor: what this machine offers and what it lacks.

import { existsSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Command } from "commander";
import { kem } from "../../crypto/kem-table.ts";
import { systemRandom } from "../../crypto/random.ts";
import { signature } from "../../crypto/signature.ts";
import { type IsolationLevel, isAtLeast } from "../../isolation/level.ts";
import { examineHost, type HostIsolation } from "../../server/isolation.ts";
import { AdminClient } from "../admin-client.ts";
import { createOutput, paint } from "../output.ts";

interface Flags {
  readonly dataDir: string;
  readonly json?: boolean;
}

interface Finding {
  readonly name: string;
  /** needed: nothing works without it. */
  readonly level: "ok" | "missing" | "needed";
  readonly found: string;
}

const FRODO = "FrodoKEM-640-AES";
const ML_DSA = "ML-DSA-44";

export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("what this machine offers: Node, cryptography, isolation of the enclave")
    .option("--data-dir <folder>", "data folder to look at", ".qflare")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare doctor --json")
    .action(async (flags: Flags) => await examine(flags));
}

async function examine({ dataDir, json }: Flags): Promise<void> {
  const output = createOutput({ json });
  const host = await examineHost();
  const findings = [
    nodeVersion(),
    await tried(FRODO, "gives two secrets", frodo),
    await tried(ML_DSA, "does not verify", mlDsa),
    tlsGroup(),
    enclaveIsolation(host),
    ...hardware(),
    await runningServer(dataDir),
  ];
  for (const { name, level, found } of findings) {
    const mark =
      level === "ok" ? paint("green", "ok     ") : paint(level === "needed" ? "red" : "yellow", level.padEnd(7));
    output.emit({ event: "finding", name, level, found }, `${mark} ${name}: ${found}`);
  }
  const { level: isolation, raise } = host;
  const ok = findings.every((finding) => finding.level !== "needed");
  const closing = `\nenclave isolation that the server will reach here: ${isolation}\nwhat would raise it: ${raise}`;
  output.emit({ event: "doctor", ok, isolation, raise }, closing);
  if (!ok) process.exitCode = 1;
}

function nodeVersion(): Finding {
  return {
    name: "Node",
    level: "ok",
    found: `${process.version}, OpenSSL ${process.versions.openssl}, ${process.platform} ${process.arch}`,
  };
}

/** failure: what is found where the trial answers no. */
async function tried(name: string, failure: string, trial: () => boolean | Promise<boolean>): Promise<Finding> {
  try {
    return (await trial()) ? { name, level: "ok", found: "works" } : { name, level: "needed", found: failure };
  } catch (error) {
    return { name, level: "needed", found: String(error) };
  }
}

async function frodo(): Promise<boolean> {
  const mechanism = kem(FRODO);
  const { publicKey, secretKey } = await mechanism.generateKeyPair();
  const { ciphertext, sharedSecret } = await mechanism.encapsulate(publicKey);
  return Buffer.compare(await mechanism.decapsulate(secretKey, ciphertext), sharedSecret) === 0;
}

function mlDsa(): boolean {
  const scheme = signature(ML_DSA);
  const { publicKey, secretKey } = scheme.generateKeyPair();
  const message = systemRandom.bytes(32);
  return scheme.verify(publicKey, message, scheme.sign(secretKey, message, "doctor"), "doctor");
}

function tlsGroup(): Finding {
  const name = "TLS 1.3 with X25519MLKEM768";
  try {
    createSecureContext({ minVersion: "TLSv1.3", ecdhCurve: "X25519MLKEM768" });
    return { name, level: "ok", found: "offered by this Node" };
  } catch {
    return { name, level: "needed", found: "not offered by this Node" };
  }
}

const WALLS: Readonly<Record<IsolationLevel, string>> = {
  none: "a process of its own, no more",
  permission: "no files, network, processes, workers or add-ons by Node's word; no core dumps",
  sandbox: "an empty root, no network and few system calls, kept by the kernel",
  tee: "as sandbox, in memory that the host cannot read",
};

function enclaveIsolation({ level, sandbox, raise }: HostIsolation): Finding {
  const user = sandbox === undefined || sandbox.owner === undefined ? "" : `, as user ${sandbox.owner}`;
  const isWalled = isAtLeast(level, "sandbox");
  const found = `${level}: ${WALLS[level]}${user}`;
  return {
    name: "enclave isolation",
    level: isWalled ? "ok" : "missing",
    found: isWalled ? found : `${found}; to raise it: ${raise}`,
  };
}

/** Where the producers of hardware evidence have their files. */
const HARDWARE: Readonly<Record<string, string>> = {
  "SEV-SNP or TDX": "/sys/kernel/config/tsm/report",
  SGX: "/dev/attestation",
  Nitro: "/dev/nsm",
};

function hardware(): Finding[] {
  return Object.entries(HARDWARE).map(([name, path]) => ({
    name: `hardware evidence of ${name}`,
    level: existsSync(path) ? "ok" : "missing",
    found: `${path} is ${existsSync(path) ? "" : "not "}there`,
  }));
}

async function runningServer(dataDir: string): Promise<Finding> {
  const name = `server on ${dataDir}`;
  if (!existsSync(dataDir)) return { name, level: "ok", found: "none, no such folder" };
  if (!statSync(dataDir).isDirectory()) return { name, level: "needed", found: "it is no folder" };
  try {
    const admin = await AdminClient.connect(dataDir);
    const { url, isolation } = await admin.call<{ url: string; isolation: string }>("status");
    admin.close();
    return { name, level: "ok", found: `${url}, isolation ${isolation}` };
  } catch {
    return { name, level: "ok", found: "not running" };
  }
}
