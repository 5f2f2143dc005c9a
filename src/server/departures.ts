// Keys that stop counting: those of a device that the operator revokes, and those that a device replaces by new ones.
// Their rows move to former_devices, where the signatures of the past are still verified; the name becomes free.

import type { Kysely, Transaction } from "kysely";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { schemeOfKey, signature, verifyUnderKey } from "../crypto/signature.ts";
import { kindsOfKeys, type SuiteName, suitesOfKinds } from "../crypto/suite.ts";
import { areKeysOfSuite, deviceId, enrollDigest, type NamedKeys } from "../wire/enroll.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { rekeyAnswer, rekeyedMessage, rekeyMessage, rekeyRequest } from "../wire/rekey.ts";
import type { AuditLog } from "./audit.ts";
import type { ServerKeys } from "./keys.ts";
import type { Device, Registry } from "./registry.ts";
import type { RunState } from "./run-state.ts";
import type { Tables } from "./store/schema.ts";
import type { Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface DeparturePorts {
  readonly db: Kysely<Tables>;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly keys: ServerKeys;
  readonly runId: Bytes;
  /** Allowed suites. */
  readonly suites: readonly SuiteName[];
  readonly state: Pick<RunState, "depart">;
  /** Ends what a device has open. */
  endSessions(deviceId: Uint8Array): void;
}

export class Departures {
  readonly #ports: DeparturePorts;

  constructor(ports: DeparturePorts) {
    this.#ports = ports;
  }

  /** Id of the device that is no more; undefined where no device has this name. */
  async revoke(name: string): Promise<Bytes | undefined> {
    const { writer, audit } = this.#ports;
    const device = await writer.write(async (tx) => {
      const row = await tx.selectFrom("devices").selectAll().where("name", "=", name).executeTakeFirst();
      if (row === undefined) return undefined;
      await this.#move(tx, row, { reason: "revoked", successor_id: null, request_digest: null });
      const digest = sha256(row.signature_public_key);
      await audit.append(tx, { type: "device.revoked", subject: toHex(row.id), digest });
      return row;
    });
    if (device !== undefined) this.end(device.id);
    return device?.id;
  }

  /**
   * device: whose session the request came in. Order: form, the repetition of one that was done, both signatures, then
   * the one transaction. Returns the encoded answer; the caller sends it and then calls end() for the old keys.
   */
  async rekey(device: Device, encoded: Uint8Array): Promise<Bytes> {
    const request = rekeyRequest.decode(encoded);
    const rekey = rekeyMessage.decode(request.message);
    const digest = enrollDigest(encoded);
    const id = deviceId(sha256(rekey.kem_public_key), rekey.signature_public_key);
    if (equal(device.id, id)) return await this.#repeated(device, digest);
    const { name, signature_public_key: oldKey } = device;
    const isSigned =
      verifyUnderKey(oldKey, request.message, request.old_signature, CONTEXTS.rekeyOld) &&
      verifyUnderKey(rekey.signature_public_key, request.message, request.new_signature, CONTEXTS.rekeyNew);
    const isOwn = equal(rekey.device_id, device.id) && equal(rekey.run_id, this.#ports.runId);
    if (!isSigned || !isOwn)
      throw new QflareError("rekey.refused", "expected both signatures, for this device and run");
    this.#checkKinds(rekey);
    const { kem_public_key, signature_public_key } = rekey;
    const enrolledAt = this.#ports.clock.nowMs();
    const keys = { kem_public_key, signature_public_key };
    await this.#replace(device, { id, name, ...keys, state: "pending", enrolled_at: enrolledAt, sequence: 0 }, digest);
    return this.#answer(signature_public_key, id, digest, enrolledAt);
  }

  #checkKinds(keys: NamedKeys): void {
    const kinds = kindsOfKeys(keys.kem_public_key, keys.signature_public_key);
    if (kinds === undefined || !areKeysOfSuite(keys) || suitesOfKinds(kinds, this.#ports.suites).length === 0) {
      throw new QflareError("rekey.refused", "no suite of this server is for such keys");
    }
  }

  async #replace(device: Device, fresh: Device, digest: Bytes): Promise<void> {
    const { writer, audit } = this.#ports;
    await writer.write(async (tx) => {
      const row = await tx.selectFrom("devices").selectAll().where("id", "=", device.id).executeTakeFirst();
      // Revoked, or replaced by another request, since this one came in.
      if (row === undefined) throw new QflareError("session.refused");
      if (await isKnown(tx, fresh.id)) throw new QflareError("rekey.refused", "the new keys have been used before");
      await this.#move(tx, row, { reason: "replaced", successor_id: fresh.id, request_digest: digest });
      await tx
        .insertInto("devices")
        .values({ ...fresh, sequence: row.sequence })
        .execute();
      await audit.append(tx, { type: "device.rekeyed", subject: toHex(fresh.id), digest: sha256(device.id, digest) });
    });
  }

  async #repeated(device: Device, digest: Bytes): Promise<Bytes> {
    const row = await this.#ports.db
      .selectFrom("former_devices")
      .selectAll()
      .where("successor_id", "=", device.id)
      .executeTakeFirst();
    if (row?.request_digest == null || !equal(row.request_digest, digest)) {
      throw new QflareError("rekey.refused", "these are the device's keys already");
    }
    return this.#answer(device.signature_public_key, device.id, digest, device.enrolled_at);
  }

  #answer(signaturePublicKey: Bytes, id: Bytes, digest: Bytes, rekeyedAtMs: number): Bytes {
    const { keys, runId } = this.#ports;
    const { name } = schemeOfKey(signaturePublicKey)!;
    const message = rekeyedMessage.encode({
      v: 1,
      request_digest: digest,
      device_id: id,
      run_id: runId,
      rekeyed_at: rekeyedAtMs,
    });
    const signed = signature(name).sign(keys.pairOf(name).secretKey, message, CONTEXTS.rekeyed);
    return rekeyAnswer.encode({ message, signature: signed });
  }

  async #move(
    tx: Transaction<Tables>,
    { id, name, kem_public_key, signature_public_key, enrolled_at }: Device,
    end: Pick<Tables["former_devices"], "reason" | "successor_id" | "request_digest">,
  ): Promise<void> {
    const row = { id, name, kem_public_key, signature_public_key, enrolled_at, ended_at: this.#ports.clock.nowMs() };
    await tx.deleteFrom("devices").where("id", "=", id).execute();
    await tx
      .insertInto("former_devices")
      .values({ ...row, ...end })
      .execute();
  }

  /** Nothing of these keys is answered any more, and no round waits for them. */
  end(id: Uint8Array): void {
    this.#ports.registry.forget(id);
    this.#ports.endSessions(id);
    this.#ports.state.depart(toHex(id));
  }
}

async function isKnown(tx: Transaction<Tables>, id: Bytes): Promise<boolean> {
  const now = await tx.selectFrom("devices").select("id").where("id", "=", id).executeTakeFirst();
  const before = await tx.selectFrom("former_devices").select("id").where("id", "=", id).executeTakeFirst();
  return now !== undefined || before !== undefined;
}
