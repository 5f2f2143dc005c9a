// Model of the handshake and of the records behind it: any number of devices, sessions and records.
//
//   device I, session S    static secret dk(I), signing key ds(I); per session ek(I,S), nd(I,S)
//   server                 signing key ss; what it makes fresh is a function of the first message that it answers
//   up(...), down(...)     what a record carries, named by the view of who sends it
//
// Each device wishes for the strong suite first and would take the weak one.

import { aead, att, broken, hash, kemCiphertext, kemKey, kemSecret, mac, sign, verifyKey } from "./attacker.ts";
import { labelTerm, messageTerm, partsOf, type SessionKeyTerms, scheduleTerms, type Tables } from "./tables.ts";
import { type Clause, clause, clauses, type Term, term, variables } from "./term.ts";

export interface SessionModel {
  readonly broken?: readonly ("ephemeral" | "static" | "weakSuite")[];
  /** Whether both ends hold a key beforehand that the attacker does not have. */
  readonly isPskSecret?: boolean;
  /** A check that is left out. */
  readonly unchecked?: "helloSignature" | "answerSignature";
  /** Who never speaks: the server, or the device after its first message. */
  readonly absent?: "server" | "device";
}

const { I, S, U, L, P, K, G, E, M } = variables("I", "S", "U", "L", "P", "K", "G", "E", "M");
const { Q, Q2, R1, R2, Path, Sid } = variables("Q", "Q2", "R1", "R2", "Path", "Sid");
const { Ns, Exp, Ekh, Nd, Ts, Psk } = variables("Ns", "Exp", "Ekh", "Nd", "Ts", "Psk");

export const SERVER_KEY: Term = term("ss");
const ONE = term("c_one");
const NOW = term("c_now");
/** Which key held beforehand: the model has one at most, and its id is no secret. */
const NO_PSK = term("c_psk_id");
const STRONG = term("c_strong");
export const WEAK: Term = term("c_weak");
const BOTH = term("c_strong_then_weak");

export const deviceKem = (i: Term): Term => term("dk", i);
export const deviceSigner = (i: Term): Term => term("ds", i);
const kemKeyOf = (i: Term): Term => kemKey("static", deviceKem(i));

function deviceIdTerm(tables: Tables, kemPublicKey: Term, publicKey: Term): Term {
  return hash(...partsOf(tables.deviceId, { kemKeyHash: hash(kemPublicKey), signatureKeyHash: hash(publicKey) }));
}

const HELLO_NEEDS = ["suites", "suite", "device_id", "ephemeral_public_key"];
const ANSWER_NEEDS = ["suite", "ephemeral_ciphertext", "static_ciphertext"];

/** The first message of device i in session s. */
export function helloOf(tables: Tables, i: Term, s: Term): Term {
  return messageTerm(tables, "hello", {
    v: ONE,
    suites: BOTH,
    suite: STRONG,
    device_id: deviceIdTerm(tables, kemKeyOf(i), verifyKey(deviceSigner(i))),
    nonce: term("nd", i, s),
    timestamp: NOW,
    ephemeral_public_key: kemKey("ephemeral", term("ek", i, s)),
    psk_ids: NO_PSK,
  });
}

/** Everything that both ends derive from hello, its signature, the answer and the two secrets. */
interface View {
  readonly th2: Term;
  readonly answerSignature: Term;
  readonly keys: SessionKeyTerms;
  readonly serverConfirmation: Term;
  readonly deviceConfirmation: Term;
}

interface Exchanged {
  readonly hello: Term;
  readonly helloSignature: Term;
  readonly answer: Term;
  readonly ephemeralSecret: Term;
  readonly staticSecret: Term;
  /** Where the device does not check it, any term. */
  readonly answerSignature?: Term;
}

function viewOf(tables: Tables, isPskSecret: boolean, exchanged: Exchanged): View {
  const { hello, helloSignature, answer, ephemeralSecret, staticSecret } = exchanged;
  const { transcript, confirmations, contexts } = tables;
  const th1 = hash(...partsOf(transcript.th1, { hello, helloSignature }));
  const th2 = hash(...partsOf(transcript.th2, { th1, answer, serverKey: verifyKey(SERVER_KEY) }));
  const psk = term(isPskSecret ? "psk" : "c_zeros");
  const keys = scheduleTerms(tables, { psk, ephemeralSecret, staticSecret }, th2);
  const answerSignature = exchanged.answerSignature ?? sign(SERVER_KEY, labelTerm(contexts.answer), th2);
  const serverConfirmation = mac(keys.confirmServer, partsOf(confirmations.server, { th2 }));
  const th3 = hash(...partsOf(transcript.th3, { th2, answerSignature, serverConfirmation }));
  const deviceConfirmation = mac(keys.confirmDevice, partsOf(confirmations.device, { th3 }));
  return { th2, answerSignature, keys, serverConfirmation, deviceConfirmation };
}

/** answers: sequence number of the request, for a request its own. */
export function recordTerm(
  tables: Tables,
  keys: SessionKeyTerms,
  place: { direction: "client" | "server"; sid: Term; sequence: Term; answers: Term },
  plaintext: Term,
): Term {
  const associated = partsOf(tables.recordContext, {
    direction: term(`c_${place.direction}`),
    method: term("c_method"),
    path: Path,
    sessionId: place.sid,
    sequence: place.sequence,
    answers: place.answers,
    contentType: term("c_type"),
    contentLength: term("c_length"),
  });
  const [key, iv] = place.direction === "client" ? [keys.clientKey, keys.clientIv] : [keys.serverKey, keys.serverIv];
  return aead(key, [iv, place.sequence, ...associated], plaintext);
}

/** The device holds keys that it takes for the server's: of device i, session s, with the nonce and expiry it saw. */
export const deviceReady = (i: Term, s: Term, ns: Term, exp: Term): Term => term("device_ready", i, s, ns, exp);
/** The device takes plaintext m as the answer to its request of this path and sequence number. */
export const deviceGot = (i: Term, s: Term, path: Term, q: Term, m: Term): Term => term("device_got", i, s, path, q, m);
/** The server takes plaintext m as a request of the device with these keys, in the session that hello began. */
export const serverGot = (i: Term, hello: Term, path: Term, m: Term): Term =>
  term("server_got", kemKeyOf(i), deviceSigner(i), hello, path, m);
/** The server begins a session in this suite with device i. */
export const serverBegan = (i: Term, suite: Term): Term => term("server_began", kemKeyOf(i), deviceSigner(i), suite);
/** The resumption secret of a session that device i has. */
export const deviceHolds = (i: Term, resumption: Term): Term => term("device_holds", i, resumption);
/** What device i sends in session s, named by the server's nonce that it saw, path and sequence number. */
export const up = (i: Term, s: Term, ns: Term, path: Term, q: Term): Term => term("up", i, s, ns, path, q);
/** What the server answers to device i. */
export const down = (i: Term, hello: Term, path: Term, q: Term): Term =>
  term("down", kemKeyOf(i), deviceSigner(i), hello, path, q);
/** The nonce with which the server answers a hello. */
export const nonceFor = (hello: Term): Term => term("ns", hello);

function deviceClauses(tables: Tables, model: SessionModel): Clause[] {
  const hello = helloOf(tables, I, S);
  const helloSignature = sign(deviceSigner(I), labelTerm(tables.contexts.hello), hello);
  const ephemeralKey = kemKey("ephemeral", term("ek", I, S));
  const answer = messageTerm(
    tables,
    "answer",
    {
      ...{ v: ONE, suite: STRONG, session_id: Sid, nonce: Ns, expires_at: Exp, enclave_key_hash: Ekh, psk_id: NO_PSK },
      ephemeral_ciphertext: kemCiphertext("ephemeral", ephemeralKey, R1),
      static_ciphertext: kemCiphertext("static", kemKeyOf(I), R2),
    },
    ANSWER_NEEDS,
  );
  const view = viewOf(tables, model.isPskSecret ?? false, {
    ...{ hello, helloSignature, answer },
    ephemeralSecret: kemSecret("ephemeral", ephemeralKey, R1),
    staticSecret: kemSecret("static", kemKeyOf(I), R2),
    ...(model.unchecked === "answerSignature" ? { answerSignature: G } : {}),
  });
  const ready = term("ready", I, S, Sid, Ns, Exp, Ekh, R1, R2, view.answerSignature);
  const request = recordTerm(
    tables,
    view.keys,
    { direction: "client", sid: Sid, sequence: Q, answers: Q },
    up(I, S, Ns, Path, Q),
  );
  const reply = recordTerm(tables, view.keys, { direction: "server", sid: Sid, sequence: Q2, answers: Q }, M);
  return [
    ...clauses([att(hello), att(helloSignature)]),
    clause(ready, att(answer), att(view.answerSignature), att(view.serverConfirmation)),
    clause(deviceReady(I, S, Ns, Exp), ready),
    clause(deviceHolds(I, view.keys.resumption), ready),
    ...(model.absent === "device"
      ? []
      : [clause(att(view.deviceConfirmation), ready), clause(att(request), ready, att(Path), att(Q))]),
    clause(deviceGot(I, S, Path, Q, M), ready, att(reply)),
  ];
}

function serverClauses(tables: Tables, model: SessionModel): Clause[] {
  const hello = messageTerm(
    tables,
    "hello",
    {
      ...{ v: ONE, suites: L, suite: U, nonce: Nd, timestamp: Ts, ephemeral_public_key: E, psk_ids: Psk },
      device_id: deviceIdTerm(tables, P, verifyKey(K)),
    },
    HELLO_NEEDS,
  );
  const helloSignature = model.unchecked === "helloSignature" ? G : sign(K, labelTerm(tables.contexts.hello), hello);
  const [r1, r2, sid] = ["r1", "r2", "sid"].map((name) => term(name, hello));
  const answer = messageTerm(tables, "answer", {
    ...{ v: ONE, suite: U, session_id: sid, nonce: nonceFor(hello), expires_at: NOW },
    enclave_key_hash: term("c_enclave_key_hash"),
    psk_id: NO_PSK,
    ephemeral_ciphertext: kemCiphertext("ephemeral", E, r1),
    static_ciphertext: kemCiphertext("static", P, r2),
  });
  const ephemeralSecret = kemSecret("ephemeral", E, r1);
  const staticSecret = kemSecret("static", P, r2);
  const view = viewOf(tables, model.isPskSecret ?? false, {
    ...{ hello, helloSignature, answer, ephemeralSecret, staticSecret },
  });
  const accepted = term("accepted", hello, helloSignature);
  const got = term("server_got", P, K, hello, Path, M);
  const request = recordTerm(tables, view.keys, { direction: "client", sid, sequence: Q, answers: Q }, M);
  const answered = term("down", P, K, hello, Path, Q);
  const reply = recordTerm(
    tables,
    view.keys,
    { direction: "server", sid, sequence: term("c_next"), answers: Q },
    answered,
  );
  const opened = [accepted, att(view.deviceConfirmation), att(request)];
  return [
    clause(accepted, att(hello), att(helloSignature), term("registered", P, K), term("wish", L, U)),
    clause(term("server_began", P, K, U), accepted),
    ...clauses([att(answer), att(view.answerSignature), att(view.serverConfirmation)], accepted),
    clause(got, ...opened),
    clause(att(reply), ...opened),
    // Both KEMs of the weak suite are open to the attacker.
    ...(model.broken?.includes("weakSuite")
      ? clauses([att(ephemeralSecret), att(staticSecret)], accepted, term("weak", U))
      : []),
  ];
}

/** Devices of the attacker's own are enrolled too, also with keys of others for encapsulation. */
const REGISTRY: readonly Clause[] = [
  clause(term("registered", kemKeyOf(I), deviceSigner(I))),
  clause(term("registered", P, K), att(P), att(K)),
  ...clauses([att(kemKeyOf(I)), att(verifyKey(deviceSigner(I))), att(verifyKey(SERVER_KEY))]),
];

/** The first wish that the server allows, for each list of wishes. */
const WISHES: readonly Clause[] = [
  clause(term("wish", BOTH, STRONG)),
  clause(term("wish", term("c_strong_only"), STRONG)),
  clause(term("wish", term("c_weak_only"), WEAK)),
  clause(term("weak", WEAK)),
];

export function sessionClauses(tables: Tables, model: SessionModel = {}): Clause[] {
  return [
    ...REGISTRY,
    ...WISHES,
    ...deviceClauses(tables, model),
    ...(model.absent === "server" ? [] : serverClauses(tables, model)),
    ...(["ephemeral", "static"] as const).filter((kem) => model.broken?.includes(kem)).map(broken),
  ];
}
