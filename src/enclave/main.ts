// Entry of the enclave process. Speaks frames on its standard input and output; its log goes to standard error. Takes
// its sealing key from file 3, or from the platform's file where one is named, and gives up whatever it could reach
// before it hears the first message, but for the interface of the hardware that it is told to be on.
//
//   node [--permission ...] main.ts --tee <kind> <code digest, hexadecimal> [platform key file]    3<>sealing.key

import { once } from "node:events";
import { Socket } from "node:net";
import { argv, stderr, stdout } from "node:process";
import { parseArgs } from "node:util";
import { TEES, type Tee } from "../attestation/evidence.ts";
import { fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { systemRandom } from "../crypto/random.ts";
import { openAttester, requireWorking } from "./attesters/open-attester.ts";
import { SimulatedAttester } from "./attesters/simulated.ts";
import { Enclave, type Surroundings } from "./enclave.ts";
import { harden } from "./hardening.ts";
import { serve } from "./host.ts";
import { Vault } from "./keys.ts";
import { readPlatformKey, takeSealingKey } from "./sealing-key.ts";

const STDIN_FILE = 0;
const SEALING_KEY_FILE = 3;
const INPUT_BYTES = 2 ** 18;

async function main(): Promise<void> {
  const options = { tee: { type: "string" } } as const;
  const { values, positionals } = parseArgs({ args: argv.slice(2), options, allowPositionals: true });
  const [codeDigest, platformKey] = positionals;
  const digest = codeDigest === undefined ? undefined : fromHex(codeDigest);
  // Not chosen here: this process may not look for devices, and would find none.
  const tee = TEES.find((known) => known === values.tee);
  if (digest?.length !== 32 || tee === undefined) {
    throw new TypeError(`usage: main --tee <${TEES.join("|")}> <code digest> [platform key file]`);
  }
  const key = platformKey === undefined ? takeSealingKey(SEALING_KEY_FILE, systemRandom) : readPlatformKey(platformKey);
  const files = [argv[1]!, ...(platformKey === undefined ? [] : [platformKey])];
  const surroundings = await settle(tee, digest, files);
  const enclave = new Enclave(new Vault(key, systemRandom), surroundings);
  await serve(enclave, input(), async (bytes) => {
    if (!stdout.write(bytes)) await once(stdout, "drain");
  });
}

/** Always in the same place: a stream's new buffers for each update would lie about by the tens of megabytes. */
async function* input(): AsyncGenerator<Uint8Array> {
  const place = new Uint8Array(INPUT_BYTES);
  let arrived = Promise.withResolvers<number>();
  const callback = (length: number): boolean => {
    arrived.resolve(length);
    return false;
  };
  const socket = new Socket({ fd: STDIN_FILE, readable: true, writable: false, onread: { buffer: place, callback } });
  socket.once("end", () => arrived.resolve(0)).once("error", (error) => arrived.reject(error));
  for (let length = await arrived.promise; length > 0; length = await arrived.promise) {
    yield place.subarray(0, length);
    arrived = Promise.withResolvers();
    socket.resume();
  }
}

/** files: read until now, and no more. Hardware that cannot attest ends the process here. */
async function settle(tee: Tee, codeDigest: Uint8Array<ArrayBuffer>, files: readonly string[]): Promise<Surroundings> {
  if (tee === "simulated") {
    const isolation = await harden();
    return { attester: new SimulatedAttester(isolation), isolation, codeDigest };
  }
  const attester = await openAttester(tee);
  const reached = await harden(files);
  await requireWorking(attester);
  return { attester, isolation: reached === "none" ? "none" : "tee", codeDigest };
}

try {
  await main();
} catch (error) {
  const text = error instanceof QflareError ? `${error.code}: ${error.message}` : String(error);
  stderr.write(`enclave: ${text}\n`);
  process.exitCode = 1;
}
