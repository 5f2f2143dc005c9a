// What one source file asks of others and offers them: imports, exports, top-level statements, functions.

import { isControl, type Scan, scan, type Token } from "./scan.ts";

export interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly isTypeOnly: boolean;
  /** "*" where the importer receives the whole namespace. */
  readonly names: readonly string[] | "*";
}

export interface Export {
  readonly name: string;
  /** An interface or type alias. */
  readonly isType: boolean;
  readonly line: number;
}

export interface Body {
  readonly line: number;
  readonly lines: number;
}

export interface Module extends Scan {
  readonly imports: readonly Import[];
  readonly exports: readonly Export[];
  /** First token of each top-level statement. */
  readonly statements: readonly number[];
  readonly functions: readonly Body[];
}

export function parseModule(source: string): Module {
  const read = scan(source);
  const statements = statementsOf(read.tokens);
  const clauses = statements.map((start) => clauseAt(read, start)).filter((clause) => clause !== undefined);
  return {
    tokens: read.tokens,
    comments: read.comments,
    partners: read.partners,
    statements,
    imports: [...clauses.flatMap((clause) => clause.from ?? []), ...dynamicImports(read.tokens)],
    exports: clauses.flatMap((clause) => clause.exports),
    functions: functionsOf(read),
  };
}

/** The formatter puts a statement at column 0 and ends it with a semicolon or a brace. */
function statementsOf(tokens: readonly Token[]): number[] {
  const starts: number[] = [];
  tokens.forEach((token, i) => {
    if (token.depth > 0 || [")", "]", "}", ">", ";"].includes(token.text)) return;
    if (token.column === 0 || i === 0 || tokens[i - 1]!.text === ";") starts.push(i);
  });
  return starts;
}

function isType(token: Token | undefined): boolean {
  return token?.text === "interface" || token?.text === "type";
}

interface Clause {
  readonly from?: Import;
  readonly exports: readonly Export[];
}

function clauseAt(read: Scan, start: number): Clause | undefined {
  const { text } = read.tokens[start]!;
  const next = read.tokens[start + 1]?.text;
  if (text === "import" && next !== "(" && next !== ".") return { from: importAt(read, start), exports: [] };
  return text === "export" ? exportAt(read, start) : undefined;
}

function importAt({ tokens, partners }: Scan, start: number): Import {
  const names: string[] = [];
  let isTypeOnly = tokens[start + 1]?.text === "type" && tokens[start + 2]?.text !== "from";
  let i = isTypeOnly ? start + 2 : start + 1;
  if (tokens[i]?.kind === "word") names.push("default");
  let isNamespace = false;
  for (; i < tokens.length && tokens[i]!.kind !== "string"; i++) {
    if (tokens[i]!.text === "*") isNamespace = true;
    if (tokens[i]!.text !== "{") continue;
    const bindings = bindingsIn(tokens, i, partners.get(i) ?? i);
    isTypeOnly ||= names.length === 0 && bindings.length > 0 && bindings.every((binding) => binding.isType);
    names.push(...bindings.map((binding) => binding.outer));
    i = partners.get(i) ?? i;
  }
  return { specifier: unquote(tokens[i]), line: tokens[start]!.line, isTypeOnly, names: isNamespace ? "*" : names };
}

function exportAt(read: Scan, start: number): Clause {
  const { tokens, partners } = read;
  const line = tokens[start]!.line;
  const isTypeOnly = tokens[start + 1]?.text === "type" && ["{", "*"].includes(tokens[start + 2]?.text ?? "");
  const first = isTypeOnly ? start + 2 : start + 1;
  if (tokens[first]?.text === "*") return starAt(tokens, start, first, isTypeOnly);
  if (tokens[first]?.text !== "{")
    return { exports: declaredAt(read, first).map((name) => ({ name, line, isType: isType(tokens[first]) })) };
  const close = partners.get(first) ?? first;
  const bindings = bindingsIn(tokens, first, close);
  const exports = bindings.map((binding) => ({ name: binding.inner, line: binding.line, isType: false }));
  if (tokens[close + 1]?.text !== "from") return { exports };
  const names = bindings.map((binding) => binding.outer);
  return { exports, from: { specifier: unquote(tokens[close + 2]), line, isTypeOnly, names } };
}

/** `export * from "x"` and `export * as name from "x"`. */
function starAt(tokens: readonly Token[], start: number, star: number, isTypeOnly: boolean): Clause {
  const line = tokens[start]!.line;
  const isNamed = tokens[star + 1]?.text === "as";
  const specifier = unquote(tokens[star + (isNamed ? 4 : 2)]);
  const exports = isNamed ? [{ name: tokens[star + 2]!.text, line, isType: false }] : [];
  return { exports, from: { specifier, line, isTypeOnly, names: "*" } };
}

const MODIFIERS: ReadonlySet<string> = new Set(["declare", "abstract", "async"]);

function declaredAt({ tokens, partners }: Scan, first: number): string[] {
  let i = first;
  if (tokens[i]?.text === "default") return ["default"];
  while (MODIFIERS.has(tokens[i]?.text ?? "")) i++;
  const name = tokens[i + 1]?.text === "*" ? tokens[i + 2] : tokens[i + 1];
  if (name?.text !== "{" && name?.text !== "[") return name === undefined ? [] : [name.text];
  return bindingsIn(tokens, i + 1, partners.get(i + 1) ?? i + 1).map((binding) => binding.inner);
}

interface Binding {
  readonly outer: string;
  readonly inner: string;
  readonly isType: boolean;
  readonly line: number;
}

/** Between braces: `a`, `type b`, `c as d`, `e: f`. outer stands before `as`, inner behind it. */
function bindingsIn(tokens: readonly Token[], open: number, close: number): Binding[] {
  const bindings: Binding[] = [];
  for (let i = open + 1; i < close; i++) {
    const group: Token[] = [];
    for (; i < close && tokens[i]!.text !== ","; i++) group.push(tokens[i]!);
    const isType = group.length > 1 && group[0]!.text === "type" && group[1]!.text !== "as";
    const words = group.slice(isType ? 1 : 0).filter((token) => token.text !== "as" && token.text !== ":");
    if (words.length === 0) continue;
    bindings.push({ outer: words[0]!.text, inner: (words[1] ?? words[0])!.text, isType, line: words[0]!.line });
  }
  return bindings;
}

/** `import("x")`, as a value or as a type. */
function dynamicImports(tokens: readonly Token[]): Import[] {
  return tokens.flatMap((token, i) => {
    const specifier = tokens[i + 2];
    const isCall = token.text === "import" && tokens[i + 1]?.text === "(" && tokens[i - 1]?.text !== ".";
    if (!isCall || specifier?.kind !== "string") return [];
    return [{ specifier: unquote(specifier), line: token.line, isTypeOnly: false, names: "*" as const }];
  });
}

function unquote(token: Token | undefined): string {
  return token?.kind === "string" ? token.text.slice(1, -1) : "";
}

/** Suites group tests; their callbacks are chapters, not functions. */
const CHAPTERS: ReadonlySet<string> = new Set(["describe", "suite"]);

function functionsOf(read: Scan): Body[] {
  const bodies: Body[] = [];
  read.tokens.forEach((token, i) => {
    const open = token.text === "=>" ? i + 1 : token.text === ")" ? bodyAfter(read, i) : undefined;
    if (open === undefined || read.tokens[open]?.text !== "{" || isChapter(read, i)) return;
    const head = token.text === ")" ? read.tokens[read.partners.get(i) ?? i]! : token;
    const end = read.tokens[read.partners.get(open) ?? open]!;
    bodies.push({ line: head.line, lines: end.line - head.line + 1 });
  });
  return bodies;
}

/** Index of the brace that opens the body of the function whose parameters end at close. */
function bodyAfter({ tokens, partners }: Scan, close: number): number | undefined {
  if (isControl(tokens, partners.get(close) ?? 0)) return undefined;
  if (tokens[close + 1]?.text === "{") return close + 1;
  if (tokens[close + 1]?.text !== ":") return undefined;
  for (let i = close + 2; i < tokens.length; i++) {
    const { text } = tokens[i]!;
    if (text === "{" && endsType(tokens[i - 1]!)) return i;
    if ([";", ",", "=", ")", "]", "}"].includes(text)) return undefined;
    if (text === "=>" && tokens[i + 1]?.text === "{") return undefined;
    if ("([{".includes(text)) i = partners.get(i) ?? i;
  }
  return undefined;
}

function endsType(token: Token): boolean {
  if (token.kind === "word") return !["is", "asserts", "keyof", "readonly", "extends", "infer"].includes(token.text);
  return token.kind !== "punctuator" || [">", ")", "]", "}", "`"].includes(token.text);
}

function isChapter({ tokens, partners }: Scan, arrow: number): boolean {
  for (let i = arrow - 1; i > 0; i--) {
    const { text } = tokens[i]!;
    if ([")", "]", "}"].includes(text)) i = partners.get(i) ?? i;
    else if (text === "(") return CHAPTERS.has(tokens[i - 1]!.text);
    else if (text === "{" || text === ";") return false;
  }
  return false;
}
