// Model of enrolment: any number of tokens and devices, all in the clear on the attacker's network.
//
//   token T     secret mac(pepper, T), handed to one device out of band together with the server's fingerprint
//   device T    fresh keys dk(T), ds(T) under the token T
//   server      signing key ss, pinned by the fingerprint
//
// The operator also hands tokens to the attacker, whose devices have names of their own.

import { LABELS } from "../../src/wire/labels.ts";
import { att, hash, kemKey, mac, sign, verifyKey } from "./attacker.ts";
import { labelTerm, messageTerm, partsOf, type Tables } from "./tables.ts";
import { type Clause, clause, clauses, type Term, term, variables } from "./term.ts";

export interface EnrolmentModel {
  /** A check that is left out. */
  readonly unchecked?: "mac" | "signature" | "fingerprint" | "answer";
  readonly absent?: "server";
  /** The server enrols every token but this one. */
  readonly refused?: Term;
}

const { T, P, K, G, A, Run, At, Name } = variables("T", "P", "K", "G", "A", "Run", "At", "Name");
const ONE = term("c_one");
const SERVER_KEY = term("ss");
export const PEPPER = term("pepper");
export const ATTACKERS_TOKEN = term("c_attackers_token");

export const tokenSecretOf = (token: Term): Term => mac(PEPPER, [labelTerm(LABELS.tokenSecret), token]);
export const honestToken = (i: Term): Term => term("token", i);
/** The server holds kemKey and the public key of signer for the token's name. */
export const enrolled = (token: Term, kemPublicKey: Term, signer: Term): Term =>
  term("enrolled", token, kemPublicKey, signer);
/** The device of the token takes the server with this signing key for its own, and itself for enrolled. */
export const deviceEnrolled = (token: Term, serverSigner: Term): Term => term("device_enrolled", token, serverSigner);

/** The other key of an identity verifies nothing here. */
function identityOf(tables: Tables, signer: Term): Term {
  const keys = { signature_public_key: verifyKey(signer), longterm_public_key: term("c_longterm_key") };
  return messageTerm(tables, "identity", { v: ONE, ...keys, tls_certificate_sha256: term("c_certificate") });
}
const fingerprintOf = (tables: Tables, signer: Term): Term => hash(identityOf(tables, signer));
const nameOf = (token: Term): Term => term("c_name", token);
const deviceKemKey = (token: Term): Term => kemKey("static", term("dk", token));
export const signerUnder = (token: Term): Term => term("ds", token);

interface Request {
  readonly message: Term;
  readonly signature: Term;
  readonly whole: Term;
}

/** What a device with these keys sends under a token. */
function requestOf(tables: Tables, token: Term, kemPublicKey: Term, signer: Term, serverSigner: Term): Request {
  const message = messageTerm(
    tables,
    "enroll",
    {
      ...{ v: ONE, enrollment_token: token, name: nameOf(token), kem: term("c_kem"), kem_public_key: kemPublicKey },
      ...{ signature_scheme: term("c_signature"), signature_public_key: verifyKey(signer) },
      server_fingerprint: fingerprintOf(tables, serverSigner),
    },
    ["enrollment_token", "name", "kem_public_key", "signature_public_key"],
  );
  const signature = sign(signer, labelTerm(tables.contexts.enroll), message);
  const whole = term("m_enroll_request", message, signature, macOf(tables, token, message, signature));
  return { message, signature, whole };
}

function macOf(tables: Tables, token: Term, message: Term, signature: Term): Term {
  return mac(tokenSecretOf(token), partsOf(tables.enrollMac, { message, signature }));
}

function answerOf(tables: Tables, request: Term, id: Term, rest: { name: Term; run: Term; at: Term }): Term {
  return messageTerm(tables, "enrolled", {
    ...{ v: ONE, request_digest: hash(request), device_id: id },
    ...{ name: rest.name, run_id: rest.run, enrolled_at: rest.at },
  });
}

function idOf(tables: Tables, kemPublicKey: Term, signer: Term): Term {
  const hashes = { kemKeyHash: hash(kemPublicKey), signatureKeyHash: hash(verifyKey(signer)) };
  return hash(...partsOf(tables.deviceId, hashes));
}

function deviceClauses(tables: Tables, { unchecked }: EnrolmentModel): Clause[] {
  const token = honestToken(T);
  // Without the comparison of fingerprints the device takes whatever identity it is told, here the one of signer K.
  const server = unchecked === "fingerprint" ? K : SERVER_KEY;
  const told = att(identityOf(tables, server));
  const { message, signature, whole } = requestOf(tables, token, deviceKemKey(token), signerUnder(token), server);
  const id = idOf(tables, deviceKemKey(token), signerUnder(token));
  const answer = answerOf(tables, whole, id, { name: Name, run: Run, at: At });
  const answerSignature = sign(server, labelTerm(tables.contexts.enrolled), answer);
  const proof = unchecked === "answer" ? [] : [att(answerSignature)];
  return [
    ...clauses([att(message), att(signature), att(whole)], told),
    clause(deviceEnrolled(token, server), told, att(answer), ...proof),
  ];
}

function serverClauses(tables: Tables, { unchecked, refused }: EnrolmentModel): Clause[] {
  const { message, signature } = requestOf(tables, T, P, K, SERVER_KEY);
  const seenSignature = unchecked === "signature" ? G : signature;
  const seenMac = unchecked === "mac" ? A : macOf(tables, T, message, seenSignature);
  const request = term("m_enroll_request", message, seenSignature, seenMac);
  const accepted = term("accepted", T, P, K, request);
  const answer = answerOf(tables, request, idOf(tables, P, K), {
    name: nameOf(T),
    run: term("c_run"),
    at: term("c_now"),
  });
  return [
    clause(accepted, att(request), term("issued", T)),
    clause(enrolled(T, P, K), accepted),
    ...clauses([att(answer), att(sign(SERVER_KEY, labelTerm(tables.contexts.enrolled), answer))], accepted),
    clause(term("issued", ATTACKERS_TOKEN)),
    clause(att(tokenSecretOf(ATTACKERS_TOKEN))),
    clause(term("issued", refused === undefined ? honestToken(T) : honestToken(term("next", T)))),
  ];
}

export function enrolmentClauses(tables: Tables, model: EnrolmentModel = {}): Clause[] {
  return [
    // A token's id and name are no secret.
    ...clauses([att(honestToken(T)), att(verifyKey(SERVER_KEY)), att(identityOf(tables, SERVER_KEY))]),
    ...deviceClauses(tables, model),
    ...(model.absent === "server" ? [] : serverClauses(tables, model)),
  ];
}
