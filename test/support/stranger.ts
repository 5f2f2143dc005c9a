// A client of somebody who has docs/wire.md and nothing else of the project: no import from src/, and FrodoKEM from its
// own specification. Where this file and the product differ, one of them or the page is wrong.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  decapsulate as decapsulateNative,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signNative,
  verify as verifyNative,
} from "node:crypto";
import { request as httpsRequest } from "node:https";
import { connect, type TLSSocket } from "node:tls";
import { decode as decodeCbor, encode as encodeCbor, rfc8949EncodeOptions } from "cborg";
import * as frodo from "./plain-frodo.ts";
import { blobDigest, isIncluded, leafOf } from "./stranger-trees.ts";

type Bytes = Uint8Array;
type Members = Record<string, unknown>;
type Fields = Record<string, Bytes>;

// Conventions

const utf8 = (text: string): Bytes => Buffer.from(text);
const hex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");
const equal = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0;
const join = (...parts: Bytes[]): Bytes => Buffer.concat(parts);
const hash = (name: string, ...parts: Bytes[]): Bytes =>
  createHash(name)
    .update(join(...parts))
    .digest();
const sha256 = (...parts: Bytes[]): Bytes => hash("sha256", ...parts);
const hmac = (key: Bytes, ...parts: Bytes[]): Bytes =>
  createHmac("sha384", key)
    .update(join(...parts))
    .digest();
const ZEROS_32 = new Uint8Array(32);
const MIB = 2 ** 20;
const CHUNK_BYTES = 262_144;

const u32 = (value: number): Bytes => Buffer.from(value.toString(16).padStart(8, "0"), "hex");
const u64 = (value: number): Bytes => Buffer.from(value.toString(16).padStart(16, "0"), "hex");

export function LP(...parts: (Bytes | string)[]): Bytes {
  const fields = parts.map((part) => (typeof part === "string" ? utf8(part) : part));
  return join(...fields.flatMap((field) => [u32(field.length), field]));
}

const extract = (salt: Bytes, secret: Bytes): Bytes => hmac(salt, secret);

function expand(key: Bytes, info: Bytes, length: number): Bytes {
  let out: Bytes = new Uint8Array(0);
  let block: Bytes = new Uint8Array(0);
  for (let i = 1; out.length < length; i++) {
    block = hmac(key, block, info, Uint8Array.of(i));
    out = join(out, block);
  }
  return out.subarray(0, length);
}

export function write(value: Members): Bytes {
  return encodeCbor(value, rfc8949EncodeOptions);
}

/** A map with exactly these members, in the one encoding that it has. */
function read(bytes: Bytes, names: string): Members {
  const value = decodeCbor(bytes, { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false }) as Members;
  check(equal(write(value), bytes), "deterministic CBOR");
  check(Object.keys(value).sort().join(" ") === names.split(" ").sort().join(" "), `the members ${names}`);
  return value;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected ${what}`);
}

// Signatures and key exchange

function generatePair(type: string): Record<"publicKey" | "privateKey", KeyObject> {
  return generateKeyPairSync(type as never) as never;
}

function rawPublic(key: KeyObject): Bytes {
  return key.export({ format: "raw-public" } as never) as unknown as Bytes;
}

function fromRaw(key: Bytes, type: string): KeyObject {
  return createPublicKey({ key: Buffer.from(key), format: "raw-public", asymmetricKeyType: type } as never);
}

function sign(key: KeyObject, context: string, message: Bytes): Bytes {
  return signNative(null, message, { key, context: utf8(context) } as never);
}

function verify(publicKey: Bytes, context: string, message: Bytes, signature: Bytes): boolean {
  return verifyNative(
    null,
    message,
    { key: fromRaw(publicKey, "ml-dsa-44"), context: utf8(context) } as never,
    signature,
  );
}

function x25519(privateKey: KeyObject, peer: Bytes): Bytes {
  return diffieHellman({ privateKey, publicKey: fromRaw(peer, "x25519") });
}

function combine(name: string, ssX: Bytes, ssK: Bytes, ciphertext: Bytes, publicKey: Bytes): Bytes {
  return expand(extract(new Uint8Array(0), LP(ssX, ssK)), LP("qflare/v1 hybrid", name, ciphertext, publicKey), 32);
}

/** To a key of X25519+FrodoKEM-640-AES. */
function encapsulate(publicKey: Bytes): { ciphertext: Bytes; secret: Bytes } {
  const ephemeral = generatePair("x25519");
  const ssX = x25519(ephemeral.privateKey, publicKey.subarray(0, 32));
  const { ciphertext: ctK, sharedSecret: ssK } = frodo.encapsulate(publicKey.subarray(32));
  const ciphertext = join(rawPublic(ephemeral.publicKey), ctK);
  return { ciphertext, secret: combine("X25519+FrodoKEM-640-AES", ssX, ssK, ciphertext, publicKey) };
}

/** The ephemeral mechanism of a suite: a fresh key and what opens the server's encapsulation to it. */
function freshExchange(suite: string): { publicKey: Bytes; open(ciphertext: Bytes): Bytes } {
  if (suite === "QF1-FRODO") {
    const { publicKey, secretKey } = frodo.generateKeyPair();
    return { publicKey, open: (ciphertext) => frodo.decapsulate(secretKey, ciphertext) };
  }
  const x = generatePair("x25519");
  const k = generatePair("ml-kem-768");
  const publicKey = join(rawPublic(x.publicKey), rawPublic(k.publicKey));
  return {
    publicKey,
    open: (ciphertext) => {
      const ssX = x25519(x.privateKey, ciphertext.subarray(0, 32));
      const ssK = decapsulateNative(k.privateKey, ciphertext.subarray(32));
      return combine("X25519+ML-KEM-768", ssX, ssK, ciphertext, publicKey);
    },
  };
}

// AES-256-GCM and the chunked seal

function gcmSeal(key: Bytes, nonce: Bytes, associated: Bytes, plaintext: Bytes): Bytes {
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(associated);
  return join(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

function gcmOpen(key: Bytes, nonce: Bytes, associated: Bytes, sealed: Bytes): Bytes {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 }).setAAD(associated);
  decipher.setAuthTag(sealed.subarray(-16));
  return join(decipher.update(sealed.subarray(0, -16)), decipher.final());
}

function sealKeys(secret: Bytes, salt: Bytes, chunkBytes: number, context: Bytes) {
  const material = expand(extract(salt, secret), LP("qflare/v1 seal", u32(chunkBytes), context), 71);
  const prefix = material.subarray(64);
  const nonce = (i: number, isLast: boolean): Bytes => join(prefix, u32(i), Uint8Array.of(isLast ? 1 : 0));
  return { key: material.subarray(0, 32), commitment: material.subarray(32, 64), nonce };
}

export function seal(secret: Bytes, context: Bytes, plaintext: Bytes, salt: Bytes = randomBytes(32)): Bytes {
  const { key, commitment, nonce } = sealKeys(secret, salt, CHUNK_BYTES, context);
  const count = Math.max(1, Math.ceil(plaintext.length / CHUNK_BYTES));
  const chunks = Array.from({ length: count }, (_, i) => {
    const chunk = plaintext.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    return gcmSeal(key, nonce(i, i === count - 1), new Uint8Array(0), chunk);
  });
  return join(utf8("QFS1"), u32(CHUNK_BYTES), salt, commitment, ...chunks);
}

export function open(secret: Bytes, context: Bytes, blob: Bytes): Bytes {
  const header = Buffer.from(blob.subarray(0, 72));
  check(header.length === 72 && header.toString("latin1", 0, 4) === "QFS1", "the header of a seal");
  const chunkBytes = header.readUInt32BE(4);
  check(chunkBytes >= 1 && chunkBytes <= MIB, "a chunk length");
  const { key, commitment, nonce } = sealKeys(secret, header.subarray(8, 40), chunkBytes, context);
  check(equal(commitment, header.subarray(40)), "a seal under this secret and context");
  const body = blob.subarray(72);
  const stride = chunkBytes + 16;
  const count = Math.max(1, Math.ceil(body.length / stride));
  const chunks = Array.from({ length: count }, (_, i) => {
    return gcmOpen(key, nonce(i, i === count - 1), new Uint8Array(0), body.subarray(i * stride, (i + 1) * stride));
  });
  check(count === 1 || chunks.at(-1)!.length > 0, "a last chunk that is not empty");
  return join(...chunks);
}

// Token

export function parseToken(line: string) {
  const text = line.trim();
  check(text.startsWith("qflare1_"), "a token");
  const raw = Buffer.from(text.slice("qflare1_".length), "base64url");
  const body = raw.subarray(0, -4);
  check(equal(sha256(body).subarray(0, 4), raw.subarray(-4)), "the token's checksum");
  const nameEnd = 65 + raw[64];
  return {
    id: raw.subarray(0, 8),
    secret: raw.subarray(8, 32),
    fingerprint: raw.subarray(32, 64),
    name: body.toString("utf8", 65, nameEnd),
    url: body.toString("utf8", nameEnd),
  };
}

// Session

export function deviceIdOf(kemPublicKey: Bytes, signaturePublicKey: Bytes): Bytes {
  return sha256(utf8("qflare/v1 device-id"), LP(sha256(kemPublicKey), sha256(signaturePublicKey))).subarray(0, 16);
}

export function keySchedule(th2: Bytes, ssE: Bytes, ssD: Bytes) {
  const s0 = extract(new Uint8Array(0), ZEROS_32);
  const s1 = extract(expand(s0, utf8("qflare/v1 derived"), 48), ssE);
  const s2 = extract(expand(s1, utf8("qflare/v1 derived"), 48), ssD);
  const master = expand(s2, join(utf8("qflare/v1 master"), th2), 48);
  const derive = (name: string, length: number): Bytes => expand(master, join(utf8(`qflare/v1 ${name}`), th2), length);
  const confirmServer = hmac(derive("confirm server", 48), th2).subarray(0, 32);
  return {
    c2s: { key: derive("c2s key", 32), iv: derive("c2s iv", 12) },
    s2c: { key: derive("s2c key", 32), iv: derive("s2c iv", 12) },
    confirmServer,
    confirmDevice: (sig2: Bytes) =>
      hmac(derive("confirm device", 48), hash("sha384", th2, LP(sig2, confirmServer))).subarray(0, 32),
  };
}

export interface Place {
  readonly direction: "c2s" | "s2c";
  readonly method: string;
  readonly path: string;
  readonly sessionId: Bytes;
  readonly sequence: number;
  readonly answers: number;
  readonly contentType: string;
  readonly contentLength: number;
}

export function associated(place: Place): Bytes {
  const { direction, method, path, sessionId, sequence, answers, contentType, contentLength } = place;
  const numbers = [u64(sequence), u64(answers)];
  return LP("qflare/v1 record", direction, method, path, sessionId, ...numbers, contentType, u64(contentLength));
}

export function recordNonce(iv: Bytes, sequence: number): Bytes {
  const counter = u64(sequence);
  return Uint8Array.from(iv, (byte, i) => (i < 4 ? byte : byte ^ counter[i - 4]));
}

export function sealRecord(keys: { readonly key: Bytes; readonly iv: Bytes }, place: Place, plaintext: Bytes): Bytes {
  return gcmSeal(keys.key, recordNonce(keys.iv, place.sequence), associated(place), plaintext);
}

// Evidence

type Enclave = { kemPublicKey: Bytes; signaturePublicKey: Bytes; policy: Members; policyHash: Bytes };

export function reportDataOf(body: Members): Bytes {
  const { tee, nonce_root, kem_suite, kem_public_key, signature_suite, signature_public_key } = body as never;
  const { policy_hash, run_id, epoch, not_before, not_after, code_log_entry, audit_head } = body as never;
  const keys = [kem_suite, hash("sha512", kem_public_key), signature_suite, hash("sha512", signature_public_key)];
  const times = [u64(epoch), u64(not_before), u64(not_after)];
  const fields = LP("qflare/v1 enclave binding", tee, nonce_root, ...keys, policy_hash, run_id, ...times);
  return hash("sha512", fields, LP(code_log_entry, audit_head));
}

const BINDING =
  "tee nonce_root kem_suite kem_public_key signature_suite signature_public_key policy_hash run_id epoch not_before " +
  "not_after code_log_entry audit_head";
const REPORT = "tee isolation code_digest signature_public_key not_before not_after report_data";

/** The report data of simulated evidence, signed by this key. */
function simulatedReportData(evidence: Bytes, key: Bytes): Bytes {
  const { tee, document } = read(evidence, "tee document certificates") as Members & { document: Bytes };
  check(tee === "simulated", "evidence of this type");
  const { report, signature } = read(document, "report signature") as Fields;
  check(verify(key, "qflare/v1 simulated evidence", report, signature), "signed evidence");
  const fields = read(report, REPORT) as Fields & { not_before: never; not_after: never };
  check((fields.tee as unknown) === "simulated" && equal(fields.signature_public_key, key), "the enclave's own key");
  check(fields.not_before <= Date.now() && Date.now() <= fields.not_after, "evidence in force");
  return fields.report_data;
}

function appraise(offered: Members, task: Members, nonce: Bytes, runId: Bytes): Enclave {
  const { evidence, binding, policy, nonce_index, nonce_count, nonce_path } = offered as never;
  const body = read(binding, BINDING) as Record<string, Bytes> & { not_before: never; not_after: never };
  const key = body.signature_public_key;
  check(equal(reportDataOf(body), simulatedReportData(evidence, key)), "bound evidence");
  check((body.tee as unknown) === "simulated", "a binding of this type");
  check(equal(body.run_id, runId), "evidence for this run");
  check(equal(body.policy_hash, sha256(policy)) && equal(body.policy_hash, task.policy_hash as Bytes), "this policy");
  check(body.not_before <= Date.now() && Date.now() <= body.not_after, "an epoch of now");
  check(isIncluded(leafOf(nonce), nonce_index, nonce_count, nonce_path, body.nonce_root), "fresh evidence");
  check(equal(sha256(body.kem_public_key), task.enclave_key_hash as Bytes), "the task's enclave");
  checkLogged(offered, body, task.log as Members);
  checkFirst(offered.first as Members, body, task.log as Members);
  const names = "v run_id suite aggregation updates_min parameters encoding norm_max weight_cap";
  const { kem_public_key: kemPublicKey, policy_hash: policyHash } = body;
  return { kemPublicKey, signaturePublicKey: key, policy: read(policy, names), policyHash };
}

/** The entry is about this enclave, and under the root of the task's checkpoint. */
function checkLogged({ log_entry, log_index, log_path }: Members, body: Record<string, Bytes>, log: Members): void {
  const entry = read(log_entry as Bytes, "v at type subject digest data") as Fields;
  check((entry.type as unknown) === "enclave.started", "an entry about a start");
  check(equal(entry.digest, body.code_log_entry), "an entry about this program");
  const { tee, epoch, kem_public_key, signature_public_key, policy_hash } = body;
  const hashes = { kem_key_hash: sha256(kem_public_key), signature_key_hash: sha256(signature_public_key) };
  check(equal(entry.data, write({ v: 1, tee, epoch, ...hashes, policy_hash })), "an entry about this enclave");
  check(isLogged(log_entry as Bytes, Number(log_index), log_path, log), "a logged start");
}

/** The log begins with this program: runs of the tests announce none. */
function checkFirst({ log_entry, log_path }: Members, body: Record<string, Bytes>, log: Members): void {
  const entry = read(log_entry as Bytes, "v at type subject digest data") as Fields;
  check((entry.type as unknown) === "enclave.started" && equal(entry.digest, body.code_log_entry), "the first program");
  check(isLogged(log_entry as Bytes, 0, log_path, log), "a logged beginning");
}

function isLogged(entry: Bytes, index: number, path: unknown, log: Members): boolean {
  const [, size, root] = String(log.checkpoint).split("\n");
  return isIncluded(leafOf(entry), index, Number(size), path as never, Buffer.from(root, "base64"));
}

// HTTPS

type HttpAnswer = { status: number; headers: Record<string, unknown>; body: Bytes };
type HttpCall = { method: string; path: string; headers?: Record<string, string>; body?: Bytes };

const CBOR = { "content-type": "application/cbor" };

/** An answer other than 200. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor({ status, body }: HttpAnswer) {
    const { error, message } = JSON.parse(Buffer.from(body).toString()) as { error: string; message: string };
    super(message);
    this.status = status;
    this.code = error;
  }
}

/** A connection of its own for every request; pin: SHA-256 of the certificate, null for none yet. Throws Refused. */
async function call(base: URL, pin: Bytes | null, { method, path, headers = {}, body }: HttpCall): Promise<HttpAnswer> {
  const socket = await connectTo(base);
  const { raw } = socket.getPeerCertificate();
  if (pin !== null && !equal(sha256(raw), pin)) {
    socket.destroy();
    throw new Error("expected the pinned certificate");
  }
  return await new Promise((resolve, reject) => {
    const length: Record<string, string> = body === undefined ? {} : { "content-length": String(body.length) };
    const request = httpsRequest({
      method,
      path,
      host: base.hostname,
      headers: { ...headers, ...length, connection: "close" },
      createConnection: () => socket,
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const pieces: Bytes[] = [];
      response.on("data", (piece: Bytes) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const answer = { status: response.statusCode!, headers: response.headers, body: join(...pieces) };
        if (answer.status === 200) resolve(answer);
        else reject(new Refused(answer));
      });
    });
    request.end(body);
  });
}

function connectTo(base: URL): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: base.hostname,
      port: Number(base.port || 443),
      minVersion: "TLSv1.3",
      ecdhCurve: "X25519MLKEM768",
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: false,
      ...(/^[\d.]+$|:/.test(base.hostname) ? {} : { servername: base.hostname }),
    });
    socket.once("error", reject);
    socket.once("secureConnect", () => resolve(socket));
  });
}

// The client

export interface Work {
  readonly state: string;
  readonly task: (Members & { round: number }) | null;
  readonly evidence: Members | null;
  readonly outcome: { round: number; verdict: string; reason: string | null } | null;
  readonly nonce: Bytes;
}

export type Model = { round: number; parameters: Float32Array; digest: Bytes; enclave: Enclave };

export class Stranger {
  readonly deviceId: Bytes;
  readonly runId: Bytes;
  readonly #base: URL;
  readonly #pin: Bytes;
  readonly #serverKey: Bytes;
  readonly #kemSecretKey: Bytes;
  readonly #signingKey: KeyObject;
  #session:
    | {
        id: Bytes;
        keys: ReturnType<typeof keySchedule>;
        confirm: Bytes;
        isConfirmed: boolean;
        sent: number;
        seen: Set<number>;
      }
    | undefined;

  private constructor(base: URL, identity: Members, kemSecretKey: Bytes, signingKey: KeyObject, enrolled: Members) {
    this.#base = base;
    this.#pin = identity.tls_certificate_sha256 as Bytes;
    this.#serverKey = identity.signature_public_key as Bytes;
    this.#kemSecretKey = kemSecretKey;
    this.#signingKey = signingKey;
    this.deviceId = enrolled.device_id as Bytes;
    this.runId = enrolled.run_id as Bytes;
  }

  static async enroll(line: string): Promise<Stranger> {
    const token = parseToken(line);
    const base = new URL(token.url);
    const first = await call(base, null, { method: "GET", path: "/api/identity" });
    check(equal(sha256(first.body), token.fingerprint), "the server in the token");
    const identity = read(first.body, "v signature_public_key longterm_public_key tls_certificate_sha256");
    const kem = frodo.generateKeyPair();
    const signing = generatePair("ml-dsa-44");
    const message = write({
      v: 1,
      enrollment_token: token.id,
      name: token.name,
      kem: "FrodoKEM-640-AES",
      kem_public_key: kem.publicKey,
      signature_scheme: "ML-DSA-44",
      signature_public_key: rawPublic(signing.publicKey),
      server_fingerprint: token.fingerprint,
    });
    const signature = sign(signing.privateKey, "qflare/v1 enroll", message);
    const mac = hmac(token.secret, utf8("qflare/v1 enroll mac"), LP(message, signature));
    const body = write({ message, signature, mac });
    const pin = identity.tls_certificate_sha256 as Bytes;
    const answer = await call(base, pin, { method: "POST", path: "/api/enroll", headers: CBOR, body });
    const outer = read(answer.body, "message signature") as Fields;
    const serverKey = identity.signature_public_key as Bytes;
    check(verify(serverKey, "qflare/v1 enrolled", outer.message, outer.signature), "the server's signature");
    const enrolled = read(outer.message, "v request_digest device_id name run_id enrolled_at");
    check(equal(enrolled.request_digest as Bytes, hash("sha384", body)), "an answer to this request");
    const id = deviceIdOf(kem.publicKey, rawPublic(signing.publicKey));
    check(equal(enrolled.device_id as Bytes, id), "the device id of these keys");
    return new Stranger(base, identity, kem.secretKey, signing.privateKey, enrolled);
  }

  async openSession(suites: readonly string[] = ["QF2-HYBRID", "QF1-FRODO"]): Promise<void> {
    const exchange = freshExchange(suites[0]);
    const hello = write({
      v: 1,
      suites,
      suite: suites[0],
      device_id: this.deviceId,
      nonce: randomBytes(32),
      timestamp: Date.now(),
      ephemeral_public_key: exchange.publicKey,
      psk_ids: [],
    });
    const sig1 = sign(this.#signingKey, "qflare/v1 hs1", hello);
    const body = write({ message: hello, signature: sig1 });
    const answer = await call(this.#base, this.#pin, { method: "POST", path: "/api/challenge", headers: CBOR, body });
    const outer = read(answer.body, "message signature confirmation") as Fields;
    const names = "v suite session_id nonce expires_at ephemeral_ciphertext static_ciphertext enclave_key_hash psk_id";
    const inner = read(outer.message, names) as Fields;
    const th1 = hash("sha384", LP("qflare/v1 m1", hello, sig1));
    const th2 = hash("sha384", th1, LP(outer.message, this.#serverKey));
    check(verify(this.#serverKey, "qflare/v1 hs2", th2, outer.signature), "the server's signature");
    check((inner.suite as unknown) === suites[0], "the suite of the hello");
    const ssD = frodo.decapsulate(this.#kemSecretKey, inner.static_ciphertext);
    const keys = keySchedule(th2, exchange.open(inner.ephemeral_ciphertext), ssD);
    check(equal(keys.confirmServer, outer.confirmation), "the server's confirmation");
    const confirm = keys.confirmDevice(outer.signature);
    this.#session = { id: inner.session_id, keys, confirm, isConfirmed: false, sent: 0, seen: new Set() };
  }

  /** One request of the session; with a blob it is a submit. */
  async request(method: string, path: string, plaintext: Bytes, blob?: Bytes): Promise<Bytes> {
    const session = this.#session!;
    const sequence = session.sent++;
    const contentType = blob === undefined ? "application/qflare-record" : "application/qflare-update";
    const contentLength = blob?.length ?? 0;
    const common = { method, path, sessionId: session.id, answers: sequence };
    const place: Place = { ...common, direction: "c2s", sequence, contentType, contentLength };
    const record = sealRecord(session.keys.c2s, place, plaintext);
    const answer = await call(this.#base, this.#pin, {
      method,
      path,
      headers: {
        "qflare-session": hex(session.id),
        "qflare-sequence": String(sequence),
        ...(session.isConfirmed ? {} : { "qflare-confirm": hex(session.confirm) }),
        ...(blob === undefined
          ? { "qflare-record": Buffer.from(record).toString("base64url") }
          : { "content-type": contentType }),
      },
      ...(blob === undefined ? {} : { body: join(u32(record.length), record, blob) }),
    });
    const theirs = Number(answer.headers["qflare-sequence"]);
    const { key, iv } = session.keys.s2c;
    const type = "application/qflare-record";
    const from: Place = { ...common, direction: "s2c", sequence: theirs, contentType: type, contentLength: 0 };
    const opened = gcmOpen(key, recordNonce(iv, theirs), associated(from), answer.body);
    check(!session.seen.has(theirs), "a record that has not been there before");
    session.seen.add(theirs);
    session.isConfirmed = true;
    return opened;
  }

  async askForWork(afterRound: number): Promise<Work> {
    const nonce = randomBytes(32);
    const asked = write({ after_round: afterRound, wait_ms: 25_000, nonce, log_size: 0 });
    const answer = read(await this.request("GET", "/api/global_model", asked), "state task evidence outcome");
    return { ...(answer as unknown as Omit<Work, "nonce">), nonce };
  }

  async fetchModel({ task, evidence, nonce }: Work): Promise<Model> {
    const { round, model_blob, model_blob_length, content_key, statement, statement_signature } = task as never;
    const enclave = appraise(evidence!, task!, nonce, this.runId);
    const key = enclave.signaturePublicKey;
    check(verify(key, "qflare/v1 model", statement, statement_signature), "the enclave's signature");
    const names = "v run_id round model_digest model_length base_digest report_digest policy_hash epoch";
    const signed = read(statement, names) as Fields;
    check(equal(signed.run_id, this.runId) && Number(signed.round) < Number(round), "a model of this run, from before");
    const answer = await call(this.#base, this.#pin, { method: "GET", path: `/api/models/${hex(model_blob)}` });
    check(answer.body.length === model_blob_length && equal(blobDigest(answer.body), model_blob), "the blob asked for");
    const file = open(content_key, LP("qflare/v1 sealed model", signed.model_digest), answer.body);
    check(equal(blobDigest(file), signed.model_digest), "the model in the statement");
    return { round, parameters: this.#parametersOf(file, enclave), digest: signed.model_digest, enclave };
  }

  #parametersOf(file: Bytes, { policy }: Enclave): Float32Array {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const start = 8 + Number(view.getBigUint64(0, true));
    const count = (file.length - start) / 4;
    check(count === policy.parameters, "the policy's number of parameters");
    return Float32Array.from({ length: count }, (_, i) => view.getFloat32(start + 4 * i, true));
  }

  /** send() gives the receipt, checked; the same update can go again. */
  async submit(model: Model, delta: Float32Array, examples: number): Promise<{ send(): Promise<Members> }> {
    const { kemPublicKey, policyHash } = model.enclave;
    const plaintext = Buffer.alloc(4 * delta.length);
    for (const [i, value] of delta.entries()) plaintext.writeFloatLE(value, 4 * i);
    const bound = { base_digest: model.digest, policy_hash: policyHash, enclave_key_hash: sha256(kemPublicKey) };
    const place = { run_id: this.runId, round: model.round, device_id: this.deviceId, ...bound };
    const ids = [this.deviceId, ...Object.values(bound)];
    const context = LP("qflare/v1 sealed update", this.runId, u64(model.round), ...ids);
    const { ciphertext, secret } = encapsulate(kemPublicKey);
    const blob = join(ciphertext, seal(secret, context, plaintext));
    const manifest = write({
      v: 1,
      ...place,
      blob_digest: blobDigest(blob),
      blob_length: blob.length,
      encoding: "f32",
      examples,
      sequence: Date.now(),
    });
    const submit = write({ manifest, signature: sign(this.#signingKey, "qflare/v1 update", manifest), log_size: 0 });
    return {
      send: async () => this.#checkReceipt(await this.request("POST", "/api/submit_model", submit, blob), manifest),
    };
  }

  #checkReceipt(encoded: Bytes, manifest: Bytes): Members {
    const outer = read(encoded, "receipt signature log_proof log_consistency") as Fields;
    check(verify(this.#serverKey, "qflare/v1 receipt", outer.receipt, outer.signature), "a signed receipt");
    const names = "v run_id round device_id blob_digest manifest_digest accepted_at audit_index";
    const receipt = read(outer.receipt, names) as Fields;
    const blobDigestSigned = (decodeCbor(manifest) as Record<string, Bytes>).blob_digest;
    check(equal(receipt.manifest_digest, sha256(manifest)), "a receipt for this manifest");
    check(equal(receipt.blob_digest, blobDigestSigned), "a receipt for this blob");
    return receipt;
  }
}
