// Entry of the enclave process. Speaks frames on its standard input and output; its log goes to standard error. Starts
// with the permissions that its parent gave it, reads its sealing key, then gives up the file system.
//
//   node [--permission ...] main.ts <sealing key file> <code digest, hexadecimal>

import { once } from "node:events";
import { allowedNodeEnvironmentFlags, argv, permission, stderr, stdin, stdout } from "node:process";
import type { IsolationLevel } from "../attestation/simulated.ts";
import { fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { systemRandom } from "../crypto/random.ts";
import { Enclave } from "./enclave.ts";
import { serve } from "./host.ts";
import { Vault } from "./keys.ts";
import { loadSealingKey } from "./sealing-key.ts";

type Permission = { has(scope: string): boolean; drop?(scope: string): void };

/**
 * Gives up the file system and says what the process cannot reach any more. "none" before Node 26, whose permission
 * model knows nothing of the network: it answers false for a scope that it does not govern.
 */
function dropFileSystem(): IsolationLevel {
  const model = permission as Permission | undefined;
  const governsNetwork = allowedNodeEnvironmentFlags.has("--allow-net");
  if (model?.drop === undefined || !governsNetwork) return "none";
  model.drop("fs.read");
  model.drop("fs.write");
  const isClosed = ["fs.read", "fs.write", "child", "worker", "net"].every((scope) => !model.has(scope));
  return isClosed ? "permission" : "none";
}

async function main(): Promise<void> {
  const [keyFile, codeDigest] = argv.slice(2);
  const digest = codeDigest === undefined ? undefined : fromHex(codeDigest);
  if (keyFile === undefined || digest?.length !== 32) throw new TypeError("usage: main <key file> <code digest>");
  const vault = new Vault(loadSealingKey(keyFile, systemRandom), systemRandom);
  const enclave = new Enclave(vault, dropFileSystem(), digest);
  await serve(enclave, stdin, async (bytes) => {
    if (!stdout.write(bytes)) await once(stdout, "drain");
  });
}

try {
  await main();
} catch (error) {
  const text = error instanceof QflareError ? `${error.code}: ${error.message}` : String(error);
  stderr.write(`enclave: ${text}\n`);
  process.exitCode = 1;
  stdin.destroy();
}
