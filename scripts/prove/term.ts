// Terms and Horn clauses: the language in which a protocol is told to the provers.
//
// A symbol's first letters say what the attacker may do with it (attacker.ts):
//   Capital   a variable
//   l_, c_    a label or constant that everybody knows
//   m_        a message: whoever knows its parts can write it, whoever sees it can read them
//   other     a primitive of attacker.ts, else a secret name, which may depend on its arguments

export interface Term {
  readonly symbol: string;
  readonly args: readonly Term[];
}

/** If all of body hold, head holds. */
export interface Clause {
  readonly head: Term;
  readonly body: readonly Term[];
}

export function term(symbol: string, ...args: readonly Term[]): Term {
  return { symbol, args };
}

/** Variables from their names: `const { I, S } = variables("I", "S")`. */
export function variables<const Names extends readonly string[]>(...names: Names): Record<Names[number], Term> {
  return Object.fromEntries(names.map((name) => [name, term(name)])) as Record<Names[number], Term>;
}

export function isVariable({ symbol }: Term): boolean {
  return /^[A-Z]/.test(symbol);
}

export function clause(head: Term, ...body: readonly Term[]): Clause {
  return { head, body };
}

/** A clause for each head, all with the same body. */
export function clauses(heads: readonly Term[], ...body: readonly Term[]): Clause[] {
  return heads.map((head) => ({ head, body }));
}

/** "f(a,b)" */
export function textOf({ symbol, args }: Term): string {
  return args.length === 0 ? symbol : `${symbol}(${args.map(textOf).join(",")})`;
}

/** Symbol to arity, of all terms below those given. Throws RangeError where one symbol has two arities. */
export function aritiesIn(terms: readonly Term[]): Map<string, number> {
  const arities = new Map<string, number>();
  const visit = (part: Term): void => {
    if (isVariable(part)) return;
    const known = arities.get(part.symbol) ?? part.args.length;
    if (known !== part.args.length) throw new RangeError(`${part.symbol}: arity ${known} and ${part.args.length}`);
    arities.set(part.symbol, known);
    part.args.forEach(visit);
  };
  terms.forEach(visit);
  return arities;
}

export function variablesIn(terms: readonly Term[]): string[] {
  const found = new Set<string>();
  const visit = (part: Term): void => {
    if (isVariable(part)) found.add(part.symbol);
    part.args.forEach(visit);
  };
  terms.forEach(visit);
  return [...found];
}
