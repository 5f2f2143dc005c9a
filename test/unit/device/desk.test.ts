// What a device takes for a receipt: the server's word and the log's entry about the update that it has sent, and no
// other. And when it takes work: once the witnesses that it wants have cosigned what it has seen.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { toHex, utf8 } from "../../../src/core/bytes.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { schemeOfKey, signature } from "../../../src/crypto/signature.ts";
import { Connection } from "../../../src/device/connection.ts";
import { Desk } from "../../../src/device/desk.ts";
import { OpenKeystore } from "../../../src/device/keystore.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import { formatSignature, formatVkey } from "../../../src/wire/note.ts";
import { type Receipt, receiptAnswer, receiptMessage } from "../../../src/wire/receipt.ts";
import { NO_WITNESSES, parseWitnessPolicy } from "../../../src/wire/witness-policy.ts";
import { type EvidencePackage, workAnswer, workRequest } from "../../../src/wire/work.ts";
import { loadWitnessKeys } from "../../../src/witness/keys.ts";
import { coded } from "../../support/errors.ts";
import { TestServer } from "../../support/parts.ts";

describe("a receipt", () => {
  /** Submits an update of round 7, for which the server signs and logs a receipt with these changes. */
  async function submit(context: TestContext, changed: Partial<Receipt> = {}): Promise<Receipt> {
    const server = await TestServer.start(context);
    const { random, clock, audit, keys } = server;
    const keystore = await server.enrolled("device");
    const path = join(server.folder, "device.key");
    const [manifest, digest] = [random.bytes(50), random.bytes(32)];
    const place = { v: 1, run_id: keystore.run_id, round: 7, device_id: keystore.device_id } as const;
    const digests = { blob_digest: digest, manifest_digest: sha256(manifest) };
    const receipt = { ...place, ...digests, accepted_at: clock.nowMs(), audit_index: 0, ...changed };
    const subject = toHex(receipt.device_id);
    const entry = { type: "update.accepted", subject, digest: receipt.manifest_digest } as const;
    const { position: audit_index } = await server.writer.write((tx) =>
      audit.append(tx, { ...entry, data: receipt.blob_digest }),
    );
    const call = async (): Promise<Uint8Array> => {
      const encoded = receiptMessage.encode({ ...receipt, audit_index });
      const { name } = schemeOfKey(keystore.signature_public_key)!;
      const signed = signature(name).sign(keys.pairOf(name).secretKey, encoded, CONTEXTS.receipt);
      const { proof, consistency } = await audit.prove(audit_index, 0);
      return receiptAnswer.encode({
        receipt: encoded,
        signature: signed,
        log_proof: utf8(proof),
        log_consistency: consistency,
      });
    };
    const connection = { call } as unknown as Connection;
    const desk = new Desk(connection, new OpenKeystore(path, keystore), `${path}.log`, NO_WITNESSES);
    const update = { round: 7, manifest, signature: new Uint8Array(2420), blob: new Uint8Array(1), digest };
    return await desk.submit(update).finally(() => desk.close());
  }

  it("counts where it is for this device, round, manifest and blob", async (context) => {
    assert.equal((await submit(context)).round, 7);
  });

  const others: Record<string, Partial<Receipt>> = {
    device: { device_id: new Uint8Array(16) },
    round: { round: 8 },
    manifest: { manifest_digest: new Uint8Array(32) },
    blob: { blob_digest: new Uint8Array(32) },
  };
  for (const [what, changed] of Object.entries(others)) {
    it(`is refused for another ${what}, though signed and in the log`, async (context) => {
      await assert.rejects(submit(context, changed), coded("server.identity", /its receipt is for another update$/));
    });
  }
});

describe("work", () => {
  type Show = readonly [checkpoint: "older" | "newest", isCosigned: boolean];
  const ALONE: Show = ["newest", false];
  const COSIGNED: Show = ["newest", true];
  const LESS: Show = ["older", true];

  /** A device that wants a witness; what its server shows it of the log, in answer after answer. */
  async function prepare(context: TestContext, shows: Show[]) {
    const server = await TestServer.start(context);
    const { audit, random, clock } = server;
    const keystore = await server.enrolled("device");
    const older = audit.newest!;
    await server.token("another");
    const checkpoints = { older, newest: audit.newest! };
    const signer = loadWitnessKeys(join(server.folder, "w.key"), "witness.example/one", random);
    const policy = parseWitnessPolicy(`witness one ${formatVkey(signer.keys[1]!)}\nquorum one`);
    const retries: string[] = [];
    const nonces: (Uint8Array | null)[] = [];
    const ports = { clock, random, onRetry: (reason: string) => retries.push(reason), onSession: () => undefined };
    const open = new OpenKeystore(join(server.folder, "device.key"), keystore);
    const connection = new Connection(open, ports);
    context.mock.method(connection, "call", async (_method: string, _path: string, request: () => Uint8Array) => {
      const { log_size, nonce } = workRequest.decode(request());
      nonces.push(nonce);
      const [which, isCosigned] = shows.shift()!;
      const shown = checkpoints[which];
      const lines = isCosigned ? signer.sign(shown, clock.nowMs()).map(formatSignature) : [];
      const consistency = await audit.proveConsistency(log_size, shown.size);
      const log = { checkpoint: shown.note + lines.join(""), consistency };
      const evidence = nonce === null ? null : EVIDENCE;
      return workAnswer.encode({ state: "train", task: { ...TASK, log }, evidence, outcome: null });
    });
    const desk = new Desk(connection, open, `${open.path}.log`, policy);
    context.after(async () => {
      connection.close();
      await desk.close();
    });
    return { desk, connection, retries, nonces };
  }

  const TASK = {
    round: 1,
    remaining_ms: 1000,
    model_blob: new Uint8Array(32),
    model_blob_length: 1,
    content_key: new Uint8Array(32),
    statement: new Uint8Array(1),
    statement_signature: new Uint8Array(2420),
    policy_hash: new Uint8Array(32),
    enclave_key_hash: new Uint8Array(32),
    plan: "{}",
  };
  const EVIDENCE: EvidencePackage = {
    evidence: new Uint8Array(1),
    binding: new Uint8Array(1),
    collateral: null,
    policy: new Uint8Array(1),
    nonce_index: 0,
    nonce_count: 1,
    nonce_path: [],
    log_entry: new Uint8Array(1),
    log_index: 0,
    log_path: [],
    announcement: null,
    first: null,
  };

  function nonceOf(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(32).fill(count);
  }

  function nonceMaker(): () => Uint8Array<ArrayBuffer> {
    let count = 0;
    return () => nonceOf(++count);
  }

  it("is asked for again, after a pause, until what is shown and was seen is cosigned", async (context) => {
    const { desk, retries } = await prepare(context, [ALONE, ALONE, COSIGNED, LESS, ALONE, COSIGNED]);
    assert.equal((await desk.ask(0, 0, null)).state, "train");
    assert.equal(retries.length, 2);
    assert.equal((await desk.ask(1, 0, null)).state, "train");
    const [, , less, alone] = retries;
    assert.match(less!, /too few witnesses .*: expected a checkpoint over \d entries, got \d$/);
    assert.match(alone!, /too few witnesses have cosigned .*: got the lines of none$/);
    assert.equal(retries.length, 4);
  });

  it("is asked for without evidence until then, since each quote is an entry in the log", async (context) => {
    const { desk, retries, nonces } = await prepare(context, [ALONE, ALONE, COSIGNED, ALONE, COSIGNED, COSIGNED]);
    await desk.ask(0, 0, nonceMaker());
    assert.deepEqual(
      nonces.map((nonce) => nonce !== null),
      [true, false, false, true, false, true],
    );
    assert.equal(retries.length, 3);
  });

  it("is asked for by a new nonce each time, and its evidence has to answer the last", async (context) => {
    const { desk, nonces } = await prepare(context, [ALONE, COSIGNED, ALONE, COSIGNED, COSIGNED]);
    const { offer } = await desk.ask(0, 0, nonceMaker());
    assert.deepEqual(nonces, [nonceOf(1), null, nonceOf(2), null, nonceOf(3)]);
    assert.deepEqual(offer?.nonce, nonceOf(3));
  });

  it("is waited for no longer than the device lasts", async (context) => {
    const { desk, connection, retries } = await prepare(context, new Array(100).fill(ALONE));
    const asked = assert.rejects(desk.ask(0, 0, null), coded("server.unavailable", /the device is stopping$/));
    while (retries.length === 0) await new Promise((resolve) => setImmediate(resolve));
    connection.close();
    await asked;
  });
});
