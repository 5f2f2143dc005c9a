// Splits TypeScript into tokens, so that no check mistakes a comment or a string for code. Lenient: what it cannot read
// (JSX text, a lone quote) becomes a punctuator and the scan goes on; the compiler is the one who refuses.

export type Kind = "word" | "number" | "string" | "template" | "regex" | "punctuator";

export interface Token {
  readonly kind: Kind;
  readonly text: string;
  /** From 1. */
  readonly line: number;
  /** From 0. */
  readonly column: number;
  /** Brackets open around the token; both brackets of a pair have the depth of what surrounds the pair. */
  readonly depth: number;
}

export interface Comment {
  readonly text: string;
  readonly line: number;
}

export interface Scan {
  readonly tokens: readonly Token[];
  readonly comments: readonly Comment[];
  /** Index of a bracket's other half, either way. */
  readonly partners: ReadonlyMap<number, number>;
}

const SPACE = /\s+/y;
const SHEBANG = /#![^\n]*/y;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const WORD = /#?[\p{ID_Start}$_][\p{ID_Continue}$]*/uy;
const NUMBER = /0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?/y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const TEMPLATE = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y;
const REGEX = /\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const PUNCTUATOR = /=>|\+\+|--|\.\.\.|\?\.(?!\d)|[\s\S]/uy;

const CONTROL: ReadonlySet<string> = new Set(["if", "for", "while", "switch", "catch", "with"]);
const BEFORE_EXPRESSION: ReadonlySet<string> = new Set(
  "return typeof instanceof in of new delete void throw case do else yield await default extends".split(" "),
);

/** `if (`, `for await (` and the like: behind the closing parenthesis stands a statement, not an operator or a body. */
export function isControl(tokens: readonly Token[], open: number): boolean {
  const at = tokens[open - 1]?.text === "await" ? open - 2 : open - 1;
  return CONTROL.has(tokens[at]?.text ?? "") && tokens[at - 1]?.text !== ".";
}

class Scanner implements Scan {
  readonly tokens: Token[] = [];
  readonly comments: Comment[] = [];
  readonly partners = new Map<number, number>();
  readonly #source: string;
  readonly #open: number[] = [];
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(source: string) {
    this.#source = source;
    this.#take(SHEBANG);
    while (this.#at < source.length) this.#next();
  }

  #next(): void {
    const line = this.#line;
    if (this.#take(SPACE) !== undefined) return;
    const comment = this.#take(COMMENT);
    if (comment !== undefined) this.comments.push({ text: comment, line });
    else if (this.#push("word", WORD) || this.#push("string", STRING)) return;
    else if (/^\.?\d/.test(this.#source.slice(this.#at, this.#at + 2)) && this.#push("number", NUMBER)) return;
    else if (this.#source[this.#at] === "/" && !this.#endsValue() && this.#push("regex", REGEX)) return;
    else this.#punctuator();
  }

  #punctuator(): void {
    const isTemplateEnd = this.#source[this.#at] === "}" && this.tokens[this.#open.at(-1) ?? -1]?.kind === "template";
    this.#push("punctuator", PUNCTUATOR);
    const index = this.tokens.length - 1;
    const text = this.tokens[index]!.text;
    if ("([{".includes(text)) this.#open.push(index);
    if (")]}".includes(text)) this.#close(index);
    if (text === "`" || isTemplateEnd) this.#template();
  }

  #template(): void {
    if (this.#push("template", TEMPLATE) && this.tokens.at(-1)!.text.endsWith("${")) {
      this.#open.push(this.tokens.length - 1);
    }
  }

  #close(index: number): void {
    const open = this.#open.pop();
    if (open === undefined) return;
    this.partners.set(open, index).set(index, open);
  }

  /** Whether the last token ends a value, so that a slash divides. */
  #endsValue(): boolean {
    const index = this.tokens.length - 1;
    const last = this.tokens[index];
    if (last === undefined) return false;
    if (last.kind === "word") return !BEFORE_EXPRESSION.has(last.text) || this.tokens[index - 1]?.text === ".";
    if (last.kind !== "punctuator") return !last.text.endsWith("${");
    if (last.text === ")") return !isControl(this.tokens, this.partners.get(index) ?? 0);
    if (last.text === "!") return this.#isPostfix(index);
    return ["]", "}", "++", "--", "<"].includes(last.text);
  }

  /** `a[i]! / 2` asserts, `!/x/.test(y)` negates. */
  #isPostfix(index: number): boolean {
    const before = this.tokens[index - 1];
    if (before?.kind === "word") return !BEFORE_EXPRESSION.has(before.text);
    return before !== undefined && [")", "]"].includes(before.text);
  }

  #push(kind: Kind, pattern: RegExp): boolean {
    const [line, column] = [this.#line, this.#at - this.#lineStart];
    const text = this.#take(pattern);
    if (text === undefined) return false;
    const depth = this.#open.length - (text.length === 1 && ")]}".includes(text) ? 1 : 0);
    this.tokens.push({ kind, text, line, column, depth: Math.max(depth, 0) });
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#source)?.[0];
    if (text === undefined || text === "") return undefined;
    this.#at += text.length;
    const lines = text.split("\n");
    this.#line += lines.length - 1;
    if (lines.length > 1) this.#lineStart = this.#at - lines.at(-1)!.length;
    return text;
  }
}

export function scan(source: string): Scan {
  return new Scanner(source);
}
