// One question to the provers: can the attacker reach the goal?

import { attacked } from "./attacker.ts";
import type { Answer } from "./provers.ts";
import type { Tables } from "./tables.ts";
import { type Clause, clause, type Term, term } from "./term.ts";

/**
 * property  the attacker cannot reach the goal
 * limit     he can, by design, and docs/formal.md says so
 * control   he can once a piece is taken out of the protocol: a model in which he could not would be worth nothing
 * sanity    what honest parties do is possible, else the rest would hold emptily
 */
export type Kind = "property" | "limit" | "control" | "sanity";

export interface Question {
  /** What the attacker wants, as atoms that must hold together. */
  readonly goal: readonly Term[];
  readonly protocol: readonly Clause[];
  readonly leaks?: readonly Term[];
  /** Handed out once every session is over. */
  readonly leaksLater?: readonly Term[];
}

export interface Obligation {
  readonly name: string;
  readonly kind: Kind;
  /** What the expected answer says, in the words of docs/formal.md. */
  readonly claim: string;
  question(tables: Tables): Question;
}

export function obligation(
  kind: Kind,
  name: string,
  claim: string,
  question: (tables: Tables) => Question,
): Obligation {
  return { name, kind, claim, question };
}

export function expected({ kind }: Obligation): Answer {
  return kind === "property" ? "unreachable" : "reached";
}

/** The atom that stands for success of the attacker. */
export const GOAL: Term = term("reached");

/** Everything that the provers are given. The attacker has a constant that nobody else ever uses. */
export function clausesOf({ question }: Obligation, tables: Tables): Clause[] {
  const { protocol, goal, leaks = [], leaksLater = [] } = question(tables);
  return attacked([...protocol, clause(GOAL, ...goal)], [term("c_evil"), ...leaks], leaksLater);
}
