// A server that rewrites the past: it has its keys and its ledger, and signs whatever stands there now.

import { join } from "node:path";
import type { Kysely } from "kysely";
import { TileEdge } from "../../src/crypto/log-tree.ts";
import { leafHash } from "../../src/crypto/merkle.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { LEDGER_FILE } from "../../src/server/data-folder.ts";
import { loadServerKeys, logSignerOf, type ServerKeys } from "../../src/server/keys.ts";
import { countEntries, insertTiles, readEntries } from "../../src/server/log-store.ts";
import { openDatabase } from "../../src/server/store/database.ts";
import type { Tables } from "../../src/server/store/schema.ts";
import { type AuditEntry, auditEntry } from "../../src/wire/audit.ts";
import { checkpointNote, logOrigin } from "../../src/wire/checkpoint.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Forged {
  readonly db: Kysely<Tables>;
  readonly runId: Bytes;
  readonly keys: Pick<ServerKeys, "pairOf">;
}

export async function entryAt({ db }: Pick<Forged, "db">, position: number): Promise<Bytes> {
  const query = db.selectFrom("audit").select("entry").where("position", "=", position);
  return (await query.executeTakeFirstOrThrow()).entry;
}

export async function putEntry({ db }: Pick<Forged, "db">, position: number, entry: Bytes): Promise<void> {
  await db.updateTable("audit").set({ entry }).where("position", "=", position).execute();
}

export async function rewrite(
  server: Forged,
  position: number,
  change: (entry: AuditEntry) => Partial<AuditEntry>,
): Promise<void> {
  const entry = auditEntry.decode(await entryAt(server, position));
  await putEntry(server, position, auditEntry.encode({ ...entry, ...change(entry) }));
  await signAnew(server);
}

/** Tiles and one checkpoint over what stands there, as if there had never been others. */
export async function signAnew({ db, runId, keys }: Forged): Promise<void> {
  await db.deleteFrom("checkpoints").execute();
  await db.deleteFrom("tiles").execute();
  const edge = new TileEdge();
  for (const entry of await readEntries(db, 0, await countEntries(db))) {
    await insertTiles(db, edge.append(leafHash(entry)));
  }
  const checkpoint = { origin: logOrigin(runId), size: edge.size, root: edge.root() };
  const note = checkpointNote(checkpoint, logSignerOf(keys.pairOf("ML-DSA-44"), runId).sign(checkpoint, Date.now()));
  await db.insertInto("checkpoints").values({ size: edge.size, note, cosigned: 0 }).execute();
}

/** In the folder of a server that does not run: another time for an entry of the first ones. */
export async function rewriteFolder(dataDir: string): Promise<void> {
  const db = await openDatabase(join(dataDir, LEDGER_FILE));
  const { run_id: runId } = await db.selectFrom("run").select("run_id").executeTakeFirstOrThrow();
  const keys = await loadServerKeys(dataDir, ["127.0.0.1"], systemRandom);
  await rewrite({ db, runId, keys }, 3, ({ at }) => ({ at: at + 1 }));
  await db.destroy();
}
