// Model of the rotation of a server's identity: an endless line of identities, each announced by the one before.
//
//   identity N    signing keys sk(N), lk(N); the one after it is next(N)
//   device        pins an identity, and its next where it has seen that announced
//
// Every announcement of the line is in the attacker's hands from the start.

import { att, hash, sign, verifyKey } from "./attacker.ts";
import { labelTerm, messageTerm, type Tables } from "./tables.ts";
import { type Clause, clause, clauses, type Term, term, variables } from "./term.ts";

export interface RotationModel {
  /** Whether the device had pinned the next identity before. */
  readonly hasPinnedNext?: boolean;
  readonly unchecked?: "signature" | "longtermSignature";
  /** Where the device begins; anywhere in the line unless said. */
  readonly start?: Term;
}

const { N, K, L, C, Next, G1, G2 } = variables("N", "K", "L", "C", "Next", "G1", "G2");

export const nextOf = (n: Term): Term => term("c_next_identity", n);
export const signerOf = (n: Term): Term => term("sk", n);
export const longtermOf = (n: Term): Term => term("lk", n);
/** The first identity of the line, which no other one comes before. */
export const START: Term = term("c_first");

function identityTerm(tables: Tables, signer: Term, longterm: Term, certificate: Term): Term {
  return messageTerm(
    tables,
    "identity",
    {
      ...{ v: term("c_one"), signature_public_key: verifyKey(signer), longterm_public_key: verifyKey(longterm) },
      tls_certificate_sha256: certificate,
    },
    ["signature_public_key", "longterm_public_key"],
  );
}

export const identityOf = (tables: Tables, n: Term): Term =>
  identityTerm(tables, signerOf(n), longtermOf(n), term("c_certificate"));

/** The device takes this identity for its server's. */
export const pins = (identity: Term): Term => term("pins", identity);

function announcementOf(tables: Tables, identity: Term, next: Term, signer: Term, longterm: Term): [Term, Term, Term] {
  const fields = { v: term("c_one"), fingerprint: hash(identity), next };
  const message = messageTerm(tables, "rotation", fields, ["fingerprint", "next"]);
  const context = labelTerm(tables.contexts.rotation);
  return [message, sign(signer, context, message), sign(longterm, context, message)];
}

function follows(tables: Tables, model: RotationModel, from: Term, keys: { signer: Term; longterm: Term }, next: Term) {
  const [message, signature, longterm] = announcementOf(tables, from, next, keys.signer, keys.longterm);
  const seen = model.unchecked === "signature" ? G1 : signature;
  const seenLongterm = model.unchecked === "longtermSignature" ? G2 : longterm;
  return clause(pins(next), pins(from), att(message), att(seen), att(seenLongterm));
}

export function rotationClauses(tables: Tables, model: RotationModel = {}): Clause[] {
  const any = identityTerm(tables, K, L, C);
  const line = announcementOf(tables, identityOf(tables, N), identityOf(tables, nextOf(N)), signerOf(N), longtermOf(N));
  return [
    clause(att(identityOf(tables, N))),
    ...clauses(line.map(att)),
    ...startClauses(tables, model),
    follows(tables, model, any, { signer: K, longterm: L }, Next),
  ];
}

/** From the start a device with a pinned next identity goes on to that alone; from there as from any other. */
function startClauses(tables: Tables, { hasPinnedNext, start = N }: RotationModel): Clause[] {
  const [from, next] = [identityOf(tables, start), identityOf(tables, nextOf(start))];
  if (hasPinnedNext !== true) return [clause(pins(from))];
  return [clause(pins(next), ...announcementOf(tables, from, next, signerOf(start), longtermOf(start)).map(att))];
}

/** The identity of somebody who holds both its keys. */
export function foreignIdentity(tables: Tables): { identity: Term; keys: readonly Term[] } {
  return { identity: identityTerm(tables, K, L, C), keys: [K, L] };
}
