// qflare enclave measure: the digest of the enclave's program, and the signed file that says what a release is.

import type { Command } from "commander";
import {
  isHardware,
  type ReferenceValues,
  readReferenceValues,
  releaseKeyHash,
  signReferenceValues,
} from "../../attestation/reference-values.ts";
import { fromHex, toHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { sha256 } from "../../crypto/hash.ts";
import { readSecretFile, writeSecretFile } from "../../crypto/secret-file.ts";
import { signature } from "../../crypto/signature.ts";
import { enclaveProgram } from "../../server/enclave-program.ts";
import { readReference, readReleaseKey } from "../evidence.ts";
import { readBytes, writeNamed } from "../files.ts";
import { createOutput, type Output, UsageError } from "../output.ts";
import { collect, parseDuration } from "../parse.ts";
import { systemClock } from "../system.ts";
import { readVersion } from "../version.ts";

interface Flags {
  readonly program?: string;
  readonly sign?: string;
  readonly measurement: readonly string[];
  readonly valid: string;
  readonly out: string;
  readonly check?: string;
  readonly releaseKey?: string;
  readonly json?: boolean;
}

const PROGRAM_BYTES_MAX = 2 ** 26;
const VALID_MS_MAX = 36_500 * 24 * 60 * 60 * 1000;

const EXAMPLES = `
Example:
  qflare enclave measure
  qflare enclave measure --program enclave.mjs
  qflare enclave measure --sign release.key --measurement sev-snp=HEX --out reference-values.json
  qflare enclave measure --check reference-values.json --release-key HEX`;

export function addMeasureCommand(enclave: Command): void {
  enclave
    .command("measure")
    .description("digest of the enclave's program; sign or check a release's reference values")
    .option("--program <file>", "another copy of the program instead of this package's own")
    .option("--out <file>", "write the signed values here", "reference-values.json")
    .option("--sign <file>", "sign with this release key; made if it is not there")
    .option("--measurement <tee=hex>", "of a launched image: sev-snp, tdx, sgx or nitro; again for more", collect, [])
    .option("--valid <time>", "how long the values hold", "90d")
    .option("--check <file>", "check a signed file, and that it is about this program")
    .option("--release-key <hex>", "whose signature --check wants")
    .option("--json", "one JSON object a line")
    .addHelpText("after", EXAMPLES)
    .action((flags: Flags) => run(flags));
}

function run(flags: Flags): void {
  const output = createOutput(flags);
  const program =
    flags.program === undefined
      ? enclaveProgram()
      : new Uint8Array(readBytes(flags.program, "--program", PROGRAM_BYTES_MAX));
  const digest = sha256(program);
  const event = { event: "measured", program: toHex(digest), length: program.length, node: process.version };
  output.emit(event, `SHA-256 ${toHex(digest)}, ${program.length} bytes, for Node ${process.version}`);
  if (flags.check !== undefined) check(flags, digest, output);
  if (flags.sign !== undefined) sign(flags, digest, output);
}

function sign(flags: Flags, program: Uint8Array<ArrayBuffer>, output: Output): void {
  const validMs = Math.floor(parseDuration(flags.valid) ?? 0);
  if (validMs < 1 || validMs > VALID_MS_MAX) {
    throw new UsageError(`--valid: expected such as 90d, at most 36500d, got ${JSON.stringify(flags.valid)}`);
  }
  const values: ReferenceValues = {
    v: 1,
    release: readVersion(),
    program,
    node: process.version,
    measurements: flags.measurement.map(readMeasurement),
    not_after: systemClock.nowMs() + validMs,
  };
  const keys = releaseKey(flags.sign!);
  writeNamed(flags.out, "--out", signReferenceValues(values, keys));
  const name = toHex(releaseKeyHash(keys.publicKey));
  output.emit({ event: "signed", file: flags.out, release_key: name }, `signed ${flags.out}, release key ${name}`);
}

/** Made at the first use. */
function releaseKey(path: string): ReturnType<ReturnType<typeof signature>["generateKeyPair"]> {
  const seed = readSecretFile(path);
  const scheme = signature("ML-DSA-44");
  if (seed !== undefined && seed.length !== scheme.sizes.secretKey) {
    throw new QflareError("keystore.malformed", `expected ${scheme.sizes.secretKey} bytes in ${path}`);
  }
  const pair = scheme.generateKeyPair(seed);
  if (seed === undefined) writeNamed(path, "--sign", pair.secretKey, writeSecretFile);
  return pair;
}

function readMeasurement(text: string): ReferenceValues["measurements"][number] {
  const [tee, hex] = text.split("=");
  const measurement = fromHex(hex ?? "");
  if (tee === undefined || !isHardware(tee) || (measurement?.length !== 32 && measurement?.length !== 48)) {
    throw new UsageError(`--measurement: expected such as sev-snp=HEX of 32 or 48 bytes, got ${JSON.stringify(text)}`);
  }
  return { tee, measurement };
}

function check(flags: Flags, digest: Uint8Array, output: Output): void {
  const key = readReleaseKey(flags.releaseKey ?? "");
  const values = readReferenceValues(readReference(flags.check!, "--check"), key, systemClock.nowMs());
  if (toHex(values.program) !== toHex(digest)) {
    throw new QflareError("evidence.refused", `expected program ${toHex(values.program)}, got ${toHex(digest)}`);
  }
  const { release, node } = values;
  output.emit({ event: "checked", release, node }, `it is the program of release ${release}, for Node ${node}`);
}
