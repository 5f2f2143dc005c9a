// The audit log: an append-only hash tree over entries, each written in the transaction that it is about. Whatever one
// transaction appends, it also signs: its last statement stores a checkpoint over all entries, so that none is ever on
// disk without a signature over it, and accepting an update costs one commit for the update, its entry and its proof.

import type { Kysely, Transaction } from "kysely";
import { equal, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import {
  HASH_BYTES,
  proveConsistency,
  proveInclusion,
  type SubtreeReader,
  subtreesOf,
  TILE_WIDTH,
  TileEdge,
} from "../crypto/log-tree.ts";
import { leafHash } from "../crypto/merkle.ts";
import { type AuditEntry, type AuditType, auditEntry } from "../wire/audit.ts";
import { type Checkpoint, type CheckpointSigner, checkpointNote, parseCheckpoint } from "../wire/checkpoint.ts";
import { formatLogProof } from "../wire/log-proof.ts";
import type { LogView } from "../wire/log-view.ts";
import { formatVkey, isBy, parseNote } from "../wire/note.ts";
import { encodeBundle } from "../wire/tile.ts";
import { Changes } from "./changes.ts";
import { countEntries, insertEntries, insertTiles, loadEdge, readEntries, readFullTile } from "./log-store.ts";
import type { Tables } from "./store/schema.ts";
import type { CommitHook } from "./store/writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface AuditFact {
  readonly type: AuditType;
  readonly subject: string;
  readonly digest: Bytes;
  readonly data?: Bytes;
}

export interface AuditPorts {
  readonly db: Kysely<Tables>;
  readonly clock: Clock;
  readonly origin: string;
  readonly signer: CheckpointSigner;
  /** Of the identity that is announced: a crash may have left the log to it already. */
  readonly successor: CheckpointSigner;
  /** Whether only checkpoints are served that witnesses have cosigned. */
  readonly isWitnessed: boolean;
}

/** A checkpoint and its note. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: string;
}

/** What one transaction appends. */
interface Pending {
  readonly first: number;
  readonly entries: Bytes[];
  /** Who signs this transaction and all after it; undefined where it stays the same. */
  signer: CheckpointSigner | undefined;
}

const NOTHING = new Uint8Array(0);
const EPOCH = /^enclave epoch (\d+)$/;

export class AuditLog implements CommitHook {
  readonly #ports: Omit<AuditPorts, "signer" | "successor">;
  /** Who may have signed what is stored; forgotten once that is known, since a signer holds its secret keys. */
  #candidates: readonly CheckpointSigner[];
  readonly #pending = new WeakMap<Transaction<Tables>, Pending>();
  readonly #subtrees: SubtreeReader;
  #signer: CheckpointSigner;
  #edge = new TileEdge();
  #newest: SignedCheckpoint | undefined;
  #cosigned: SignedCheckpoint | undefined;
  /** Wakes whoever waits for a new checkpoint. */
  readonly changes = new Changes();

  constructor({ signer, successor, ...ports }: AuditPorts) {
    this.#ports = ports;
    this.#candidates = [signer, successor];
    this.#signer = signer;
    this.#subtrees = subtreesOf((row, number) => this.#wholeTile(row, number));
  }

  /**
   * Takes up what is stored. Throws store.corrupt where entries and newest checkpoint do not go together, or where
   * another key has signed it than those in force and those announced.
   */
  async load(): Promise<void> {
    const { db } = this.#ports;
    const size = await countEntries(db);
    const edge = await loadEdge(db, size);
    const rows = await db.selectFrom("checkpoints").selectAll().orderBy("size").execute();
    const newest = rows.map(({ note }) => readNote(note)).at(-1);
    const isSigned = newest === undefined ? size === 0 : newest.size === size && equal(newest.root, edge.root());
    if (!isSigned) throw new QflareError("store.corrupt", "the audit log and its checkpoint differ");
    if (newest !== undefined) this.#signer = this.#signerOf(newest);
    this.#candidates = [];
    this.#edge = edge;
    this.#newest = newest;
    const cosigned = rows.filter((row) => row.cosigned === 1).at(-1);
    if (cosigned !== undefined) this.cosigned(readNote(cosigned.note));
  }

  #signerOf(newest: SignedCheckpoint): CheckpointSigner {
    const found = this.#candidates.find((one) => isSignedBy(newest, one));
    if (found === undefined) throw new QflareError("store.corrupt", "the audit log was signed by another server");
    return found;
  }

  /** Returns the entry's position and time. Only in a transaction of the Writer whose hook this log is. */
  async append(tx: Transaction<Tables>, fact: AuditFact): Promise<{ position: number; at: number }> {
    const pending = await this.#pendingOf(tx);
    const at = this.#ports.clock.nowMs();
    const { type, subject, digest, data = NOTHING } = fact;
    pending.entries.push(auditEntry.encode({ v: 1, at, type, subject, digest, data }));
    return { position: pending.first + pending.entries.length - 1, at };
  }

  async #pendingOf(tx: Transaction<Tables>): Promise<Pending> {
    const pending = this.#pending.get(tx) ?? { first: await countEntries(tx), entries: [], signer: undefined };
    this.#pending.set(tx, pending);
    return pending;
  }

  /** Publishes who signs the log. */
  async appendKeys(tx: Transaction<Tables>, { keys }: CheckpointSigner): Promise<void> {
    for (const key of keys) {
      const vkey = utf8(formatVkey(key));
      await this.append(tx, { type: "key.published", subject: `log ${key.type}`, digest: sha256(vkey), data: vkey });
    }
  }

  /** What tx appends is signed by the successor, and all that comes after it. */
  async handOver(tx: Transaction<Tables>, successor: CheckpointSigner): Promise<void> {
    await this.appendKeys(tx, successor);
    (await this.#pendingOf(tx)).signer = successor;
  }

  async appendEnclaveRecord(tx: Transaction<Tables>, record: Bytes): Promise<void> {
    await this.append(tx, { type: "enclave.operation", subject: "enclave", digest: sha256(record), data: record });
  }

  async beforeCommit(tx: Transaction<Tables>): Promise<() => void> {
    const pending = this.#pending.get(tx);
    if (pending === undefined) return () => undefined;
    const { first, entries, signer = this.#signer } = pending;
    const edge = first === this.#edge.size ? this.#edge.clone() : await loadEdge(tx, first);
    const filled = entries.flatMap((entry) => edge.append(leafHash(entry)));
    await insertEntries(tx, first, entries);
    await insertTiles(tx, filled);
    const newest = this.#sign(edge, signer);
    await this.#storeNewest(tx, newest);
    return () => {
      // Before anybody is told, since that may fail: the next transaction begins with what this one has signed.
      this.#edge = edge;
      this.#newest = newest;
      this.#signer = signer;
      this.changes.notify();
    };
  }

  #sign(edge: TileEdge, signer: CheckpointSigner): SignedCheckpoint {
    const { origin, clock } = this.#ports;
    const checkpoint = { origin, size: edge.size, root: edge.root() };
    return { ...checkpoint, note: checkpointNote(checkpoint, signer.sign(checkpoint, clock.nowMs())) };
  }

  async #storeNewest(tx: Transaction<Tables>, { size, note }: SignedCheckpoint): Promise<void> {
    await tx.deleteFrom("checkpoints").where("cosigned", "=", 0).execute();
    await tx.insertInto("checkpoints").values({ size, note, cosigned: 0 }).execute();
  }

  /** The record that the enclave left last; null where there is none yet. */
  async newestEnclaveRecord(): Promise<Bytes | null> {
    return (await this.#findLast(({ type }) => type === "enclave.operation"))?.data ?? null;
  }

  async #findLast(isWanted: (entry: AuditEntry) => boolean): Promise<AuditEntry | undefined> {
    const { db } = this.#ports;
    for (let end = await countEntries(db); end > 0; end -= TILE_WIDTH) {
      const first = Math.max(0, end - TILE_WIDTH);
      const entries = (await readEntries(db, first, end - first)).map((entry) => auditEntry.decode(entry));
      const found = entries.findLast(isWanted);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Number of the enclave's newest epoch; 0 before there is one. */
  async newestEpoch(): Promise<number> {
    const found = await this.#findLast(({ type, subject }) => type === "key.published" && EPOCH.test(subject));
    return found === undefined ? 0 : Number(EPOCH.exec(found.subject)![1]);
  }

  /** Who signs its checkpoints now. */
  get signer(): CheckpointSigner {
    return this.#signer;
  }

  /** The newest checkpoint, signed by the log alone. */
  get newest(): SignedCheckpoint | undefined {
    return this.#newest;
  }

  /**
   * What devices and strangers get: the newest checkpoint, cosigned where witnesses are wanted. After a rotation none
   * until they have: nobody believes a key any more that was replaced.
   */
  get served(): SignedCheckpoint | undefined {
    if (!this.#ports.isWitnessed) return this.#newest;
    return this.#cosigned !== undefined && isSignedBy(this.#cosigned, this.#signer) ? this.#cosigned : undefined;
  }

  /** Enough witnesses have cosigned: note carries their lines. */
  async storeCosigned(tx: Transaction<Tables>, { size, note }: SignedCheckpoint): Promise<void> {
    await tx.deleteFrom("checkpoints").where("cosigned", "=", 1).where("size", "<", size).execute();
    await tx
      .insertInto("checkpoints")
      .values({ size, note, cosigned: 1 })
      .onConflict((conflict) => conflict.column("size").doUpdateSet({ note, cosigned: 1 }))
      .execute();
  }

  /** After storeCosigned is on disk. */
  cosigned(checkpoint: SignedCheckpoint): void {
    if (checkpoint.size >= (this.#cosigned?.size ?? 0)) this.#cosigned = checkpoint;
  }

  /**
   * C2SP tlog-proof of an entry that is on disk, under the newest checkpoint, and what binds that to the tree of the
   * size that somebody has seen.
   */
  async prove(index: number, seenSize: number): Promise<{ proof: string; consistency: Bytes[] }> {
    const { size, note } = this.#newest!;
    const path = await proveInclusion(this.#subtrees, index, size);
    const proof = formatLogProof({ index, path, checkpoint: note });
    return { proof, consistency: await this.proveConsistency(seenSize, size) };
  }

  /**
   * Whether what is served reaches what somebody has seen: a receipt's checkpoint, which no witness has cosigned. Who
   * has seen more than there is does not wait until that is reached: it is to find out, by any checkpoint.
   */
  isServedTo(seenSize: number): boolean {
    return this.served !== undefined && (seenSize <= this.served.size || seenSize > this.#edge.size);
  }

  /** What is served, for somebody who has seen a checkpoint of this size. Throws log.witness where it is not yet. */
  async view(seenSize: number): Promise<LogView & { size: number }> {
    if (!this.isServedTo(seenSize)) throw new QflareError("log.witness");
    const { size, note } = this.served!;
    return { size, checkpoint: note, consistency: await this.proveConsistency(seenSize, size) };
  }

  /** From an entry to the root over size entries. Throws log.witness where these do not reach it yet. */
  async path(index: number, size: number): Promise<Bytes[]> {
    if (size <= index) throw new QflareError("log.witness");
    return await proveInclusion(this.#subtrees, index, size);
  }

  /**
   * That the smaller of two trees is the beginning of the larger. Nothing where the log does not reach the larger one:
   * who has seen more than there is gets no proof.
   */
  async proveConsistency(one: number, other: number): Promise<Bytes[]> {
    const [oldSize, size] = one <= other ? [one, other] : [other, one];
    return size > this.#edge.size ? [] : await proveConsistency(this.#subtrees, oldSize, size);
  }

  /** Hashes of a tile, the first width of them; undefined where there are not so many. */
  async tile(row: number, number: number, width: number): Promise<Bytes | undefined> {
    const tile = this.#edge.partial(row, number) ?? (await readFullTile(this.#ports.db, row, number));
    return tile === undefined || tile.length < width * HASH_BYTES ? undefined : tile.slice(0, width * HASH_BYTES);
  }

  /** The first width entries of a bundle; undefined where there are not so many. */
  async bundle(number: number, width: number): Promise<Bytes | undefined> {
    const first = number * TILE_WIDTH;
    if (first + width > this.#edge.size) return undefined;
    return encodeBundle(await readEntries(this.#ports.db, first, width));
  }

  async #wholeTile(row: number, number: number): Promise<Bytes> {
    const tile = this.#edge.partial(row, number) ?? (await readFullTile(this.#ports.db, row, number));
    if (tile === undefined) throw new QflareError("store.corrupt", `the audit log has no tile ${row}/${number}`);
    return tile;
  }
}

function isSignedBy({ note }: SignedCheckpoint, { keys }: CheckpointSigner): boolean {
  const { signatures } = parseNote(note);
  return keys.every((key) => signatures.some((line) => isBy(line, key)));
}

function readNote(note: string): SignedCheckpoint {
  return { ...parseCheckpoint(parseNote(note).text), note };
}
