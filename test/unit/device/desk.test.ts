// What a device takes for a receipt: the server's word and the log's entry about the update that it has sent, and no
// other.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { toHex, utf8 } from "../../../src/core/bytes.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { schemeOfKey, signature } from "../../../src/crypto/signature.ts";
import type { Connection } from "../../../src/device/connection.ts";
import { Desk } from "../../../src/device/desk.ts";
import { OpenKeystore } from "../../../src/device/keystore.ts";
import { CONTEXTS } from "../../../src/wire/labels.ts";
import { type Receipt, receiptAnswer, receiptMessage } from "../../../src/wire/receipt.ts";
import { NO_WITNESSES } from "../../../src/wire/witness-policy.ts";
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
