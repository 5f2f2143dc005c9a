// Registry of tokens and devices.

import type { Kysely, Selectable } from "kysely";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import { schemeOfKey, signature, verifyUnderKey } from "../crypto/signature.ts";
import {
  areKeysOfSuite,
  deviceId,
  enrollAnswer,
  enrollDigest,
  enrolledMessage,
  enrollMac,
  enrollMessage,
  enrollRequest,
} from "../wire/enroll.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { DEVICE_NAME, formatToken, TOKEN_ID_BYTES, tokenHash, tokenSecret } from "../wire/token.ts";
import type { AuditLog } from "./audit.ts";
import type { ServerKeys } from "./keys.ts";
import type { Tables } from "./store/schema.ts";
import type { Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export type Device = Selectable<Tables["devices"]>;
type DeviceKeys = Pick<Device, "kem_public_key" | "signature_public_key">;
export type TokenRow = Selectable<Tables["tokens"]>;
export type TokenState = "open" | "used" | "expired" | "revoked";

const NOTHING = new Uint8Array(32);

export interface RegistryPorts {
  readonly db: Kysely<Tables>;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly keys: ServerKeys;
  readonly runId: Bytes;
}

export class Registry {
  readonly #ports: RegistryPorts;
  readonly #devices = new Map<string, Device>();
  /** Ids that no longer stand for a device: a look-up that began before must not bring one back. */
  readonly #gone = new Set<string>();

  constructor(ports: RegistryPorts) {
    this.#ports = ports;
  }

  /**
   * The printable token. url: where devices reach this server. Throws config.invalid for a name or age out of range.
   */
  async createToken(
    name: string,
    ageMs: number,
    url: string,
  ): Promise<{ token: string; id: Bytes; expiresAtMs: number }> {
    const { writer, audit, clock, random, keys } = this.#ports;
    if (!DEVICE_NAME.test(name)) throw new QflareError("config.invalid", `name: expected ${DEVICE_NAME.source}`);
    if (!(ageMs >= 1000 && ageMs <= LIMITS.tokenAgeMsMax)) {
      throw new QflareError("config.invalid", "expires: expected from 1 second to 365 days");
    }
    const id = random.bytes(TOKEN_ID_BYTES);
    const secret = tokenSecret(keys.pepper, id);
    const createdAt = clock.nowMs();
    const expiresAtMs = createdAt + ageMs;
    const row = { id, name, secret_hash: tokenHash(secret), created_at: createdAt, expires_at: expiresAtMs };
    await writer.write(async (tx) => {
      const { count } = await tx
        .selectFrom("tokens")
        .select((s) => s.fn.countAll<number>().as("count"))
        .executeTakeFirstOrThrow();
      if (count >= LIMITS.tokensMax)
        throw new QflareError("config.invalid", "too many tokens: remove expired ones first");
      await tx
        .insertInto("tokens")
        .values({ ...row, used_at: null, revoked_at: null, device_id: null })
        .execute();
      await audit.append(tx, { type: "token.created", subject: toHex(id), digest: row.secret_hash });
    });
    const token = formatToken({ id, secret, fingerprint: keys.fingerprint, name, url });
    secret.fill(0);
    return { token, id, expiresAtMs };
  }

  async listTokens(): Promise<(TokenRow & { state: TokenState })[]> {
    const rows = await this.#ports.db.selectFrom("tokens").selectAll().orderBy("created_at").execute();
    return rows.map((row) => ({ ...row, state: tokenState(row, this.#ports.clock.nowMs()) }));
  }

  /** False where there is no open token of this id. */
  async revokeToken(id: Bytes): Promise<boolean> {
    const { writer, audit, clock } = this.#ports;
    return await writer.write(async (tx) => {
      const row = await tx
        .updateTable("tokens")
        .set({ revoked_at: clock.nowMs() })
        .where("id", "=", id)
        .where("used_at", "is", null)
        .where("revoked_at", "is", null)
        .returning("id")
        .executeTakeFirst();
      if (row !== undefined) await audit.append(tx, { type: "token.revoked", subject: toHex(id), digest: NOTHING });
      return row !== undefined;
    });
  }

  /** Removes tokens that expired unused; returns how many. */
  async removeExpiredTokens(): Promise<number> {
    const { writer, audit, clock } = this.#ports;
    return await writer.write(async (tx) => {
      const rows = await tx
        .deleteFrom("tokens")
        .where("expires_at", "<=", clock.nowMs())
        .where("used_at", "is", null)
        .returning("id")
        .execute();
      for (const row of rows)
        await audit.append(tx, { type: "token.removed", subject: toHex(row.id), digest: NOTHING });
      return rows.length;
    });
  }

  /**
   * Order: form, token known, MAC under its secret, signature, then the one atomic claim. Only who holds the secret
   * learns that a token is used, expired or revoked. Returns the encoded answer.
   */
  async enroll(encoded: Uint8Array): Promise<Bytes> {
    const { db, keys } = this.#ports;
    const request = enrollRequest.decode(encoded);
    const enroll = enrollMessage.decode(request.message);
    const token = await db
      .selectFrom("tokens")
      .selectAll()
      .where("id", "=", enroll.enrollment_token)
      .executeTakeFirst();
    const secret = tokenSecret(keys.pepper, enroll.enrollment_token);
    const isHolder = equal(enrollMac(secret, request.message, request.signature), request.mac);
    const isKnown = token !== undefined && equal(tokenHash(secret), token.secret_hash);
    secret.fill(0);
    const isSigned = verifyUnderKey(enroll.signature_public_key, request.message, request.signature, CONTEXTS.enroll);
    const isHere = equal(enroll.server_fingerprint, keys.fingerprint);
    if (!isKnown || !isHolder || !isSigned || !isHere || !areKeysOfSuite(enroll) || enroll.name !== token.name) {
      throw new QflareError("enroll.refused");
    }
    const device: Device = {
      id: deviceId(sha256(enroll.kem_public_key), enroll.signature_public_key),
      name: enroll.name,
      kem_public_key: enroll.kem_public_key,
      signature_public_key: enroll.signature_public_key,
      state: "pending",
      enrolled_at: this.#ports.clock.nowMs(),
      sequence: 0,
    };
    return this.#enrolled(encoded, await this.#claim(token, device));
  }

  /**
   * The device as it is enrolled: the same keys under the same token again are the repetition of a request whose answer
   * was lost, and change nothing.
   */
  async #claim(token: TokenRow, device: Device): Promise<Device> {
    const { writer, audit, clock } = this.#ports;
    return await writer.write(async (tx) => {
      const now = clock.nowMs();
      const claimed = await tx
        .updateTable("tokens")
        .set({ used_at: now, device_id: device.id })
        .where("id", "=", token.id)
        .where("used_at", "is", null)
        .where("revoked_at", "is", null)
        .where("expires_at", ">", now)
        .returning("id")
        .executeTakeFirst();
      if (claimed === undefined) {
        const row = await tx.selectFrom("tokens").selectAll().where("id", "=", token.id).executeTakeFirst();
        const enrolled = await tx.selectFrom("devices").selectAll().where("id", "=", device.id).executeTakeFirst();
        const holder = row?.device_id ?? null;
        if (enrolled !== undefined && holder !== null && equal(holder, device.id)) return enrolled;
        throw new QflareError(row === undefined ? "enroll.refused" : CLAIM_ERRORS[tokenState(row, now)]);
      }
      const same = await tx
        .selectFrom("devices")
        .select("id")
        .where((row) => row.or([row("name", "=", device.name), row("id", "=", device.id)]))
        .executeTakeFirst();
      if (same !== undefined) throw new QflareError("enroll.name_taken", device.name);
      const former = await tx.selectFrom("former_devices").select("id").where("id", "=", device.id).executeTakeFirst();
      if (former !== undefined) throw new QflareError("enroll.refused");
      await tx.insertInto("devices").values(device).execute();
      await audit.append(tx, {
        type: "device.enrolled",
        subject: toHex(device.id),
        digest: sha256(device.signature_public_key),
      });
      return device;
    });
  }

  #enrolled(request: Uint8Array, device: Device): Bytes {
    const { keys, runId } = this.#ports;
    const message = enrolledMessage.encode({
      v: 1,
      request_digest: enrollDigest(request),
      device_id: device.id,
      name: device.name,
      run_id: runId,
      enrolled_at: device.enrolled_at,
    });
    const { name } = schemeOfKey(device.signature_public_key)!;
    const signed = signature(name).sign(keys.pairOf(name).secretKey, message, CONTEXTS.enrolled);
    return enrollAnswer.encode({ message, signature: signed });
  }

  /** The same object each time, also of two first look-ups at once: parsed keys are cached by it, sessions counted. */
  async findDevice(id: Uint8Array): Promise<Device | undefined> {
    const known = this.#devices.get(toHex(id));
    if (known !== undefined) return known;
    const row = await this.#ports.db
      .selectFrom("devices")
      .selectAll()
      .where("id", "=", new Uint8Array(id))
      .executeTakeFirst();
    if (row !== undefined && !this.isGone(id) && !this.#devices.has(toHex(id))) this.#devices.set(toHex(id), row);
    return this.#devices.get(toHex(id));
  }

  /** Also of keys that count no more: what they signed before is still verified. */
  async findKeys(id: Uint8Array): Promise<DeviceKeys | undefined> {
    // In this order: a device that leaves meanwhile has moved from the first table to the second.
    return (await this.findDevice(id)) ?? (await this.#findFormer(id));
  }

  async #findFormer(id: Uint8Array): Promise<DeviceKeys | undefined> {
    return await this.#ports.db
      .selectFrom("former_devices")
      .select(["kem_public_key", "signature_public_key"])
      .where("id", "=", new Uint8Array(id))
      .executeTakeFirst();
  }

  /** The id stands for no device any more. */
  forget(id: Uint8Array): void {
    this.#gone.add(toHex(id));
    this.#devices.delete(toHex(id));
  }

  isGone(id: Uint8Array): boolean {
    return this.#gone.has(toHex(id));
  }

  async listDevices(): Promise<Device[]> {
    return await this.#ports.db.selectFrom("devices").selectAll().orderBy("enrolled_at").execute();
  }

  /** The first confirmed session proves that the device holds its KEM key. */
  async activate(device: Device): Promise<void> {
    if (device.state === "active") return;
    const { writer, audit } = this.#ports;
    await writer.write(async (tx) => {
      const row = await tx
        .updateTable("devices")
        .set({ state: "active" })
        .where("id", "=", device.id)
        .where("state", "=", "pending")
        .returning("id")
        .executeTakeFirst();
      if (row !== undefined) {
        await audit.append(tx, {
          type: "device.activated",
          subject: toHex(device.id),
          digest: sha256(device.kem_public_key),
        });
      }
    });
    device.state = "active";
  }
}

const CLAIM_ERRORS = {
  open: "enroll.refused",
  used: "enroll.token_used",
  expired: "enroll.token_expired",
  revoked: "enroll.token_revoked",
} as const;

function tokenState(row: TokenRow, nowMs: number): TokenState {
  if (row.used_at !== null) return "used";
  if (row.revoked_at !== null) return "revoked";
  return row.expires_at <= nowMs ? "expired" : "open";
}
