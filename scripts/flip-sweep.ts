// Flips every single bit of real evidence and its collateral and expects each to be refused. Tests take one bit of
// every so many bytes; this takes all, within minutes: signatures over what a flip left alone are checked once. Usage:
// node scripts/flip-sweep.ts [part of a sample's name]. Exit 1 where a flip was accepted.

import { type Collected, collect } from "../src/attestation/collect.ts";
import type { SignatureCheck } from "../src/attestation/findings.ts";
import { ROOTS } from "../src/attestation/roots.ts";
import { equal, toHex } from "../src/core/bytes.ts";
import { verifyClassical } from "../src/crypto/classical-signature.ts";
import { sha256 } from "../src/crypto/hash.ts";
import { flips } from "../test/support/tee/flips.ts";
import { expectedOf, nitroSample, quoteSample, type Sample, sevSnpSample } from "../test/support/tee/samples.ts";

const EVERY_BIT = 1 / 8;
const POLICY = { allowed_statuses: ["UpToDate", "ConfigurationAndSWHardeningNeeded"] };

function read({ evidence, collateral, now }: Sample): Collected {
  return collect(evidence, { now, policy: POLICY, collateral }, ROOTS, () => undefined);
}

const idOf = ({ publicKey, message, signature }: SignatureCheck): string =>
  toHex(sha256(publicKey, message, signature));

/** known: checks that have held before. */
function isAccepted({ findings }: Collected, known: ReadonlySet<string>): boolean {
  if (findings.reasons.length > 0) return false;
  if (!findings.digests.every(({ message, digest }) => equal(sha256(message), digest))) return false;
  return findings.signatures.every((check) => known.has(idOf(check)) || verifyClassical(check));
}

function sweep(sample: Sample): number {
  const whole = read(sample);
  if (!isAccepted(whole, new Set())) throw new Error(`${sample.name}: expected it to verify as it is`);
  const known = new Set(whole.findings.signatures.map(idOf));
  let [count, accepted] = [0, 0];
  for (const { where, altered } of flips(sample, EVERY_BIT)) {
    count += 1;
    if (!isAccepted(read(altered), known)) continue;
    accepted += 1;
    console.log(`${sample.name}: accepted with a bit flipped: ${where}`);
  }
  console.log(`${sample.name}: ${count} flips, ${count - accepted} refused`);
  return accepted;
}

const samples = [
  ...expectedOf("sevSnp")
    .filter(([, { debug }]) => debug === false)
    .map(([name]) => sevSnpSample(name)),
  ...[quoteSample("tdx/v4-with-collateral"), quoteSample("sgx/v3-with-collateral")],
  ...expectedOf("nitro").map(([name, { timestamp }]) => nitroSample(name, timestamp as string)),
];
const wanted = samples.filter(({ name }) => name.includes(process.argv[2] ?? ""));
if (wanted.length === 0) throw new RangeError(`expected part of a sample's name, got ${process.argv[2]}`);
if (wanted.reduce((sum, sample) => sum + sweep(sample), 0) > 0) process.exitCode = 1;
