// A server: puts the parts together, starts them in order, stops them in reverse.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Kysely } from "kysely";
import type { Tee } from "../attestation/evidence.ts";
import { chooseTee, type TeeChoice } from "../attestation/tee-device.ts";
import { equal, toHex, wipe } from "../core/bytes.ts";
import { encodeCbor } from "../core/codec.ts";
import { QflareError } from "../core/error.ts";
import type { Clock, Log, Random, ServerPsk } from "../core/ports.ts";
import type { CertifiedKey } from "../crypto/certificate.ts";
import { sha256 } from "../crypto/hash.ts";
import { hashThreads, LeafPool } from "../crypto/leaf-pool.ts";
import type { SuiteName } from "../crypto/suite.ts";
import type { IsolationLevel } from "../isolation/level.ts";
import { logOrigin } from "../wire/checkpoint.ts";
import { splitModel } from "../wire/model.ts";
import { type Policy, policyHash, policyMessage, RUN_ID_BYTES } from "../wire/policy.ts";
import { NO_WITNESSES, type WitnessPolicy } from "../wire/witness-policy.ts";
import { ADMIN_SOCKET, type Admin, openAdmin } from "./admin.ts";
import { AuditLog } from "./audit.ts";
import {
  BLOB_FOLDER,
  checkWhole,
  ENCLAVE_FOLDER,
  EVIDENCE_FILE,
  LEDGER_FILE,
  LOCK_FILE,
  prepareFolder,
} from "./data-folder.ts";
import { Departures } from "./departures.ts";
import { type EnclaveHost, localHost } from "./enclave-host.ts";
import { EnclaveLink, type LostEnclave } from "./enclave-link.ts";
import { EnclaveRegister } from "./enclave-register.ts";
import { DEFAULT_EPOCHS, type EpochSettings, Epochs, epochGraceMs } from "./epochs.ts";
import { Events } from "./events.ts";
import { EvidenceDesk } from "./evidence.ts";
import { storeFirstModel } from "./first-model.ts";
import { createGateway } from "./gateway.ts";
import { examineHost, type HostIsolation, requireIsolation } from "./isolation.ts";
import { loadServerKeys, logSignerOf, type ServerKeyring } from "./keys.ts";
import { Ledger } from "./ledger.ts";
import { Limiter, type RateLimits } from "./limiter.ts";
import { loadLinkIdentity } from "./link-identity.ts";
import { ModelVault } from "./models.ts";
import { type OwnEvidenceOptions, ownEvidence } from "./own-evidence.ts";
import { Registry } from "./registry.ts";
import { type RemoteEnclave, RemoteHost } from "./remote-enclave.ts";
import { Rotation } from "./rotation.ts";
import { type RoundSettings, Rounds } from "./rounds.ts";
import { RunState } from "./run-state.ts";
import { Sessions } from "./sessions.ts";
import { BlobStore } from "./store/blobs.ts";
import { openDatabase } from "./store/database.ts";
import { type FolderLock, lockFolder } from "./store/lock.ts";
import type { Tables } from "./store/schema.ts";
import { Writer } from "./store/writer.ts";
import { Uploads } from "./uploads.ts";
import { Witnesses } from "./witnesses.ts";
import { WorkDesk } from "./work-desk.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a run is; fixed when its data folder is made. */
export interface RunDefinition extends Omit<Policy, "v" | "run_id" | "parameters" | "encoding"> {
  /** JSON text of the training plan. */
  readonly plan: string;
  /** The first model, a safetensors file. */
  readonly firstModel: Bytes;
}

export interface ServerOptions extends OwnEvidenceOptions {
  readonly dataDir: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What tokens say; by default https://host:port. */
  readonly publicUrl: string | undefined;
  /** PEM; the key is taken over and wiped. Without it the server makes its own certificate. */
  readonly tls: CertifiedKey | undefined;
  readonly suites: readonly SuiteName[];
  readonly run: RunDefinition;
  readonly rounds: RoundSettings;
  readonly epochs?: EpochSettings;
  /** An enclave elsewhere, or a host of the caller's own; by default its process is started here. */
  readonly enclave?: RemoteEnclave | EnclaveHost;
  /** What is done where the enclave's keys are lost; by default the server stops. */
  readonly lostEnclave?: LostEnclave;
  readonly rateLimits: RateLimits;
  /** Who cosigns the audit log, and how many of them before a checkpoint is served. */
  readonly witnesses?: WitnessPolicy;
  /** Keys that some devices hold beforehand, to be mixed into each full handshake. */
  readonly psk?: ServerPsk;
  /** No enclave below it is started; by default none is required. */
  readonly isolationRequired?: IsolationLevel;
  /** What the enclave asks for evidence; by default whatever hardware is there. */
  readonly tee?: TeeChoice;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly isolation: string;
  readonly tee: string;
  readonly events: Events;
  /** Resolves when the planned rounds are published or the server was stopped; rejects where the coordinator failed. */
  readonly finished: Promise<void>;
  /** Resolves when close() is done, whoever called it. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/** How long the keys of an expired session may stay in memory. */
const SWEEP_MS = 60_000;

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  checkCounts(options);
  const isolation = await examineHost(teeOf(options));
  // Of an enclave elsewhere it is the enclave that says how isolated it is.
  if (options.enclave === undefined) {
    requireIsolation(isolation.level, options.isolationRequired ?? "none", isolation.raise);
  }
  prepareFolder(options.dataDir);
  const lock = lockFolder(join(options.dataDir, LOCK_FILE));
  try {
    checkWhole(options.dataDir);
    return await start(options, isolation, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function start(options: ServerOptions, isolation: HostIsolation, lock: FolderLock): Promise<RunningServer> {
  const parts = await assemble(options, isolation);
  const closed = Promise.withResolvers<void>();
  let admin: Admin | undefined;
  let finished: Promise<void> | undefined;
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
    const { isolation, tee } = parts.enclave.facts;
    return { url, port, isolation, tee, events: parts.events, finished, closed: closed.promise, close };
  } catch (error) {
    await close().catch((failure: unknown) => {
      options.log.error({ error: String(failure) }, "a server that did not start cannot be closed cleanly");
    });
    throw error;
  }
}

type Parts = Awaited<ReturnType<typeof assemble>>;

/** Makes every part and starts none. */
async function assemble(options: ServerOptions, isolation: HostIsolation) {
  const keys = await loadServerKeys(options.dataDir, hostsOf(options), options.random, options.tls);
  let db: Kysely<Tables> | undefined;
  try {
    db = await openDatabase(join(options.dataDir, LEDGER_FILE));
    return await assembleWith(keys, db, options, isolation);
  } catch (error) {
    keys.wipe();
    await db?.destroy();
    throw error;
  }
}

async function assembleWith(keys: ServerKeyring, db: Kysely<Tables>, options: ServerOptions, isolation: HostIsolation) {
  const { dataDir, clock, random, log, isolationRequired = "none", lostEnclave = "stop" } = options;
  const { policyBytes, plan } = await openRun(db, options);
  const policy = policyMessage.decode(policyBytes);
  const hash = policyHash(policyBytes);
  const runId = policy.run_id;
  const audit = new AuditLog({
    db,
    clock,
    origin: logOrigin(runId),
    signer: logSignerOf(keys.pairOf("ML-DSA-44"), runId),
    successor: logSignerOf(keys.nextPair, runId),
    isWitnessed: options.witnesses?.quorum !== undefined,
  });
  const writer = new Writer(db, audit, log);
  const leaves = new LeafPool(hashThreads());
  const blobs = new BlobStore(join(dataDir, BLOB_FOLDER), random, leaves);
  const base = { db, writer, audit, blobs, clock, random, log };
  const host = await enclaveHost(options, isolation);
  const { rounds: epochRounds, timeMs } = options.epochs ?? DEFAULT_EPOCHS;
  const graceMs = epochGraceMs(options.rounds.deadlineMs);
  const evidenceMs = timeMs + graceMs;
  const ledger = new Ledger(db, writer, audit, clock);
  const models = new ModelVault(blobs, random, clock);
  const own = ownEvidence(options, join(dataDir, EVIDENCE_FILE), log);
  const register = new EnclaveRegister({ ...base, policy: policyBytes, programDigest: host.programDigest });
  const run = { policy: policyBytes, ledger, models, lostEnclave, own, register };
  const enclave = new EnclaveLink({ ...base, ...run, host, isolationRequired, evidenceMs });
  const registry = new Registry({ ...base, keys, runId });
  const events = new Events();
  const state = new RunState();
  const epochs = new Epochs({ enclave, state, clock }, epochRounds, graceMs);
  const evidence = new EvidenceDesk({ ...base, enclave, epochs, policy: policyBytes, own });
  const uploads = new Uploads({ ...base, ledger });
  const coordinated = { ledger, registry, uploads, enclave, epochs, models, events, state };
  const rounds = new Rounds({ ...base, ...coordinated }, options.rounds);
  const desk = new WorkDesk({ state, evidence, audit, clock, plan, policyHash: hash });
  const enclaveKeyHash = (): Bytes => enclave.facts.kemKeyHash;
  const sessions = new Sessions({
    ...{ registry, keys, clock, random, suites: options.suites, enclaveKeyHash },
    ...(options.psk === undefined ? {} : { psk: options.psk }),
  });
  const limiter = new Limiter(options.rateLimits);
  const endSessions = (id: Uint8Array): void => sessions.revoke(id);
  const departures = new Departures({ ...base, registry, keys, runId, suites: options.suites, state, endSessions });
  const rotation = new Rotation({ ...base, dataDir, runId, keys, sessions });
  const shared = { ...base, registry, departures, sessions, state, desk, ledger, models, enclave, evidence };
  const gateway = createGateway({ ...shared, uploads, limiter, keys, policy, policyHash: hash }, keys.tls);
  const onCosigned = (): void => state.forDevices.notify();
  const witnesses = new Witnesses({ audit, writer, log, policy: options.witnesses ?? NO_WITNESSES, onCosigned });
  return { ...shared, register, rotation, keys, rounds, events, policyHash: hash, witnesses, gateway, leaves };
}

async function enclaveHost(options: ServerOptions, isolation: HostIsolation): Promise<EnclaveHost> {
  const { enclave, dataDir, tee } = options;
  if (enclave === undefined) return localHost(join(dataDir, ENCLAVE_FOLDER), isolation, teeOf(options));
  if (!("address" in enclave)) return enclave;
  return new RemoteHost(enclave, await loadLinkIdentity(dataDir), tee === "auto" ? undefined : tee);
}

async function open(parts: Parts, options: ServerOptions): Promise<{ url: string; port: number }> {
  const { blobs, ledger, audit, enclave, gateway } = parts;
  await blobs.prepare();
  await blobs.sweep(new Set((await ledger.blobsInUse()).map(toHex)));
  await audit.load();
  await parts.rotation.finish();
  parts.witnesses.start();
  await enclave.ready();
  await storeFirstModel(options.run.firstModel, parts);
  const port = await listen(gateway, options);
  wipe(parts.keys.tls.key);
  await logStart(options, parts);
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { url: options.publicUrl ?? `https://${host}:${port}`, port };
}

function teeOf({ tee = "auto" }: ServerOptions): Tee {
  return chooseTee(tee, existsSync);
}

/**
 * In reverse: nothing new comes in, what is on its way ends, then the ledger closes. finished: undefined where the
 * server never was open; then its ledger stays as it was found. Goes on where a part cannot be closed, so that keys are
 * wiped all the same, and throws the first error at the end.
 */
async function stop(parts: Parts, admin: Admin | undefined, finished: Promise<void> | undefined): Promise<void> {
  const steps: readonly (() => unknown)[] = [
    () => parts.rounds.stop(),
    () => admin?.close(),
    () => parts.gateway.close(),
    () => finished?.catch(() => undefined),
    () => parts.enclave.close(),
    () => parts.rotation.close(),
    () => parts.writer.drained(),
    () => finished && logStop(parts),
    () => parts.witnesses.close(),
    () => parts.state.show(undefined),
    () => parts.sessions.close(),
    () => parts.keys.wipe(),
    () => parts.leaves.close(),
    () => parts.db.destroy(),
  ];
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** A run whose rounds could never end with a model is refused before there is anything of it. */
function checkCounts({ run, rounds }: ServerOptions): void {
  const { target, quorum } = rounds;
  if (quorum > target) {
    throw new QflareError("config.invalid", `quorum: expected at most the target of ${target}, got ${quorum}`);
  }
  if (run.updates_min > quorum) {
    throw new QflareError(
      "config.invalid",
      `updates_min: expected at most the quorum of ${quorum}, got ${run.updates_min}`,
    );
  }
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

/** Who signs the log, and the rules of sessions where they differ from those that it names last. */
async function logStart({ suites, rateLimits, rounds }: ServerOptions, parts: Parts): Promise<void> {
  const { writer, audit } = parts;
  const keys = audit.signer.keys.map((key) => key.keyId);
  const rules = encodeCbor({ suites, rate_limits: rateLimits, quorum: rounds.quorum, target: rounds.target, keys });
  const digest = sha256(rules);
  await writer.write(async (tx) => {
    await audit.append(tx, { type: "server.started", subject: "server", digest: parts.keys.fingerprint });
    const { session_policy } = await tx.selectFrom("run").select("session_policy").executeTakeFirstOrThrow();
    if (session_policy !== null && equal(session_policy, digest)) return;
    await tx.updateTable("run").set({ session_policy: digest }).execute();
    await audit.append(tx, { type: "session.policy", subject: "server", digest, data: rules });
    await audit.appendKeys(tx, audit.signer);
  });
}

/** A full disk must not keep a server from stopping. */
async function logStop({ writer, audit, log, keys }: Parts): Promise<void> {
  if (audit.newest === undefined) return;
  const digest = keys.fingerprint;
  try {
    await writer.write((tx) => audit.append(tx, { type: "server.stopped", subject: "server", digest }));
  } catch (error) {
    log.warn({ error: String(error) }, "the stop cannot be logged");
  }
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
