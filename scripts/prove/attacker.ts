// The attacker of Dolev and Yao: owns the network, computes whatever the primitives allow, guesses nothing.
//
//   att(X)    knows X while the protocol runs
//   later(X)  knows X at the end, when long-term keys have leaked

import { aritiesIn, type Clause, clause, type Term, term, variables } from "./term.ts";

export const att = (known: Term): Term => term("att", known);
export const later = (known: Term): Term => term("later", known);

/** Key encapsulation, one family for each use: a break of one leaves the others whole. */
export const KEMS = ["ephemeral", "static", "classical", "frodo"] as const;
export type KemFamily = (typeof KEMS)[number];

export const kemKey = (kem: KemFamily, secret: Term): Term => term(`${kem}_key`, secret);
export const kemCiphertext = (kem: KemFamily, key: Term, coins: Term): Term => term(`${kem}_ct`, key, coins);
export const kemSecret = (kem: KemFamily, key: Term, coins: Term): Term => term(`${kem}_secret`, key, coins);

export const verifyKey = (secret: Term): Term => term("vk", secret);
export const sign = (secret: Term, context: Term, message: Term): Term => term("sign", secret, context, message);
export const extract = (salt: Term, secret: Term): Term => term("extract", salt, secret);

// Those that read a list of parts take each part by itself and have the count in their name: a term for the list as a
// whole would cost the provers most of their time.

export const hash = (...parts: readonly Term[]): Term => term(`hash${parts.length}`, ...parts);
export const mac = (key: Term, parts: readonly Term[]): Term => term(`mac${parts.length}`, key, ...parts);
export const expand = (key: Term, parts: readonly Term[]): Term => term(`expand${parts.length}`, key, ...parts);
/** associated: nonce and associated data. */
export const aead = (key: Term, associated: readonly Term[], plaintext: Term): Term =>
  term(`aead${associated.length}`, key, ...associated, plaintext);

const COMPUTABLE =
  /^(?:(?:ephemeral|static|classical|frodo)_(?:key|ct|secret)|vk|sign|extract|(?:hash|mac|expand|aead)\d+)$/;
const PUBLIC = /^[lc]_/;
const READABLE = /^m_/;

/** What the attacker can do with the symbols of these clauses, told of the predicate (att or later). */
export function abilities(protocol: readonly Clause[], knows: (known: Term) => Term): Clause[] {
  const terms = protocol.flatMap(({ head, body }) => [...head.args, ...body.flatMap(({ args }) => args)]);
  return [...aritiesIn(terms)].flatMap(([symbol, arity]) => {
    const parts = Array.from({ length: arity }, (_, k) => term(`X${k}`));
    const whole = knows(term(symbol, ...parts));
    const made = clause(whole, ...parts.map(knows));
    if (READABLE.test(symbol)) return [made, ...parts.map((part) => clause(knows(part), whole))];
    return COMPUTABLE.test(symbol) || PUBLIC.test(symbol) ? [made, ...opened(symbol, parts, knows)] : [];
  });
}

/** What a key opens. */
function opened(symbol: string, parts: readonly Term[], knows: (known: Term) => Term): Clause[] {
  if (symbol.startsWith("aead")) {
    return [clause(knows(parts.at(-1)!), knows(term(symbol, ...parts)), knows(parts[0]))];
  }
  const kem = KEMS.find((name) => symbol === `${name}_ct`);
  if (kem === undefined) return [];
  const { K, R } = variables("K", "R");
  const key = kemKey(kem, K);
  return [clause(knows(kemSecret(kem, key, R)), knows(kemCiphertext(kem, key, R)), knows(K))];
}

/** A quantum computer, or a break, opens every ciphertext of the family. */
export function broken(kem: KemFamily): Clause {
  const { P, R } = variables("P", "R");
  return clause(att(kemSecret(kem, P, R)), att(kemCiphertext(kem, P, R)));
}

/**
 * The protocol and an attacker on it. leaks: what is handed out beforehand. leaksLater: what is handed out once all
 * sessions are over; with it, a goal may ask for later(x).
 */
export function attacked(
  protocol: readonly Clause[],
  leaks: readonly Term[],
  leaksLater: readonly Term[] = [],
): Clause[] {
  const now = [...protocol, ...leaks.map((leak) => clause(att(leak))), ...abilities(protocol, att)];
  if (leaksLater.length === 0) return now;
  const { X } = variables("X");
  const kept = clause(later(X), att(X));
  return [...now, kept, ...leaksLater.map((leak) => clause(later(leak))), ...abilities(protocol, later)];
}
