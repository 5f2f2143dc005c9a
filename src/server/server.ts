// A server: puts the parts together, starts them in order, stops them in reverse.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Kysely } from "kysely";
import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock, Log, Random } from "../core/ports.ts";
import { hashThreads, LeafPool } from "../crypto/leaf-pool.ts";
import { blobDigest } from "../crypto/merkle.ts";
import type { SuiteName } from "../crypto/suite.ts";
import { splitModel } from "../wire/model.ts";
import { type Policy, policyHash, policyMessage, RUN_ID_BYTES } from "../wire/policy.ts";
import { ADMIN_SOCKET, type Admin, checkAdminPath, openAdmin } from "./admin.ts";
import { AuditLog } from "./audit.ts";
import type { TlsFiles } from "./certificate.ts";
import { Departures } from "./departures.ts";
import { EnclaveLink } from "./enclave-link.ts";
import { Events } from "./events.ts";
import { EvidenceDesk } from "./evidence.ts";
import { createGateway } from "./gateway.ts";
import { KEY_FILE, loadServerKeys } from "./keys.ts";
import { Ledger } from "./ledger.ts";
import { Limiter, type RateLimits } from "./limiter.ts";
import { ModelVault } from "./models.ts";
import { Registry } from "./registry.ts";
import { Rotation } from "./rotation.ts";
import { type RoundSettings, Rounds } from "./rounds.ts";
import { RunState } from "./run-state.ts";
import { Sessions } from "./sessions.ts";
import { BlobStore } from "./store/blobs.ts";
import { openDatabase, storeError } from "./store/database.ts";
import { type FolderLock, lockFolder } from "./store/lock.ts";
import type { Tables } from "./store/schema.ts";
import { Writer } from "./store/writer.ts";
import { WorkDesk } from "./work-desk.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a run is; fixed when its data folder is made. */
export interface RunDefinition extends Omit<Policy, "v" | "run_id" | "parameters" | "encoding"> {
  /** JSON text of the training plan. */
  readonly plan: string;
  /** The first model, a safetensors file. */
  readonly firstModel: Bytes;
}

export interface ServerOptions {
  readonly dataDir: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What tokens say; by default https://host:port. */
  readonly publicUrl: string | undefined;
  /** PEM; without it the server makes its own certificate. */
  readonly tls: TlsFiles | undefined;
  readonly suites: readonly SuiteName[];
  readonly run: RunDefinition;
  readonly rounds: RoundSettings;
  readonly rateLimits: RateLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly isolation: string;
  readonly events: Events;
  /** Resolves when the planned rounds are published or the server was stopped; rejects where the coordinator failed. */
  readonly finished: Promise<void>;
  /** Resolves when close() is done, whoever called it. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

export const LEDGER_FILE = "ledger.sqlite";
/** How long the keys of an expired session may stay in memory. */
const SWEEP_MS = 60_000;
const LOCK_FILE = "server.lock";
const BLOB_FOLDER = "blobs";

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  prepareFolder(options.dataDir);
  const lock = lockFolder(join(options.dataDir, LOCK_FILE));
  try {
    checkWhole(options.dataDir);
    return await start(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function start(options: ServerOptions, lock: FolderLock): Promise<RunningServer> {
  const parts = await assemble(options);
  const closed = Promise.withResolvers<void>();
  let admin: Admin | undefined;
  let finished: Promise<void> = Promise.resolve();
  let isClosing = false;
  const sweeping = setInterval(() => parts.sessions.sweep(), SWEEP_MS).unref();
  const close = (): Promise<void> => {
    clearInterval(sweeping);
    if (!isClosing) stop(parts, admin, finished).finally(lock.release).then(closed.resolve, closed.reject);
    isClosing = true;
    return closed.promise;
  };
  try {
    const { url, port } = await open(parts, options);
    admin = await openAdmin(join(options.dataDir, ADMIN_SOCKET), { ...parts, url, stop: () => void close() });
    finished = parts.rounds.run();
    finished.catch((error: unknown) => options.log.error({ error: String(error) }, "the coordinator failed"));
    const { isolation } = parts.enclave.facts;
    return { url, port, isolation, events: parts.events, finished, closed: closed.promise, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Parts = Awaited<ReturnType<typeof assemble>>;

/** Makes every part and starts none. */
async function assemble(options: ServerOptions) {
  const { dataDir, clock, random, log } = options;
  const keys = await loadServerKeys(dataDir, hostsOf(options), random, options.tls);
  const db = await openDatabase(join(dataDir, LEDGER_FILE));
  const { policyBytes, plan } = await openRun(db, options);
  const policy = policyMessage.decode(policyBytes);
  const hash = policyHash(policyBytes);
  const runId = policy.run_id;
  const writer = new Writer(db);
  const audit = new AuditLog(clock, runId, keys);
  const leaves = new LeafPool(hashThreads());
  const blobs = new BlobStore(join(dataDir, BLOB_FOLDER), random, leaves);
  const base = { db, writer, audit, blobs, clock, random, log };
  const enclave = new EnclaveLink({ ...base, keyFolder: join(dataDir, "enclave"), policy: policyBytes });
  const registry = new Registry({ ...base, keys, runId });
  const ledger = new Ledger(db, writer, audit, clock);
  const models = new ModelVault(blobs, random, clock);
  const events = new Events();
  const evidence = new EvidenceDesk(enclave, clock, policyBytes);
  const state = new RunState();
  const rounds = new Rounds({ ...base, ledger, registry, enclave, models, events, state }, options.rounds);
  const desk = new WorkDesk({ state, evidence, clock, plan, policyHash: hash });
  const enclaveKeyHash = (): Bytes => enclave.facts.kemKeyHash;
  const sessions = new Sessions({ registry, keys, clock, random, suites: options.suites, enclaveKeyHash });
  const limiter = new Limiter(options.rateLimits);
  const endSessions = (id: Uint8Array): void => sessions.revoke(id);
  const departures = new Departures({ ...base, registry, keys, runId, suites: options.suites, endSessions });
  const rotation = new Rotation({ ...base, dataDir, keys, sessions });
  const shared = { ...base, registry, departures, sessions, state, desk, ledger, enclave };
  const gateway = createGateway({ ...shared, limiter, keys, policy, policyHash: hash }, keys.tls);
  return { ...shared, rotation, keys, rounds, models, events, policyHash: hash, gateway, leaves };
}

async function open(parts: Parts, options: ServerOptions): Promise<{ url: string; port: number }> {
  const { blobs, ledger, enclave, gateway } = parts;
  await blobs.prepare();
  await blobs.sweep(new Set((await ledger.blobsInUse()).map(toHex)));
  await enclave.ready();
  await storeFirstModel(options, parts);
  const port = await listen(gateway, options);
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { url: options.publicUrl ?? `https://${host}:${port}`, port };
}

/** In reverse: nothing new comes in, what is on its way ends, then the ledger closes. */
async function stop(parts: Parts, admin: Admin | undefined, finished: Promise<void>): Promise<void> {
  parts.rounds.stop();
  admin?.close();
  await parts.gateway.close();
  await finished.catch(() => undefined);
  await parts.enclave.close();
  await parts.writer.drained();
  parts.sessions.close();
  await parts.leaves.close();
  await parts.db.destroy();
}

function prepareFolder(dataDir: string): void {
  checkAdminPath(join(dataDir, ADMIN_SOCKET));
  try {
    if (!existsSync(dataDir)) mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const cause = storeError(error);
    if (cause instanceof QflareError) throw cause;
    throw new QflareError("config.invalid", `data-dir: ${dataDir} cannot be made`, { cause });
  }
  if (!statSync(dataDir).isDirectory()) throw new QflareError("config.invalid", `data-dir: ${dataDir} is no folder`);
}

/**
 * A first start makes them in this order, so none is there without those before it. One that was lost must not be made
 * anew: devices would find another server, and every blob would look like a leftover.
 */
function checkWhole(dataDir: string): void {
  const isThere = [KEY_FILE, LEDGER_FILE, BLOB_FOLDER].map((name) => existsSync(join(dataDir, name)));
  if (isThere[1] && !isThere[0]) throw new QflareError("store.corrupt", `${dataDir} holds a run, but no ${KEY_FILE}`);
  if (isThere[2] && !isThere[1])
    throw new QflareError("store.corrupt", `${dataDir} holds blobs, but no ${LEDGER_FILE}`);
}

function hostsOf({ host, publicUrl }: ServerOptions): string[] {
  const named = publicUrl === undefined ? [] : [new URL(publicUrl).hostname];
  return [...new Set(["localhost", "127.0.0.1", ...(host === "0.0.0.0" || host === "::" ? [] : [host]), ...named])];
}

/** Writes the run's row at the first start; afterwards the same definition is required. */
async function openRun(
  db: Kysely<Tables>,
  { run, random }: ServerOptions,
): Promise<{ policyBytes: Bytes; plan: string }> {
  const { plan, firstModel, ...promises } = run;
  const stored = await db.selectFrom("run").selectAll().executeTakeFirst();
  const runId = stored?.run_id ?? random.bytes(RUN_ID_BYTES);
  const parameters = splitModel(firstModel).parameters.length;
  const policy = policyMessage.encode({ v: 1, run_id: runId, encoding: "f32", parameters, ...promises });
  if (stored === undefined) {
    const unset = { enclave_keys: null, enclave_progress: null, enclave_public_key: null };
    await db
      .insertInto("run")
      .values({ id: 1, run_id: runId, policy, plan, ...unset })
      .execute();
  } else if (!equal(stored.policy, policy) || stored.plan !== plan) {
    throw new QflareError("config.invalid", "data-dir: it holds a run with another model, suite, policy or plan");
  }
  return { policyBytes: policy, plan };
}

async function storeFirstModel({ run }: ServerOptions, parts: Parts): Promise<void> {
  const { ledger, models, enclave, clock, audit, policyHash: digest } = parts;
  const newest = await ledger.newestModel();
  if (newest !== undefined) {
    const first = await ledger.modelOfRound(0);
    if (first === undefined || !equal(first.digest, blobDigest(run.firstModel))) {
      throw new QflareError("config.invalid", "data-dir: it holds a run that started from another model");
    }
    // Read once, so that a lost or damaged model stops the server here and not in the middle of a round.
    await models.read(newest);
    return;
  }
  await enclave.call("genesis", { at: clock.nowMs() }, run.firstModel, async ({ answer }) => {
    const row = await models.store(answer, 0, run.firstModel);
    return async (tx) => {
      await audit.append(tx, { type: "run.opened", subject: "run", digest });
      await ledger.addModel(tx, row);
    };
  });
}

async function listen(gateway: ReturnType<typeof createGateway>, { host, port }: ServerOptions): Promise<number> {
  try {
    await gateway.listen({ host, port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason = code === "EADDRINUSE" ? "it is in use" : code === "EACCES" ? "it is not allowed" : String(code);
    throw new QflareError("config.invalid", `port ${port} on ${host}: ${reason}`, { cause });
  }
  const address = gateway.server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}
