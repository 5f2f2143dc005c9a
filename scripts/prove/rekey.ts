// Model of a device's re-key: any number of devices, each of which replaces its keys once.
//
//   device I    old keys dk(I), ds(I), new keys dk2(I), ds2(I)
//   server      signing key ss
//
// A request counts in a session of the old keys alone. That is taken from session.ts in the weakest form that is
// proved there: who holds both keys of a device can open its session, and nobody else but the device itself.

import { att, hash, kemKey, sign, verifyKey } from "./attacker.ts";
import { deviceKem, deviceSigner, SERVER_KEY } from "./session.ts";
import { labelTerm, messageTerm, partsOf, type Tables } from "./tables.ts";
import { type Clause, clause, clauses, type Term, term, variables } from "./term.ts";

export interface RekeyModel {
  readonly unchecked?: readonly ("session" | "oldSignature" | "newSignature" | "answer")[];
  readonly absent?: "server";
}

const { I, D, K, D2, K2, G1, G2, At, Run } = variables("I", "D", "K", "D2", "K2", "G1", "G2", "At", "Run");
const ONE = term("c_one");
const RUN = term("c_run");

const newKem = (i: Term): Term => term("dk2", i);
export const newSigner = (i: Term): Term => term("ds2", i);
const publicKem = (secret: Term): Term => kemKey("static", secret);

/** The server puts the second pair of keys in the place of the first. In secret keys; it sees the public ones. */
export const replaced = (kem: Term, signer: Term, kem2: Term, signer2: Term): Term =>
  term("replaced", kem, signer, kem2, signer2);
export const deviceReplaced = (i: Term): Term => term("device_replaced", i);

function idOf(tables: Tables, kem: Term, signer: Term): Term {
  const hashes = { kemKeyHash: hash(publicKem(kem)), signatureKeyHash: hash(verifyKey(signer)) };
  return hash(...partsOf(tables.deviceId, hashes));
}

interface Request {
  readonly message: Term;
  readonly old: Term;
  readonly fresh: Term;
}

function requestOf(tables: Tables, kem: Term, signer: Term, kem2: Term, signer2: Term): Request {
  const message = messageTerm(
    tables,
    "rekey",
    {
      ...{ v: ONE, run_id: RUN, device_id: idOf(tables, kem, signer), kem: term("c_kem") },
      ...{ kem_public_key: publicKem(kem2), signature_scheme: term("c_signature") },
      signature_public_key: verifyKey(signer2),
    },
    ["device_id", "kem_public_key", "signature_public_key"],
  );
  const old = sign(signer, labelTerm(tables.contexts.rekeyOld), message);
  return { message, old, fresh: sign(signer2, labelTerm(tables.contexts.rekeyNew), message) };
}

function answerOf(tables: Tables, whole: Term, id: Term, rest: { at: Term; run: Term }): Term {
  const fields = { v: ONE, request_digest: hash(whole), device_id: id, run_id: rest.run, rekeyed_at: rest.at };
  return messageTerm(tables, "rekeyed", fields);
}

function deviceClauses(tables: Tables, model: RekeyModel): Clause[] {
  const keys = [deviceKem(I), deviceSigner(I), newKem(I), newSigner(I)] as const;
  const { message, old, fresh } = requestOf(tables, ...keys);
  const whole = term("m_rekey_request", message, old, fresh);
  const answer = answerOf(tables, whole, idOf(tables, newKem(I), newSigner(I)), { at: At, run: Run });
  const signature = sign(SERVER_KEY, labelTerm(tables.contexts.rekeyed), answer);
  return [
    clause(att(whole)),
    clause(term("in_session", deviceKem(I), deviceSigner(I), whole)),
    clause(deviceReplaced(I), att(answer), ...(model.unchecked?.includes("answer") ? [] : [att(signature)])),
  ];
}

function serverClauses(tables: Tables, model: RekeyModel): Clause[] {
  const { message, old, fresh } = requestOf(tables, D, K, D2, K2);
  const seenOld = model.unchecked?.includes("oldSignature") ? G1 : old;
  const seenFresh = model.unchecked?.includes("newSignature") ? G2 : fresh;
  const whole = term("m_rekey_request", message, seenOld, seenFresh);
  const done = term("rekey_accepted", D, K, D2, K2, whole);
  const answer = answerOf(tables, whole, idOf(tables, D2, K2), { at: term("c_now"), run: RUN });
  const inSession = model.unchecked?.includes("session") ? att(whole) : term("in_session", D, K, whole);
  return [
    clause(done, inSession, term("registered", D, K)),
    clause(replaced(D, K, D2, K2), done),
    ...clauses([att(answer), att(sign(SERVER_KEY, labelTerm(tables.contexts.rekeyed), answer))], done),
  ];
}

export function rekeyClauses(tables: Tables, model: RekeyModel = {}): Clause[] {
  const { W } = variables("W");
  return [
    clause(term("registered", deviceKem(I), deviceSigner(I))),
    clause(term("registered", D, K), att(D), att(K)),
    // The session of a device, or of whoever holds both its keys.
    clause(term("in_session", D, K, W), att(D), att(K), att(W)),
    ...clauses([publicKem(deviceKem(I)), verifyKey(deviceSigner(I)), verifyKey(newSigner(I))].map(att)),
    ...clauses([att(publicKem(newKem(I))), att(verifyKey(SERVER_KEY))]),
    ...deviceClauses(tables, model),
    ...(model.absent === "server" ? [] : serverClauses(tables, model)),
  ];
}
