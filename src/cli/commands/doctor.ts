// qflare doctor: what this machine offers and what it lacks.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Command } from "commander";
import { kem } from "../../crypto/kem-table.ts";
import { systemRandom } from "../../crypto/random.ts";
import { signature } from "../../crypto/signature.ts";
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

const NODE_WITH_NETWORK_PERMISSION = 26;

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
  const output = createOutput(json ?? false);
  const findings = [
    nodeVersion(),
    await frodo(),
    mlDsa(),
    tlsGroup(),
    permissionModel(),
    bubblewrap(),
    await runningServer(dataDir),
  ];
  for (const { name, level, found } of findings) {
    const mark =
      level === "ok" ? paint("green", "ok     ") : paint(level === "needed" ? "red" : "yellow", level.padEnd(7));
    output.emit({ event: "finding", name, level, found }, `${mark} ${name}: ${found}`);
  }
  const isolation = permissionModel().level === "ok" ? "permission" : "none";
  const ok = findings.every((finding) => finding.level !== "needed");
  output.emit({ event: "doctor", ok, isolation }, `\nenclave isolation that the server will reach here: ${isolation}`);
  if (!ok) process.exitCode = 1;
}

function nodeVersion(): Finding {
  return {
    name: "Node",
    level: "ok",
    found: `${process.version}, OpenSSL ${process.versions.openssl}, ${process.platform} ${process.arch}`,
  };
}

async function frodo(): Promise<Finding> {
  const name = "FrodoKEM-640-AES";
  try {
    const mechanism = kem(name);
    const { publicKey, secretKey } = await mechanism.generateKeyPair();
    const { ciphertext, sharedSecret } = await mechanism.encapsulate(publicKey);
    const same = Buffer.compare(await mechanism.decapsulate(secretKey, ciphertext), sharedSecret) === 0;
    return { name, level: same ? "ok" : "needed", found: same ? "works" : "gives two secrets" };
  } catch (error) {
    return { name, level: "needed", found: String(error) };
  }
}

function mlDsa(): Finding {
  const name = "ML-DSA-44";
  try {
    const scheme = signature(name);
    const { publicKey, secretKey } = scheme.generateKeyPair();
    const message = systemRandom.bytes(32);
    const holds = scheme.verify(publicKey, message, scheme.sign(secretKey, message, "doctor"), "doctor");
    return { name, level: holds ? "ok" : "needed", found: holds ? "works" : "does not verify" };
  } catch (error) {
    return { name, level: "needed", found: String(error) };
  }
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

function permissionModel(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  const name = "Node permission model with network";
  return major >= NODE_WITH_NETWORK_PERMISSION
    ? { name, level: "ok", found: "files, network, processes, workers and add-ons are denied to the enclave" }
    : { name, level: "missing", found: `Node ${NODE_WITH_NETWORK_PERMISSION} would deny the enclave its network` };
}

function bubblewrap(): Finding {
  const run = spawnSync("bwrap", ["--version"], { encoding: "utf8" });
  const name = "bubblewrap";
  return run.status === 0
    ? { name, level: "ok", found: run.stdout.trim() }
    : { name, level: "missing", found: "not installed; it could give the enclave a root and network of its own" };
}

async function runningServer(dataDir: string): Promise<Finding> {
  const name = `server on ${dataDir}`;
  if (!existsSync(dataDir)) return { name, level: "ok", found: "none, no such folder" };
  try {
    const admin = await AdminClient.connect(dataDir);
    const { url, isolation } = await admin.call<{ url: string; isolation: string }>("status");
    admin.close();
    return { name, level: "ok", found: `${url}, isolation ${isolation}` };
  } catch {
    return { name, level: "ok", found: "not running" };
  }
}
