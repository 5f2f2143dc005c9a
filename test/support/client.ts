// A device by hand: enrolled as the product enrols, then free to say anything in its session.

import assert from "node:assert/strict";
import { type Binding, bindingMessage } from "../../src/attestation/binding.ts";
import { encodeCbor } from "../../src/core/codec.ts";
import { bytesFromFloats } from "../../src/core/floats.ts";
import { blobDigest } from "../../src/crypto/merkle.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { enrollDevice } from "../../src/device/enroll.ts";
import type { Keystore } from "../../src/device/keystore.ts";
import type { HttpAnswer } from "../../src/device/transport.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { modelStatement } from "../../src/wire/model.ts";
import { type Receipt, receiptAnswer, receiptMessage } from "../../src/wire/receipt.ts";
import { epochKeyHash, type Manifest, sealUpdate, submitMessage, type UpdatePlace } from "../../src/wire/update.ts";
import { type Task, type WorkAnswer, workAnswer, workRequest } from "../../src/wire/work.ts";
import { assertClose } from "./rows.ts";
import { type TestServer, TINY_PARAMETERS } from "./server.ts";
import { HandSession, mldsa, type SealedRequest } from "./session.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const WAIT_MS = 20_000;

/** An update before it is sealed into a record. */
export interface UpdateDraft {
  readonly manifest: Bytes;
  readonly signature: Bytes;
  readonly blob: Bytes;
}

export interface UpdateChanges {
  /** What the manifest says, in place of the truth; also what no shape allows. */
  readonly manifest?: Partial<Record<keyof Manifest, unknown>>;
  /** What the blob is sealed for, in place of what the manifest says. */
  readonly sealedFor?: Partial<UpdatePlace>;
  /** The enclave key that the blob is sealed to. */
  readonly kemPublicKey?: Uint8Array;
  /** The blob itself, whatever it is. */
  readonly blob?: Bytes;
  readonly signatureSecretKey?: Uint8Array;
  readonly context?: string;
}

export class TestClient {
  readonly server: TestServer;
  readonly keystore: Keystore;
  session: HandSession;
  /** Of the open round; see joinRound. */
  task: Task | undefined;
  enclave: Binding | undefined;
  #sequence = 0;

  private constructor(server: TestServer, keystore: Keystore, session: HandSession) {
    this.server = server;
    this.keystore = keystore;
    this.session = session;
  }

  static async enroll(server: TestServer, name: string): Promise<TestClient> {
    const keystore = await enrollDevice(await server.token(name));
    return new TestClient(server, keystore, await HandSession.open(server, keystore));
  }

  askForWork(afterRound = 0, waitMs = 0, nonce: Bytes | null = null): SealedRequest {
    const wanted = workRequest.encode({ after_round: afterRound, wait_ms: waitMs, nonce, log_size: 0 });
    return this.session.seal("GET", "/api/global_model", wanted);
  }

  async work(afterRound = 0, waitMs = WAIT_MS, nonce: Bytes | null = null): Promise<WorkAnswer> {
    const request = this.askForWork(afterRound, waitMs, nonce);
    return workAnswer.decode(this.session.open(request, await this.session.send(request)));
  }

  /** Waits to be selected for a round after this one. */
  async join(afterRound = 0): Promise<void> {
    const { task, evidence } = await this.work(afterRound, WAIT_MS, systemRandom.bytes(32));
    assert.ok(task !== null && evidence !== null, "expected to be selected");
    this.task = task;
    this.enclave = bindingMessage.decode(evidence.binding);
  }

  /** Of this round, as the product would say it. */
  place(): UpdatePlace {
    const { task, enclave } = this;
    assert.ok(task !== undefined && enclave !== undefined, "expected to have joined a round");
    return {
      run_id: this.keystore.run_id,
      round: task.round,
      device_id: this.keystore.device_id,
      base_digest: modelStatement.decode(task.statement).model_digest,
      policy_hash: task.policy_hash,
      enclave_key_hash: epochKeyHash(enclave.kem_public_key),
    };
  }

  async draft(delta: readonly number[], changes: UpdateChanges = {}): Promise<UpdateDraft> {
    assert.equal(delta.length, TINY_PARAMETERS);
    const place = { ...this.place(), ...(changes.manifest as Partial<UpdatePlace>) };
    const publicKey = changes.kemPublicKey ?? this.enclave!.kem_public_key;
    const floats = bytesFromFloats(Float32Array.from(delta));
    const sealedFor = { ...this.place(), ...changes.sealedFor };
    const blob = changes.blob ?? (await sealUpdate("QF2-HYBRID", publicKey, sealedFor, floats, systemRandom));
    this.#sequence = Math.max(this.#sequence + 1, Date.now());
    const fields = {
      v: 1,
      ...place,
      blob_digest: blobDigest(blob),
      blob_length: blob.length,
      encoding: "f32",
      examples: 10,
      sequence: this.#sequence,
      ...changes.manifest,
    };
    const manifest = encodeCbor(fields);
    const secretKey = changes.signatureSecretKey ?? this.keystore.signature_secret_key;
    const signature = mldsa.sign(secretKey, manifest, changes.context ?? CONTEXTS.update);
    return { manifest, signature, blob };
  }

  seal({ manifest, signature, blob }: UpdateDraft): SealedRequest {
    const submit = submitMessage.encode({ manifest, signature, log_size: 0 });
    return this.session.seal("POST", "/api/submit_model", submit, { blob });
  }

  async submit(draft: UpdateDraft): Promise<HttpAnswer> {
    return await this.session.send(this.seal(draft));
  }

  /** Submits what must be accepted. */
  async contribute(delta: readonly number[], changes: UpdateChanges = {}): Promise<Receipt> {
    return await this.deliver(await this.draft(delta, changes));
  }

  async deliver(draft: UpdateDraft): Promise<Receipt> {
    const request = this.seal(draft);
    const { receipt } = receiptAnswer.decode(this.session.open(request, await this.session.send(request)));
    return receiptMessage.decode(receipt);
  }
}

export async function enrollClients(server: TestServer, names: readonly string[]): Promise<TestClient[]> {
  return await Promise.all(names.map((name) => TestClient.enroll(server, name)));
}

/** All of them ask at the same time, so that all are selected. */
export async function joinRound(clients: readonly TestClient[], afterRound = 0): Promise<void> {
  await Promise.all(clients.map((client) => client.join(afterRound)));
}

/** Mean of the rows added to the base: what the rule "mean" must give for equal claims of examples. */
export function meanModel(base: Float32Array, deltas: readonly (readonly number[])[]): number[] {
  return Array.from(base, (value, i) => value + deltas.reduce((sum, delta) => sum + delta[i]!, 0) / deltas.length);
}

const HONEST_DELTAS: readonly (readonly number[])[] = [
  [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
  [0.2, 0.1, 0, -0.1, -0.2, -0.3],
  [0, 0, 0.6, 0, 0, 0.3],
];

/** Three honest devices enrol and carry the one round of a run to its end, whatever was tried before. */
export async function assertRoundEnds(server: TestServer): Promise<void> {
  const base = await server.parameters();
  const clients = await enrollClients(server, ["honest-1", "honest-2", "honest-3"]);
  await joinRound(clients);
  for (const [i, client] of clients.entries()) await client.contribute(HONEST_DELTAS[i]!);
  await server.finished();
  assertClose(await server.parameters(1), meanModel(base, HONEST_DELTAS), 1e-6);
}
