// Horn clauses and a goal as the provers read them. The goal is an atom; the question is whether it can be derived.

import { aritiesIn, type Clause, isVariable, type Term, textOf, variablesIn } from "./term.ts";

/** TPTP CNF, read by E (Sutcliffe, The TPTP problem library, 2017). */
export function tptp(protocol: readonly Clause[], goal: Term): string {
  const lines = protocol.map(({ head, body }, i) => {
    const literals = [textOf(head), ...body.map((atom) => `~${textOf(atom)}`)];
    return `cnf(c${i},axiom,(${literals.join("|")})).`;
  });
  return `${lines.join("\n")}\ncnf(goal,negated_conjecture,(~${textOf(goal)})).\n`;
}

/** DFG, read by SPASS (Weidenbach, SPASS input syntax, version 1.5). */
export function dfg(protocol: readonly Clause[], goal: Term): string {
  const atoms = [...protocol.flatMap(({ head, body }) => [head, ...body]), goal];
  const predicates = new Map(atoms.map(({ symbol, args }) => [symbol, args.length]));
  const functions = aritiesIn(atoms.flatMap(({ args }) => args));
  const listed = (symbols: ReadonlyMap<string, number>): string =>
    [...symbols].map(([symbol, arity]) => `(${symbol},${arity})`).join(",");
  return [
    "begin_problem(qflare).",
    "list_of_descriptions.",
    "name({*qflare*}).",
    "author({*qflare*}).",
    "status(unknown).",
    "description({*protocol of devices, server and enclave*}).",
    "end_of_list.",
    "list_of_symbols.",
    `functions[${listed(functions)}].`,
    `predicates[${listed(predicates)}].`,
    "end_of_list.",
    "list_of_clauses(axioms,cnf).",
    ...protocol.map(({ head, body }) => dfgClause([textOf(head)], body, [head, ...body])),
    "end_of_list.",
    "list_of_clauses(conjectures,cnf).",
    dfgClause([], [goal], [goal]),
    "end_of_list.",
    "end_problem.",
    "",
  ].join("\n");
}

function dfgClause(positive: readonly string[], negative: readonly Term[], atoms: readonly Term[]): string {
  const literals = [...positive, ...negative.map((atom) => `not(${textOf(atom)})`)];
  const bound = variablesIn(atoms);
  const matrix = `or(${literals.join(",")})`;
  return bound.length === 0 ? `clause(${matrix}).` : `clause(forall([${bound.join(",")}],${matrix})).`;
}

/** Throws RangeError for what a prover would misread: a variable with arguments, a predicate that is a term too. */
export function checkReadable(protocol: readonly Clause[], goal: Term): void {
  const atoms = [...protocol.flatMap(({ head, body }) => [head, ...body]), goal];
  const functions = aritiesIn(atoms.flatMap(({ args }) => args));
  for (const atom of atoms) {
    if (functions.has(atom.symbol)) throw new RangeError(`${atom.symbol} is both a predicate and a term`);
    if (isVariable(atom)) throw new RangeError(`${atom.symbol}: expected a predicate, got a variable`);
  }
  aritiesIn(atoms);
}
