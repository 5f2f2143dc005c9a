// Which isolation this host can give an enclave process, and what would raise it.

import { QflareError } from "../core/error.ts";
import { type IsolationLevel, isAtLeast } from "../isolation/level.ts";
import { MACHINES } from "../isolation/syscalls.ts";
import { findSandbox, type Sandbox } from "./sandbox.ts";

export interface HostIsolation {
  readonly level: IsolationLevel;
  /** Where the level is sandbox. */
  readonly sandbox: Sandbox | undefined;
  /** What would raise the level. */
  readonly raise: string;
}

const TEE = "evidence from hardware: SEV-SNP, TDX, SGX or Nitro";

/** Starts Node once in a sandbox to see that it works. */
export async function examineHost(): Promise<HostIsolation> {
  const lacking = whatNodeLacks();
  if (lacking !== undefined) return { level: "none", sandbox: undefined, raise: lacking };
  const found = await findSandbox();
  if (typeof found === "string") return { level: "permission", sandbox: undefined, raise: found };
  return { level: "sandbox", sandbox: found, raise: TEE };
}

function whatNodeLacks(): string | undefined {
  const flags = process.allowedNodeEnvironmentFlags;
  if (!flags.has("--allow-net") || !flags.has("--allow-ffi")) {
    return `Node 26, whose permission model governs the network; this is ${process.version}`;
  }
  if (process.platform === "linux" && (MACHINES as readonly string[]).includes(process.arch)) return undefined;
  return `Linux on ${MACHINES.join(" or ")}; this is ${process.platform} ${process.arch}`;
}

/** Throws isolation.insufficient where the level is below the required one. */
export function requireIsolation(level: IsolationLevel, required: IsolationLevel, raise: string): void {
  if (isAtLeast(level, required)) return;
  throw new QflareError("isolation.insufficient", `expected ${required}, this host gives ${level} (${raise})`);
}
