// The server's parts over a database of their own, without a network.

import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Kysely } from "kysely";
import { sha256 } from "../../src/crypto/hash.ts";
import { kem } from "../../src/crypto/kem-table.ts";
import { schemeOfKey, signature } from "../../src/crypto/signature.ts";
import { SUITES, type SuiteName } from "../../src/crypto/suite.ts";
import { namedKeys } from "../../src/device/enroll.ts";
import type { Keystore } from "../../src/device/keystore.ts";
import { AuditLog, type AuditPorts } from "../../src/server/audit.ts";
import { freshServerKeys, logSignerOf, ServerKeyring, type StoredServerKeys } from "../../src/server/keys.ts";
import { Ledger } from "../../src/server/ledger.ts";
import { Registry } from "../../src/server/registry.ts";
import { openDatabase } from "../../src/server/store/database.ts";
import type { Tables } from "../../src/server/store/schema.ts";
import { Writer } from "../../src/server/store/writer.ts";
import { logOrigin } from "../../src/wire/checkpoint.ts";
import { deviceId, enrollMac, enrollMessage, enrollRequest } from "../../src/wire/enroll.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { parseToken, type Token } from "../../src/wire/token.ts";
import { FakeClock, seededRandom, strictLog } from "./clock.ts";
import { folderOf } from "./folder.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const URL_OF_TESTS = "https://localhost:8443";
export const HOUR_MS = 3_600_000;

const random = seededRandom("server");

export type DeviceKeys = Pick<
  Keystore,
  "kem_secret_key" | "kem_public_key" | "signature_secret_key" | "signature_public_key"
>;

export async function deviceKeys(suite: SuiteName = "QF2-HYBRID"): Promise<DeviceKeys> {
  const exchange = await kem(SUITES[suite].static).generateKeyPair();
  const signing = signature(SUITES[suite].signature).generateKeyPair();
  return {
    kem_secret_key: exchange.secretKey,
    kem_public_key: exchange.publicKey,
    signature_secret_key: signing.secretKey,
    signature_public_key: signing.publicKey,
  };
}

/** What a device sends to enrol; changed: as an attacker would. */
export function enrollmentOf(
  token: Token,
  keys: DeviceKeys,
  changed: { name?: string; fingerprint?: Bytes; secret?: Bytes; signer?: Bytes } = {},
): Bytes {
  const message = enrollMessage.encode({
    v: 1,
    enrollment_token: token.id,
    name: changed.name ?? token.name,
    ...namedKeys(keys),
    server_fingerprint: changed.fingerprint ?? token.fingerprint,
  });
  const signer = changed.signer ?? keys.signature_secret_key;
  const signed = schemeOfKey(keys.signature_public_key)!.sign(signer, message, CONTEXTS.enroll);
  return enrollRequest.encode({
    message,
    signature: signed,
    mac: enrollMac(changed.secret ?? token.secret, message, signed),
  });
}

export class TestServer {
  readonly folder: string;
  readonly db: Kysely<Tables>;
  readonly clock = new FakeClock();
  readonly random = random;
  /** What its key file would hold at its first start. */
  readonly storedKeys: StoredServerKeys = freshServerKeys(random, null);
  readonly keys: ServerKeyring = new ServerKeyring(this.storedKeys, { certificate: "", key: Buffer.alloc(0) }, null);
  readonly runId: Bytes = random.bytes(32);
  readonly writer: Writer;
  readonly audit: AuditLog;
  readonly ledger: Ledger;
  readonly registry: Registry;

  constructor(folder: string, db: Kysely<Tables>) {
    this.folder = folder;
    this.db = db;
    this.audit = new AuditLog(this.auditPorts());
    this.writer = new Writer(db, this.audit, strictLog);
    this.ledger = new Ledger(db, this.writer, this.audit, this.clock);
    this.registry = new Registry(this);
  }

  auditPorts(): AuditPorts {
    const { db, clock, runId, keys } = this;
    const signer = logSignerOf(keys.pairOf("ML-DSA-44"), runId);
    const successor = logSignerOf(keys.nextPair, runId);
    return { db, clock, origin: logOrigin(runId), signer, successor, isWitnessed: false };
  }

  static async start(context: TestContext): Promise<TestServer> {
    const folder = folderOf(context);
    const db = await openDatabase(join(folder, "ledger.db"));
    context.after(() => db.destroy());
    return new TestServer(folder, db);
  }

  async token(name: string, ageMs = HOUR_MS): Promise<Token> {
    return parseToken((await this.registry.createToken(name, ageMs, URL_OF_TESTS)).token);
  }

  /** An enrolled device with its key file. */
  async enrolled(name: string, suite: SuiteName = "QF2-HYBRID"): Promise<Keystore> {
    const keys = await deviceKeys(suite);
    await this.registry.enroll(enrollmentOf(await this.token(name), keys));
    const id = deviceId(sha256(keys.kem_public_key), keys.signature_public_key);
    const { identity } = this.keys;
    const place = { name, device_id: id, run_id: this.runId, url: URL_OF_TESTS };
    return { v: 1, ...place, identity, next_identity: null, former_identities: [], ...keys };
  }

  async entries(): Promise<number> {
    return (await this.db.selectFrom("audit").select("position").execute()).length;
  }
}
