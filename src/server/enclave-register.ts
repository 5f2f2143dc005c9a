// What the audit log says of the run's enclaves: which program is announced before it may take the place of the one
// that runs, which enclave each epoch has, and under which key.

import type { Kysely, Transaction } from "kysely";
import type { Tee } from "../attestation/evidence.ts";
import {
  type ReferenceValues,
  readReferenceValues,
  referenceDigest,
  toSignedForm,
} from "../attestation/reference-values.ts";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { auditEntry } from "../wire/audit.ts";
import { enclaveIdentity, enclaveIdentityMessage, type IdentityFields } from "../wire/enclave-identity.ts";
import { policyHash } from "../wire/policy.ts";
import { epochKeyHash } from "../wire/update.ts";
import type { AuditFact, AuditLog } from "./audit.ts";
import { countEntries, readEntries } from "./log-store.ts";
import type { Tables } from "./store/schema.ts";
import type { Writer } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface RegisterPorts {
  readonly db: Kysely<Tables>;
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** The run's, encoded. */
  readonly policy: Bytes;
  /** SHA-256 of the program that this server's enclave is. */
  readonly programDigest: Bytes;
}

/** An entry of the log. */
export interface Logged {
  readonly index: number;
  readonly entry: Bytes;
}

/** The entry that names the enclave in its epoch. */
export interface Started extends Logged {
  /** The entry that announced its program; none for a run's first. */
  readonly announcement: (Logged & { readonly reference: string }) | undefined;
  /** The log's first entry, which names the run's first program. */
  readonly first: Bytes;
  /** Whether its program has made a key; devices check it where they get a new one. */
  readonly hasOwnKey: boolean;
}

/** An enclave that starts, or its next epoch. */
export type Named = Omit<IdentityFields, "policy_hash"> & { readonly isolation: string };

export class EnclaveRegister {
  readonly #ports: RegisterPorts;

  constructor(ports: RegisterPorts) {
    this.#ports = ports;
  }

  /**
   * reference: a release's signed values, JSON. From now on the run may go on with that program. Where it is the one
   * that runs, its values are renewed, for devices to see from its next start or epoch on; what was announced before
   * is void then, since devices take no program by an older announcement than they have seen. Throws evidence.refused
   * where no release of this key says so.
   */
  async announce(reference: string, releaseKeyHash: Uint8Array): Promise<ReferenceValues & { index: number }> {
    const { writer, clock, programDigest } = this.#ports;
    const values = readReferenceValues(reference, releaseKeyHash, clock.nowMs());
    const { program, release } = values;
    const data = referenceDigest(reference);
    const fact: AuditFact = { type: "enclave.announced", subject: `release ${release}`, digest: program, data };
    const index = await writer.write(async (tx) => {
      const logged = await this.#append(tx, fact);
      const announced = { announced_at: logged.index, announcement: logged.entry, reference: toSignedForm(reference) };
      const isRenewal = equal(program, programDigest);
      await tx
        .deleteFrom("programs")
        .where("digest", isRenewal ? "!=" : "=", program)
        .execute();
      if (isRenewal) await tx.updateTable("programs").set(announced).execute();
      else
        await tx
          .insertInto("programs")
          .values({ digest: program, is_started: 0, has_key: 0, ...announced })
          .execute();
      return logged.index;
    });
    return { ...values, index };
  }

  /**
   * Throws evidence.refused where the run has another program and the log does not announce this one: no device would
   * take it, and the log could not be verified any more. store.corrupt where the log has begun and the ledger does not
   * say with which program.
   */
  async requireAnnounced(): Promise<void> {
    const { db, programDigest } = this.#ports;
    const known = await db.selectFrom("programs").select(["digest", "is_started"]).execute();
    const before = known.find(({ is_started }) => is_started === 1);
    if (before === undefined) return await this.#requireEmptyLog();
    if (known.some(({ digest }) => equal(digest, programDigest))) return;
    const expected = `this server's own: expected program ${toHex(before.digest)} or one that the audit log announces`;
    throw new QflareError("evidence.refused", `${expected}, got ${toHex(programDigest)}`);
  }

  /** Throws evidence.refused on other hardware than the run began on: devices hold out for that, and find no way on. */
  async requireSameTee(tee: Tee): Promise<void> {
    const [first] = await readEntries(this.#ports.db, 0, 1);
    if (first === undefined) return;
    const { tee: before } = enclaveIdentityMessage.decode(auditEntry.decode(first).data);
    if (tee === before) return;
    throw new QflareError("evidence.refused", `this server's own: expected one on ${before}, as before, got ${tee}`);
  }

  /** A log begins with its first enclave, in the transaction that tells the ledger. */
  async #requireEmptyLog(): Promise<void> {
    if ((await countEntries(this.#ports.db)) === 0) return;
    throw new QflareError("store.corrupt", "the audit log has begun, but the ledger knows no program of its enclave");
  }

  /** Nothing is shown of an enclave in an epoch before the log names it. */
  async name(tx: Transaction<Tables>, enclave: Named, hasNewKey: boolean): Promise<Started> {
    const { policy, programDigest: digest } = this.#ports;
    const data = enclaveIdentity({ ...enclave, policy_hash: policyHash(policy) });
    const subject = `isolation ${enclave.isolation}`;
    await this.#start(tx, hasNewKey);
    const logged = await this.#append(tx, { type: "enclave.started", subject, digest, data });
    const row = await tx.selectFrom("programs").selectAll().where("digest", "=", digest).executeTakeFirstOrThrow();
    const { announced_at: index, announcement: entry, reference } = row;
    const announcement = index === null ? undefined : { index, entry: entry!, reference: reference! };
    const first = logged.index === 0 ? logged.entry : (await readEntries(tx, 0, 1))[0]!;
    return { ...logged, announcement, first, hasOwnKey: row.has_key === 1 };
  }

  /** The program takes the place of the one before, and what else was announced is no longer. */
  async #start(tx: Transaction<Tables>, hasNewKey: boolean): Promise<void> {
    const { programDigest: digest } = this.#ports;
    const row = await tx.selectFrom("programs").selectAll().where("digest", "=", digest).executeTakeFirst();
    if (row === undefined) {
      const unannounced = { announced_at: null, announcement: null, reference: null };
      await tx
        .insertInto("programs")
        .values({ digest, is_started: 1, has_key: 0, ...unannounced })
        .execute();
    } else if (row.is_started === 0) {
      await tx.deleteFrom("programs").where("digest", "!=", digest).execute();
      await tx.updateTable("programs").set({ is_started: 1 }).execute();
    }
    if (hasNewKey) await tx.updateTable("programs").set({ has_key: 1 }).where("digest", "=", digest).execute();
  }

  async publishKey(tx: Transaction<Tables>, epoch: number, kemPublicKey: Uint8Array): Promise<void> {
    const subject = `enclave epoch ${epoch}`;
    await this.#ports.audit.append(tx, { type: "key.published", subject, digest: epochKeyHash(kemPublicKey) });
  }

  async #append(tx: Transaction<Tables>, fact: AuditFact): Promise<Logged> {
    const { position, at } = await this.#ports.audit.append(tx, fact);
    const { type, subject, digest, data = new Uint8Array(0) } = fact;
    return { index: position, entry: auditEntry.encode({ v: 1, at, type, subject, digest, data }) };
  }
}
