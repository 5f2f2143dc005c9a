// Entry of the enclave process. Speaks frames on its standard input and output; its log goes to standard error. Reads
// its sealing key from file 3, then gives up whatever it could reach before it hears the first message.
//
//   node [--permission ...] main.ts <code digest, hexadecimal>    3<>sealing.key

import { once } from "node:events";
import { argv, stderr, stdin, stdout } from "node:process";
import { fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { systemRandom } from "../crypto/random.ts";
import { Enclave } from "./enclave.ts";
import { harden } from "./hardening.ts";
import { serve } from "./host.ts";
import { Vault } from "./keys.ts";
import { takeSealingKey } from "./sealing-key.ts";

const SEALING_KEY_FILE = 3;

async function main(): Promise<void> {
  const [codeDigest] = argv.slice(2);
  const digest = codeDigest === undefined ? undefined : fromHex(codeDigest);
  if (digest?.length !== 32) throw new TypeError("usage: main <code digest>");
  const isolation = await harden();
  const vault = new Vault(takeSealingKey(SEALING_KEY_FILE, systemRandom), systemRandom);
  const enclave = new Enclave(vault, isolation, digest);
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
