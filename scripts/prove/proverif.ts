// The handshake for ProVerif (Blanchet, https://proverif.inria.fr), which can say what Horn clauses cannot: that each
// end of a session answers exactly one session of the other, and that each request is taken once.

import { type Input, isLabel } from "../../src/wire/transcript.ts";
import type { MessageName, Tables } from "./tables.ts";

export interface Scenario {
  readonly name: string;
  /** Handed out before the first session, or after the last. */
  readonly leaks?: readonly Key[];
  readonly leaksLater?: readonly Key[];
  readonly broken?: readonly ("ephemeral" | "static")[];
  readonly isPskSecret?: boolean;
  /** Queries that are false by design. */
  readonly fails: readonly Query[];
}

type Key = "deviceKem" | "deviceSigner" | "serverSigner";
export type Query = keyof typeof QUERIES;

/** In ProVerif's own words, in the order in which it answers. */
export const QUERIES = {
  requests: "query attacker(new up).",
  answers: "query attacker(new down).",
  server: "query i, k: bitstring; inj-event(device_ready(i, k)) ==> inj-event(server_answered(i, k)).",
  device: "query i, k: bitstring; inj-event(server_live(i, k)) ==> inj-event(device_ready(i, k)).",
  once: "query i, m: bitstring; inj-event(server_got(i, m)) ==> inj-event(device_sent(i, m)).",
  deviceSanity: "query event(device_done()).",
  serverSanity: "query event(server_done()).",
} as const;

/** The last two ask whether something can happen: that they are false says that it can. */
const SANITY: readonly Query[] = ["deviceSanity", "serverSanity"];

export const SCENARIOS: readonly Scenario[] = [
  { name: "base", fails: [] },
  { name: "all-keys-leak-later", leaksLater: ["deviceKem", "deviceSigner", "serverSigner"], fails: [] },
  { name: "device-kem-leaked", leaks: ["deviceKem"], fails: [] },
  { name: "device-keys-leaked", leaks: ["deviceKem", "deviceSigner"], fails: ["answers", "device", "once"] },
  { name: "server-signer-leaked", leaks: ["serverSigner"], fails: ["requests", "server"] },
  { name: "ephemeral-broken", broken: ["ephemeral"], fails: [] },
  { name: "static-broken", broken: ["static"], fails: [] },
  { name: "both-broken-psk", broken: ["ephemeral", "static"], isPskSecret: true, fails: [] },
  { name: "both-broken", broken: ["ephemeral", "static"], fails: ["requests", "answers", "device", "once"] },
];

/** Whether each query should be true, in the order of QUERIES. */
export function expectedAnswers({ fails }: Scenario): boolean[] {
  return (Object.keys(QUERIES) as Query[]).map((query) => !fails.includes(query) && !SANITY.includes(query));
}

/** ProVerif's answers in its output. */
export function answersIn(output: string): ("true" | "false" | "unproved")[] {
  return [...output.matchAll(/^RESULT .* (is true|is false|cannot be proved)\.?$/gm)].map(([, words]) =>
    words === "is true" ? "true" : words === "is false" ? "false" : "unproved",
  );
}

type Values = Readonly<Record<string, string>>;

/** A message as a tuple: a field that has no value is a constant that everybody knows. */
function tuple(tables: Tables, name: MessageName, values: Values): string {
  return `(${tables.fields[name].map((field) => values[field] ?? "zero").join(", ")})`;
}

/** The same as a pattern: what has no value is read by nobody. */
function pattern(tables: Tables, name: MessageName, values: Values): string {
  return `(${tables.fields[name].map((field) => values[field] ?? `${field}_: bitstring`).join(", ")})`;
}

function parts(input: Input, values: Values): string {
  return `(${input
    .flat()
    .map((part) => (isLabel(part) ? labelName(part) : (values[part] ?? "zero")))
    .join(", ")})`;
}

function labelName(label: string): string {
  return `l_${label.replaceAll(/[^a-zA-Z0-9]+/g, "_")}`;
}

function labelsOf(tables: Tables): string[] {
  const { transcript, confirmations, keys, step, master, recordContext, deviceId, contexts } = tables;
  const inputs = [...Object.values(transcript), ...Object.values(confirmations), ...Object.values(keys)];
  const used = [...inputs, step, master, recordContext, deviceId].flat(2).filter(isLabel);
  return [...new Set([...used, contexts.hello, contexts.answer])].map(labelName);
}

/** th1 to the keys, as both ends write it; each end has its own terms for the two secrets. */
function schedule(tables: Tables, ephemeralSecret: string, staticSecret: string): string {
  const values: Values = { psk: "psk", ephemeralSecret, staticSecret };
  const root = tables.secrets.reduce((last, name) => {
    const salt = last === "" ? "zero" : `hkdf_expand(${last}, ${parts(tables.step, {})})`;
    return `hkdf_extract(${salt}, ${values[name]})`;
  }, "");
  const confirmed: Values = { th2: "th2", answerSignature: "sig2", serverConfirmation: "confirm_s" };
  const key = (name: keyof Tables["keys"]): string =>
    `hkdf_expand(master, ${parts(tables.keys[name], { th2: "th2" })})`;
  return `
  let master = hkdf_expand(${root}, ${parts(tables.master, { th2: "th2" })}) in
  let client_key = (${key("clientKey")}, ${key("clientIv")}) in
  let server_key = (${key("serverKey")}, ${key("serverIv")}) in
  let confirm_s = mac(${key("confirmServer")}, ${parts(tables.confirmations.server, { th2: "th2" })}) in
  let th3 = hash(${parts(tables.transcript.th3, confirmed)}) in
  let confirm_d = mac(${key("confirmDevice")}, ${parts(tables.confirmations.device, { th3: "th3" })}) in`;
}

function hashes(tables: Tables): string {
  const { th1, th2 } = tables.transcript;
  return `
  let th1 = hash(${parts(th1, { hello: "hello", helloSignature: "sig1" })}) in
  let th2 = hash(${parts(th2, { th1: "th1", answer: "answer", serverKey: "server" })}) in`;
}

function record(tables: Tables, direction: string): string {
  return parts(tables.recordContext, { direction, sessionId: "sid" });
}

const PRIMITIVES = `
free c: channel.
fun kem_key(bitstring): bitstring.
fun kem_ct(bitstring, bitstring): bitstring.
fun kem_secret(bitstring, bitstring): bitstring.
reduc forall k, r: bitstring; decaps(k, kem_ct(kem_key(k), r)) = kem_secret(kem_key(k), r).
fun vk(bitstring): bitstring.
fun sign(bitstring, bitstring, bitstring): bitstring.
reduc forall k, x, m: bitstring; verify(vk(k), x, m, sign(k, x, m)) = true.
fun aead(bitstring, bitstring, bitstring): bitstring.
reduc forall k, a, m: bitstring; open(k, a, aead(k, a, m)) = m.
fun hash(bitstring): bitstring.
fun mac(bitstring, bitstring): bitstring.
fun hkdf_extract(bitstring, bitstring): bitstring.
fun hkdf_expand(bitstring, bitstring): bitstring.
const zero, strong, weak, strong_then_weak, weak_only, to_server, to_device: bitstring.
table devices(bitstring, bitstring, bitstring).
event device_ready(bitstring, bitstring).
event server_answered(bitstring, bitstring).
event server_live(bitstring, bitstring).
event device_sent(bitstring, bitstring).
event server_got(bitstring, bitstring).
event device_done().
event server_done().`;

function deviceProcess(tables: Tables): string {
  const hello = {
    suites: "strong_then_weak",
    suite: "strong",
    device_id: "id",
    nonce: "nd",
    ephemeral_public_key: "kem_key(ek)",
  };
  const answer = pattern(tables, "answer", {
    ...{ suite: "=strong", session_id: "sid: bitstring" },
    ...{ ephemeral_ciphertext: "ct_e: bitstring", static_ciphertext: "ct_d: bitstring" },
  });
  return `
let Device(dk: bitstring, ds: bitstring, id: bitstring, server: bitstring) =
  new ek: bitstring; new nd: bitstring;
  let hello = ${tuple(tables, "hello", hello)} in
  let sig1 = sign(ds, ${labelName(tables.contexts.hello)}, hello) in
  out(c, (hello, sig1));
  in(c, (answer: bitstring, sig2: bitstring, seen: bitstring));
  let ${answer} = answer in${hashes(tables)}
  if verify(server, ${labelName(tables.contexts.answer)}, th2, sig2) then
  let ss_e = decaps(ek, ct_e) in
  let ss_d = decaps(dk, ct_d) in${schedule(tables, "ss_e", "ss_d")}
  if seen = confirm_s then
  event device_ready(id, client_key);
  new up: bitstring;
  event device_sent(id, up);
  out(c, (confirm_d, aead(client_key, ${record(tables, "to_server")}, up)));
  in(c, reply: bitstring);
  let got = open(server_key, ${record(tables, "to_device")}, reply) in
  event device_done().`;
}

function serverProcess(tables: Tables, broken: Scenario["broken"] = []): string {
  const hello = pattern(tables, "hello", {
    ...{ suites: "suites: bitstring", suite: "suite: bitstring", device_id: "id: bitstring" },
    ephemeral_public_key: "e: bitstring",
  });
  const answer = tuple(tables, "answer", {
    ...{ suite: "suite", session_id: "sid", nonce: "ns" },
    ...{ ephemeral_ciphertext: "kem_ct(e, r1)", static_ciphertext: "kem_ct(p, r2)" },
  });
  const keys = schedule(tables, "kem_secret(e, r1)", "kem_secret(p, r2)");
  const opened = { ephemeral: "out(c, kem_secret(e, r1));", static: "out(c, kem_secret(p, r2));" };
  return `
let Server(ss: bitstring, server: bitstring) =
  in(c, (hello: bitstring, sig1: bitstring));
  let ${hello} = hello in
  get devices(=id, p, v) in
  if verify(v, ${labelName(tables.contexts.hello)}, hello, sig1) then
  if (suites, suite) = (strong_then_weak, strong) || (suites, suite) = (weak_only, weak) then
  new sid: bitstring; new ns: bitstring; new r1: bitstring; new r2: bitstring;
  let answer = ${answer} in${hashes(tables)}
  let sig2 = sign(ss, ${labelName(tables.contexts.answer)}, th2) in${keys}
  event server_answered(id, client_key);
  ${broken.map((kem) => opened[kem]).join(" ")}
  out(c, (answer, sig2, confirm_s));
  in(c, (=confirm_d, request: bitstring));
  let got = open(client_key, ${record(tables, "to_server")}, request) in
  event server_live(id, client_key);
  event server_got(id, got);
  event server_done();
  new down: bitstring;
  out(c, aead(server_key, ${record(tables, "to_device")}, down)).`;
}

/** The text of a .pv file. */
export function proverifModel(tables: Tables, scenario: Scenario): string {
  const { leaks = [], leaksLater = [], isPskSecret = false } = scenario;
  const deviceKeys = { deviceKem: "dk", deviceSigner: "ds" } as const;
  const own = (keys: readonly Key[]): string[] =>
    keys.flatMap((key) => (key === "serverSigner" ? [] : [`out(c, ${deviceKeys[key]})`]));
  const afterwards = own(leaksLater).map((leak) => ` | (phase 1; ${leak})`);
  const id = `hash(${parts(tables.deviceId, { kemKeyHash: "hash(kem_key(dk))", signatureKeyHash: "hash(vk(ds))" })})`;
  return `(* ${scenario.name} *)${PRIMITIVES}
const ${labelsOf(tables).join(", ")}: bitstring.
${isPskSecret ? "free psk: bitstring [private]." : "const psk: bitstring."}
${Object.values(QUERIES).join("\n")}
${deviceProcess(tables)}
${serverProcess(tables, scenario.broken)}

process
  new ss: bitstring;
  let server = vk(ss) in
  out(c, server);
  ${leaks.includes("serverSigner") ? "out(c, ss);" : ""}
  ( (!Server(ss, server))
  | (!(new dk: bitstring; new ds: bitstring;
       let id = ${id} in
       insert devices(id, kem_key(dk), vk(ds));
       out(c, (id, kem_key(dk), vk(ds)));
       ${own(leaks)
         .map((leak) => `${leak};`)
         .join(" ")}
       ((!Device(dk, ds, id, server))${afterwards.join("")})))
  ${leaksLater.includes("serverSigner") ? "| (phase 1; out(c, ss))" : ""})
`;
}
