// Tables of the ledger. Whole numbers are milliseconds, bytes or counts; digests and ids are blobs.

import type { CreateTableBuilder, Kysely } from "kysely";

type Blob = Uint8Array<ArrayBuffer>;

export interface Tables {
  /** One row: what the run is. */
  run: {
    id: number;
    run_id: Blob;
    policy: Blob;
    plan: string;
    enclave_keys: Blob | null;
    enclave_progress: Blob | null;
    enclave_public_key: Blob | null;
    /** SHA-256 of the session policy that the log names last. */
    session_policy: Blob | null;
  };
  tokens: {
    id: Blob;
    name: string;
    secret_hash: Blob;
    created_at: number;
    expires_at: number;
    used_at: number | null;
    revoked_at: number | null;
    device_id: Blob | null;
  };
  devices: {
    id: Blob;
    name: string;
    kem_public_key: Blob;
    signature_public_key: Blob;
    state: "pending" | "active";
    enrolled_at: number;
    /** Sequence of the newest accepted update. */
    sequence: number;
  };
  /** Keys that count no more, for verifying what they signed. */
  former_devices: {
    id: Blob;
    name: string;
    kem_public_key: Blob;
    signature_public_key: Blob;
    enrolled_at: number;
    ended_at: number;
    reason: "revoked" | "replaced";
    /** Of the keys that replaced these, with the digest of the request that asked for it. */
    successor_id: Blob | null;
    request_digest: Blob | null;
  };
  rounds: {
    round: number;
    state: RoundState;
    /** Grows with each change: transitions are compare-and-set on it. */
    version: number;
    base_digest: Blob;
    model_digest: Blob | null;
    opened_at: number;
    deadline_at: number | null;
    closed_at: number | null;
    /** Device ids one behind the other, 16 bytes each. */
    cohort: Blob;
    failure: string | null;
    report: Blob | null;
  };
  updates: {
    round: number;
    device_id: Blob;
    sequence: number;
    blob_digest: Blob;
    blob_length: number;
    manifest: Blob;
    signature: Blob;
    accepted_at: number;
    audit_index: number;
  };
  models: {
    digest: Blob;
    round: number;
    blob_digest: Blob;
    blob_length: number;
    content_key: Blob;
    statement: Blob;
    signature: Blob;
    published_at: number;
  };
  /** Of the enclave: the one that the run goes on with, and those that the log announces to come after it. */
  programs: {
    /** SHA-256 of the program. */
    digest: Blob;
    is_started: 0 | 1;
    /** Whether it has made a key of an epoch. */
    has_key: 0 | 1;
    /** Position in the log, and the entry there; null for the run's first. */
    announced_at: number | null;
    announcement: Blob | null;
    /** Signed values of its release, JSON. */
    reference: string | null;
  };
  audit: { position: number; entry: Blob };
  /** Full tiles of the log's tree, 256 hashes each. */
  tiles: { row: number; number: number; hashes: Blob };
  /** The newest checkpoint, and the newest that enough witnesses have cosigned; one row where they are the same. */
  checkpoints: { size: number; note: string; cosigned: number };
}

/** Grows with every change of the tables; a ledger of another one is refused. */
export const SCHEMA_VERSION = 2;

const ROUND_STATES = ["selecting", "collecting", "aggregating", "published", "failed"] as const;
export type RoundState = (typeof ROUND_STATES)[number];

/** Creates what is missing; running it again changes nothing. */
export async function createTables(db: Kysely<Tables>): Promise<void> {
  const table: NewTable = (name) => db.schema.createTable(name).ifNotExists();
  await createRegistry(table);
  await createFormerDevices(table);
  await createRounds(table);
  await createPrograms(table);
  await createAudit(table);
  await createIndexes(db);
}

type NewTable = (name: keyof Tables) => CreateTableBuilder<keyof Tables>;

async function createRegistry(table: NewTable): Promise<void> {
  await table("run")
    .addColumn("id", "integer", (c) => c.primaryKey())
    .addColumn("run_id", "blob", (c) => c.notNull())
    .addColumn("policy", "blob", (c) => c.notNull())
    .addColumn("plan", "text", (c) => c.notNull())
    .addColumn("enclave_keys", "blob")
    .addColumn("enclave_progress", "blob")
    .addColumn("enclave_public_key", "blob")
    .addColumn("session_policy", "blob")
    .execute();
  await table("tokens")
    .addColumn("id", "blob", (c) => c.primaryKey())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("secret_hash", "blob", (c) => c.notNull())
    .addColumn("created_at", "integer", (c) => c.notNull())
    .addColumn("expires_at", "integer", (c) => c.notNull())
    .addColumn("used_at", "integer")
    .addColumn("revoked_at", "integer")
    .addColumn("device_id", "blob")
    .execute();
  await table("devices")
    .addColumn("id", "blob", (c) => c.primaryKey())
    .addColumn("name", "text", (c) => c.notNull().unique())
    .addColumn("kem_public_key", "blob", (c) => c.notNull())
    .addColumn("signature_public_key", "blob", (c) => c.notNull())
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("enrolled_at", "integer", (c) => c.notNull())
    .addColumn("sequence", "integer", (c) => c.notNull())
    .execute();
}

async function createFormerDevices(table: NewTable): Promise<void> {
  await table("former_devices")
    .addColumn("id", "blob", (c) => c.primaryKey())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("kem_public_key", "blob", (c) => c.notNull())
    .addColumn("signature_public_key", "blob", (c) => c.notNull())
    .addColumn("enrolled_at", "integer", (c) => c.notNull())
    .addColumn("ended_at", "integer", (c) => c.notNull())
    .addColumn("reason", "text", (c) => c.notNull())
    .addColumn("successor_id", "blob", (c) => c.unique())
    .addColumn("request_digest", "blob")
    .execute();
}

async function createRounds(table: NewTable): Promise<void> {
  await table("rounds")
    .addColumn("round", "integer", (c) => c.primaryKey())
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("version", "integer", (c) => c.notNull())
    .addColumn("base_digest", "blob", (c) => c.notNull())
    .addColumn("model_digest", "blob")
    .addColumn("opened_at", "integer", (c) => c.notNull())
    .addColumn("deadline_at", "integer")
    .addColumn("closed_at", "integer")
    .addColumn("cohort", "blob", (c) => c.notNull())
    .addColumn("failure", "text")
    .addColumn("report", "blob")
    .execute();
  await table("updates")
    .addColumn("round", "integer", (c) => c.notNull())
    .addColumn("device_id", "blob", (c) => c.notNull())
    .addColumn("sequence", "integer", (c) => c.notNull())
    .addColumn("blob_digest", "blob", (c) => c.notNull())
    .addColumn("blob_length", "integer", (c) => c.notNull())
    .addColumn("manifest", "blob", (c) => c.notNull())
    .addColumn("signature", "blob", (c) => c.notNull())
    .addColumn("accepted_at", "integer", (c) => c.notNull())
    .addColumn("audit_index", "integer", (c) => c.notNull())
    .addPrimaryKeyConstraint("updates_key", ["round", "device_id"])
    .execute();
  await table("models")
    .addColumn("digest", "blob", (c) => c.notNull())
    .addColumn("round", "integer", (c) => c.primaryKey())
    .addColumn("blob_digest", "blob", (c) => c.notNull())
    .addColumn("blob_length", "integer", (c) => c.notNull())
    .addColumn("content_key", "blob", (c) => c.notNull())
    .addColumn("statement", "blob", (c) => c.notNull())
    .addColumn("signature", "blob", (c) => c.notNull())
    .addColumn("published_at", "integer", (c) => c.notNull())
    .execute();
}

async function createPrograms(table: NewTable): Promise<void> {
  await table("programs")
    .addColumn("digest", "blob", (c) => c.primaryKey())
    .addColumn("is_started", "integer", (c) => c.notNull())
    .addColumn("has_key", "integer", (c) => c.notNull())
    .addColumn("announced_at", "integer")
    .addColumn("announcement", "blob")
    .addColumn("reference", "text")
    .execute();
}

/** Blobs are looked for by their digest whenever one is served or removed. */
async function createIndexes(db: Kysely<Tables>): Promise<void> {
  for (const table of ["models", "updates"] as const) {
    await db.schema.createIndex(`${table}_by_blob`).ifNotExists().on(table).column("blob_digest").execute();
  }
}

async function createAudit(table: NewTable): Promise<void> {
  await table("audit")
    .addColumn("position", "integer", (c) => c.primaryKey())
    .addColumn("entry", "blob", (c) => c.notNull())
    .execute();
  await table("tiles")
    .addColumn("row", "integer", (c) => c.notNull())
    .addColumn("number", "integer", (c) => c.notNull())
    .addColumn("hashes", "blob", (c) => c.notNull())
    .addPrimaryKeyConstraint("tiles_key", ["row", "number"])
    .execute();
  await table("checkpoints")
    .addColumn("size", "integer", (c) => c.primaryKey())
    .addColumn("note", "text", (c) => c.notNull())
    .addColumn("cosigned", "integer", (c) => c.notNull())
    .execute();
}
