// A gateway that lies: the product's own routes and sessions, the run's true keys, and a true enclave inside this
// process, but what a device is told about its work passes through an alteration first.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { equal, toHex } from "../../src/core/bytes.ts";
import type { Clock } from "../../src/core/ports.ts";
import { sha256 } from "../../src/crypto/hash.ts";
import { blobDigest, inclusionPath, leafHash } from "../../src/crypto/merkle.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import type { DeviceOptions } from "../../src/device/device.ts";
import { Device } from "../../src/device/device.ts";
import type { Attester } from "../../src/enclave/attesters/attester.ts";
import { SimulatedAttester } from "../../src/enclave/attesters/simulated.ts";
import { Enclave } from "../../src/enclave/enclave.ts";
import { Vault } from "../../src/enclave/keys.ts";
import { initialParameters } from "../../src/learning/model.ts";
import { encodeModel } from "../../src/learning/model-file.ts";
import { createGateway } from "../../src/server/gateway.ts";
import type { GatewayPorts } from "../../src/server/gateway-ports.ts";
import { loadServerKeys, logSignerOf, type ServerKeys } from "../../src/server/keys.ts";
import { Limiter } from "../../src/server/limiter.ts";
import { Sessions } from "../../src/server/sessions.ts";
import { logOrigin } from "../../src/wire/checkpoint.ts";
import { enclaveIdentity } from "../../src/wire/enclave-identity.ts";
import {
  deviceId,
  enrollAnswer,
  enrollDigest,
  enrolledMessage,
  enrollMessage,
  enrollRequest,
} from "../../src/wire/enroll.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { sealModel } from "../../src/wire/model.ts";
import { policyHash, policyMessage } from "../../src/wire/policy.ts";
import { formatToken } from "../../src/wire/token.ts";
import { epochKeyHash } from "../../src/wire/update.ts";
import type { WorkAnswer, WorkRequest } from "../../src/wire/work.ts";
import { EPOCH_MS, openingOf, surroundings } from "./enclave.ts";
import { type LoggedEntry, TestLog } from "./log.ts";
import { TINY_MODEL } from "./server.ts";
import { mldsa } from "./session.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type TrainAnswer = WorkAnswer & {
  task: NonNullable<WorkAnswer["task"]>;
  evidence: NonNullable<WorkAnswer["evidence"]>;
};

/** What the gateway makes of one true answer. */
export type Lie = (answer: TrainAnswer, request: WorkRequest) => WorkAnswer | Promise<WorkAnswer>;

/** The enclave of this gateway's run. */
export interface Run {
  readonly runId: Bytes;
  readonly policy: Bytes;
  readonly enclave: Enclave;
  readonly kemPublicKey: Bytes;
  /** What the audit log says of the enclave. */
  readonly identity: Bytes;
  readonly codeDigest: Bytes;
  /** JSON for the devices, where the enclave's hardware needs some. */
  collateral: Bytes | null;
  readonly statement: Bytes;
  readonly statementSignature: Bytes;
  readonly model: Bytes;
  /** Another process of this enclave, from its sealed state. */
  twin(): Promise<Enclave>;
}

/** What a gateway says when it is tired of lying. */
export const FINISHED: WorkAnswer = { state: "finished", task: null, evidence: null, outcome: null };

const RATE = { enroll: 1e6, challenge: 1e6, submit: 1e6, model: 1e6, log: 1e6 };
const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };

/** openedAtMs: from when on the enclave's evidence is valid. codeDigest: byte that its program's digest is made of. */
export async function openRun(
  openedAtMs: number,
  runId: Bytes = systemRandom.bytes(32),
  attester: Attester = new SimulatedAttester("none"),
  { codeDigest: program, epoch = 1 }: { readonly codeDigest?: number; readonly epoch?: number } = {},
): Promise<Run> {
  const model = encodeModel(TINY_MODEL, initialParameters(TINY_MODEL, 1));
  const policy = policyMessage.encode({
    v: 1,
    run_id: runId,
    suite: "QF2-HYBRID",
    aggregation: JSON.stringify({ rule: "mean" }),
    updates_min: 3,
    parameters: 6,
    encoding: "f32",
    norm_max: 1e6,
    weight_cap: 2,
  });
  const around = surroundings(attester, program);
  const vault = new Vault(systemRandom.bytes(32), systemRandom);
  const enclave = new Enclave(vault, around);
  const start = { epoch, first_round: 1, valid_ms: EPOCH_MS };
  const opened = await enclave.open(openingOf(policy, { at: openedAtMs, start }));
  const { statement, signature, progress, record } = enclave.genesis({ at: openedAtMs }, model);
  const kemPublicKey = opened.kem_public_key;
  const { codeDigest } = around;
  const identity = enclaveIdentity({ ...opened, policy_hash: policyHash(policy) });
  const signed = { statement, statementSignature: signature, model };
  const twin = async (): Promise<Enclave> => {
    const other = new Enclave(vault, around);
    await other.open(openingOf(policy, { resume: { keys: opened.keys, progress }, newest: record, at: openedAtMs }));
    return other;
  };
  return { runId, policy, enclave, kemPublicKey, identity, codeDigest, collateral: null, ...signed, twin };
}

export class LyingGateway {
  readonly run: Run;
  readonly contentKey: Bytes = systemRandom.bytes(32);
  /** Requests that reached it, as "METHOD path". */
  readonly heard: string[] = [];
  /** Blobs that it would serve, by digest in hexadecimal. */
  readonly blobs = new Map<string, Bytes>();
  lie: Lie = (answer) => answer;
  readonly #folder: string;
  readonly #keys: ServerKeys;
  readonly #clock: Clock;
  /** The log that is shown; another one is another history. */
  log: TestLog;
  readonly #logged = new Map<Run, number>();
  #app: ReturnType<typeof createGateway> | undefined;
  #url = "";
  #device: Awaited<ReturnType<GatewayPorts["registry"]["findDevice"]>>;

  private constructor(run: Run, folder: string, keys: ServerKeys, clock: Clock) {
    this.run = run;
    this.#folder = folder;
    this.#keys = keys;
    this.#clock = clock;
    this.log = new TestLog(logOrigin(run.runId), logSignerOf(keys.pairOf("ML-DSA-44"), run.runId));
  }

  static async start(run: Run, clock: Clock): Promise<LyingGateway> {
    const folder = mkdtempSync(join(tmpdir(), "qflare-lies-"));
    const keys = await loadServerKeys(folder, ["127.0.0.1"], systemRandom);
    const gateway = new LyingGateway(run, folder, keys, clock);
    await gateway.#listen();
    return gateway;
  }

  async #listen(): Promise<void> {
    const hash = policyHash(this.run.policy);
    const registry = {
      findDevice: async (id: Uint8Array) => (this.#device && equal(id, this.#device.id) ? this.#device : undefined),
      activate: async () => undefined,
      isGone: () => false,
      enroll: async (encoded: Uint8Array) => this.#enroll(encoded),
    };
    const stream = async (digest: Uint8Array) => {
      const blob = this.blobs.get(toHex(digest));
      return blob && { length: blob.length, body: Readable.from([Buffer.from(blob)]) };
    };
    const ports = {
      registry,
      sessions: new Sessions({
        registry: registry as unknown as GatewayPorts["registry"],
        keys: this.#keys,
        clock: this.#clock,
        random: systemRandom,
        suites: ["QF2-HYBRID"],
        enclaveKeyHash: () => epochKeyHash(this.run.kemPublicKey),
      }),
      state: { isFinished: false },
      desk: { ask: async (_device: unknown, request: WorkRequest) => this.#answer(request, hash) },
      ledger: { hasModelBlob: async () => true },
      models: { held: () => undefined },
      blobs: { stream },
      limiter: new Limiter(RATE),
      keys: this.#keys,
      policy: policyMessage.decode(this.run.policy),
      policyHash: hash,
      clock: this.#clock,
      log: LOG,
    };
    this.#app = createGateway(ports as unknown as GatewayPorts, this.#keys.tls);
    this.#app.addHook("onRequest", async (request) => void this.heard.push(`${request.method} ${request.url}`));
    await this.#app.listen({ host: "127.0.0.1", port: 0 });
    const address = this.#app.server.address() as { port: number };
    this.#url = `https://127.0.0.1:${address.port}`;
  }

  /** Its entry in the log, made where there is none. */
  logged(run: Run = this.run): LoggedEntry {
    const known = this.#logged.get(run);
    const fact = { type: "enclave.started", digest: run.codeDigest, data: run.identity } as const;
    const index = known ?? this.log.append(fact);
    this.#logged.set(run, index);
    return this.log.prove(index);
  }

  /** Takes every token: what is attacked here comes after enrolment. */
  #enroll(encoded: Uint8Array): Bytes {
    const enroll = enrollMessage.decode(enrollRequest.decode(encoded).message);
    const id = deviceId(sha256(enroll.kem_public_key), enroll.signature_public_key);
    const { name, kem_public_key, signature_public_key } = enroll;
    this.#device = { id, name, kem_public_key, signature_public_key, state: "pending", enrolled_at: 0, sequence: 0 };
    const message = enrolledMessage.encode({
      v: 1,
      request_digest: enrollDigest(encoded),
      device_id: id,
      name,
      run_id: this.run.runId,
      enrolled_at: 0,
    });
    const signature = mldsa.sign(this.#keys.signatureSecretKey, message, CONTEXTS.enrolled);
    return enrollAnswer.encode({ message, signature });
  }

  async #answer(request: WorkRequest, hash: Bytes): Promise<WorkAnswer> {
    const task = {
      round: request.after_round + 1,
      remaining_ms: 60_000,
      ...this.blobOf(this.run.model),
      content_key: this.contentKey,
      statement: this.run.statement,
      statement_signature: this.run.statementSignature,
      policy_hash: hash,
      enclave_key_hash: epochKeyHash(this.run.kemPublicKey),
      plan: "{}",
    };
    const nonce = request.nonce ?? systemRandom.bytes(32);
    const evidence = await this.evidenceFor([nonce]);
    const log = await this.log.view(request.log_size);
    const told = await this.lie({ state: "train", task: { ...task, log }, evidence, outcome: null }, request);
    // The lie may have grown the log or put another in its place.
    if (told.task?.log !== log) return told;
    return { ...told, task: { ...told.task, log: await this.log.view(request.log_size) } };
  }

  /** Seals a model as if it were the run's, and serves it. */
  blobOf(model: Bytes, of: Bytes = this.run.model): { model_blob: Bytes; model_blob_length: number } {
    const blob = sealModel(this.contentKey, blobDigest(of), model, systemRandom);
    return this.serve(blob);
  }

  serve(blob: Bytes, digest: Bytes = blobDigest(blob)): { model_blob: Bytes; model_blob_length: number } {
    this.blobs.set(toHex(digest), blob);
    return { model_blob: digest, model_blob_length: blob.length };
  }

  /** True evidence over these nonces, with the path of the first. */
  async evidenceFor(nonces: readonly Bytes[], run: Run = this.run): Promise<TrainAnswer["evidence"]> {
    const { evidence, binding } = await run.enclave.attest({ nonces: [...nonces], at: this.#clock.nowMs() });
    const leaves = nonces.map((nonce) => leafHash(nonce));
    const named = this.logged(run);
    return {
      evidence,
      binding,
      collateral: run.collateral,
      policy: run.policy,
      nonce_index: 0,
      nonce_count: nonces.length,
      nonce_path: inclusionPath(leaves, 0),
      ...named,
      announcement: null,
      first: this.first(),
    };
  }

  /** How the log begins. */
  first(): NonNullable<TrainAnswer["evidence"]["first"]> {
    const { log_entry, log_path } = this.log.prove(0);
    return { log_entry, log_path };
  }

  /** A new device of the product, enrolled here. */
  async enroll(options: Partial<DeviceOptions> = {}): Promise<Device> {
    const link = formatToken({
      id: systemRandom.bytes(8),
      secret: systemRandom.bytes(24),
      fingerprint: this.#keys.fingerprint,
      name: "believer",
      url: this.#url,
    });
    const keystore = join(this.#folder, `${toHex(systemRandom.bytes(8))}.key`);
    return await Device.enroll({ link, keystore, allowSimulatedEnclave: true, ...options });
  }

  /** Closes the device. How many rounds it offered to train of one that there is, under this lie. */
  async takePart(device: Device, lie: Lie): Promise<number> {
    this.lie = (answer, request) => (request.after_round > 0 ? FINISHED : lie(answer, request));
    let rounds = 0;
    try {
      for await (const _ of device.rounds()) rounds += 1;
      return rounds;
    } finally {
      await device.close();
    }
  }

  async close(): Promise<void> {
    await this.#app?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
