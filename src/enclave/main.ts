// Entry of the enclave process. Speaks frames on its standard input and output; its log goes to standard error. Takes
// its sealing key from file 3, or from the platform's file where one is named, and gives up whatever it could reach
// before it hears the first message.
//
//   node [--permission ...] main.ts <code digest, hexadecimal> [platform key file]    3<>sealing.key

import { once } from "node:events";
import { argv, stderr, stdin, stdout } from "node:process";
import { fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { systemRandom } from "../crypto/random.ts";
import { Enclave } from "./enclave.ts";
import { harden } from "./hardening.ts";
import { serve } from "./host.ts";
import { Vault } from "./keys.ts";
import { readPlatformKey, takeSealingKey } from "./sealing-key.ts";

const SEALING_KEY_FILE = 3;

async function main(): Promise<void> {
  const [codeDigest, platformKey] = argv.slice(2);
  const digest = codeDigest === undefined ? undefined : fromHex(codeDigest);
  if (digest?.length !== 32) throw new TypeError("usage: main <code digest> [platform key file]");
  const key = platformKey === undefined ? takeSealingKey(SEALING_KEY_FILE, systemRandom) : readPlatformKey(platformKey);
  const isolation = await harden();
  const vault = new Vault(key, systemRandom);
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
