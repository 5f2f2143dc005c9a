// What is left in the enclave's memory when it is done with a secret: nothing. The test reads the whole process, as
// root does, and knows every secret of the round: it is the devices, and has the sealing key.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { lengthPrefixed, toHex, u32be, u64be, utf8 } from "../../src/core/bytes.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { sha256 } from "../../src/crypto/hash.ts";
import { expand, extract } from "../../src/crypto/hkdf.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { nativeX25519 } from "../../src/crypto/native-x25519.ts";
import { SEAL_LABEL } from "../../src/crypto/seal-format.ts";
import { exchangeKem } from "../../src/crypto/suite.ts";
import { type EnclaveKeys, Vault } from "../../src/enclave/keys.ts";
import { type EnclaveChild, launchEnclave } from "../../src/server/enclave-launch.ts";
import { EnclaveProcess } from "../../src/server/enclave-process.ts";
import { enclaveProgram } from "../../src/server/enclave-program.ts";
import { examineHost } from "../../src/server/isolation.ts";
import type { EnclaveRequest } from "../../src/wire/enclave.ts";
import { policyMessage } from "../../src/wire/policy.ts";
import { gather, UPDATE_CONTEXT } from "../../src/wire/transcript.ts";
import { seededRandom, silentLog } from "../support/clock.ts";
import { AT, modelOf, openingOf, policyOf, type TestDevice, TestRun } from "../support/enclave.ts";
import { folderOf } from "../support/folder.ts";
import { countInMemory } from "../support/memory.ts";

const PARAMETERS = 5000;
const X25519_BYTES = 32;
const COLLECTIONS_MAX = 10;
const FRODO = "FrodoKEM-640-AES";
const random = seededRandom("memory");
const isRoot = process.getuid!() === 0;

interface Started {
  readonly enclave: EnclaveProcess;
  readonly pid: number;
  readonly vault: Vault;
}

/** As root the true one; else one that did not shut itself in, since no other could be read. */
async function startEnclave(context: TestContext): Promise<Started> {
  const folder = folderOf(context);
  const keyPath = join(folder, "sealing.key");
  const launched = isRoot ? launchEnclave(folder, await examineHost()) : launchOpen(folder, keyPath);
  const enclave = new EnclaveProcess(launched.child, silentLog);
  context.after(() => enclave.kill());
  await enclave.call("open", openRequest(0));
  const vault = new Vault(new Uint8Array(readFileSync(keyPath)), random);
  return { enclave, pid: (await launched.pid)!, vault };
}

function launchOpen(folder: string, keyPath: string): { child: EnclaveChild; pid: Promise<number | undefined> } {
  const path = join(folder, "enclave.mjs");
  writeFileSync(path, enclaveProgram());
  const key = openSync(keyPath, "w+", 0o600);
  const stdio = ["pipe", "pipe", "pipe", key] as const;
  const child = spawn(process.execPath, [path, toHex(sha256(enclaveProgram()))], { env: {}, stdio: [...stdio] });
  closeSync(key);
  return { child: child as unknown as EnclaveChild, pid: Promise.resolve(child.pid) };
}

function policyOfRun(number: number): ReturnType<typeof policyOf> {
  const aggregation = JSON.stringify({ rule: "trimmed-mean", f: 1 });
  return policyOf({ run_id: new Uint8Array(32).fill(number), parameters: PARAMETERS, aggregation });
}

function openRequest(number: number): EnclaveRequest<"open"> {
  return openingOf(policyMessage.encode(policyOfRun(number)));
}

/** Every secret that a sealed update passes through on its way to the clear. */
async function secretsOf(keys: EnclaveKeys, place: Parameters<typeof contextOf>[0], blob: Uint8Array) {
  const { sizes, decapsulate } = exchangeKem("X25519+FrodoKEM-640-AES");
  const ciphertext = blob.subarray(0, sizes.ciphertext);
  const shared = await decapsulate(keys.kem_secret_key, ciphertext);
  const frodo = kem(FRODO);
  const frodoKey = keys.kem_secret_key.subarray(X25519_BYTES, X25519_BYTES + frodo.sizes.secretKey);
  const header = blob.subarray(sizes.ciphertext);
  const root = extract(header.subarray(8, 40), shared);
  const info = lengthPrefixed(utf8(SEAL_LABEL), u32be(LIMITS.chunkBytes), contextOf(place));
  return {
    "shared secret": shared,
    "X25519 secret": await classicalSecret(keys, blob),
    "FrodoKEM secret": await frodo.decapsulate(frodoKey, ciphertext.subarray(X25519_BYTES)),
    "root of the seal": root,
    "key of the seal": expand(root, info, 32),
  };
}

async function classicalSecret(keys: EnclaveKeys, blob: Uint8Array): Promise<Uint8Array> {
  const secretKey = keys.kem_secret_key.subarray(0, X25519_BYTES);
  return (await nativeX25519().shared(secretKey, blob.subarray(0, X25519_BYTES)))!;
}

function contextOf(place: { round: number } & Record<string, unknown>): Uint8Array {
  return gather(UPDATE_CONTEXT, { ...place, round: u64be(place.round) } as never);
}

/** Three devices send; what they sent and what it was sealed under, by names. */
async function playRound({ enclave, vault }: Started, number: number) {
  const opened = (await enclave.call("open", openRequest(number))).answer;
  const keys = vault.openKeys(opened.keys);
  const run = new TestRun(undefined as never, policyOfRun(number), random, opened);
  const file = modelOf(Array.from({ length: PARAMETERS }, () => 0));
  const { statement, signature } = (await enclave.call("genesis", { at: AT }, file)).answer;
  const devices = run.devices(3);
  const cohort = devices.map(({ member }) => member);
  await enclave.call("begin", { round: 1, statement, signature, report: null, cohort, at: AT }, file);
  const secrets: Record<string, Uint8Array> = {};
  for (const [i, device] of devices.entries()) {
    for (const [name, secret] of Object.entries(await send(enclave, run, keys, device, file))) {
      secrets[`${name} of update ${i}`] = secret;
    }
  }
  return { keys, secrets };
}

async function send(enclave: EnclaveProcess, run: TestRun, keys: EnclaveKeys, device: TestDevice, file: Uint8Array) {
  const delta = Float32Array.from(new Uint32Array(random.bytes(4 * PARAMETERS).buffer), (value) => value / 2 ** 39);
  const manifest = run.manifest(device, 1, file);
  const blob = await run.seal(manifest, [...delta]);
  const { answer } = await enclave.call("update", run.request(device, manifest, blob), blob);
  assert.equal(answer.verdict, "kept");
  const bytes = new Uint8Array(delta.buffer);
  const middle = bytes.length / 2;
  return {
    "start of the delta": bytes.subarray(0, 64),
    "middle of the delta": bytes.subarray(middle, middle + 64),
    ...(await secretsOf(keys, manifest, blob)),
  };
}

/** Windows into the long-lived keys; each lies once in the key's own array, and nowhere else. */
function epochSecrets({ kem_secret_key, signature_secret_key }: EnclaveKeys): Record<string, Uint8Array> {
  const { publicKey, secretKey } = kem(FRODO).sizes;
  const matrixS = X25519_BYTES + secretKey - 16 - 2 * 640 * 8;
  assert.equal(kem_secret_key.length, X25519_BYTES + secretKey + X25519_BYTES + publicKey);
  return {
    "X25519 key": kem_secret_key.subarray(0, X25519_BYTES),
    "S of the FrodoKEM key": kem_secret_key.subarray(matrixS + 640, matrixS + 704),
    "signature key": signature_secret_key,
  };
}

test("when a round is over, no update and no key of one is left in the enclave's memory", async (context) => {
  const started = await startEnclave(context);
  const { keys, secrets } = await playRound(started, 1);
  const deltas = Object.fromEntries(Object.entries(secrets).filter(([name]) => name.includes("delta")));
  const during = countInMemory(started.pid, deltas);
  for (const name of Object.keys(deltas)) assert.ok(during[name]! > 0, `the search finds what is there: ${name}`);
  const { answer } = await started.enclave.call("aggregate", { round: 1, at: AT });
  assert.notEqual(answer.result, null);
  const found = Object.entries(countInMemory(started.pid, secrets)).filter(([, count]) => count > 0);
  assert.deepEqual(found, []);
  const live = countInMemory(started.pid, epochSecrets(keys));
  assert.equal(live["S of the FrodoKEM key"], 1);
});

test("when an epoch's keys are replaced, none is left in the enclave's memory", async (context) => {
  const started = await startEnclave(context);
  const { keys } = await playRound(started, 1);
  await started.enclave.call("aggregate", { round: 1, at: AT });
  await playRound(started, 2);
  const found = (): string[] => {
    const counts = Object.entries(countInMemory(started.pid, epochSecrets(keys)));
    return counts.filter(([, count]) => count > 0).map(([name]) => name);
  };
  assert.ok(!found().includes("S of the FrodoKEM key"), "our own arrays are wiped at once");
  // OpenSSL wipes its copies of the others when the collector finds their handles: large messages make it look.
  for (let i = 0; i < COLLECTIONS_MAX && found().length > 0; i++) {
    await assert.rejects(started.enclave.call("genesis", { at: AT }, new Uint8Array(64 * 2 ** 20)));
  }
  assert.deepEqual(found(), []);
});
