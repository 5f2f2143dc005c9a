import assert from "node:assert/strict";
import { test } from "node:test";
import { parseModule } from "../../../scripts/tidy/module.ts";
import { scan } from "../../../scripts/tidy/scan.ts";

const texts = (source: string): string[] => scan(source).tokens.map((token) => token.text);

test("the scanner keeps comments apart from code", () => {
  const { tokens, comments } = scan('a(); // b()\n/* c()\n */ d("// no comment");\n');
  assert.deepEqual(
    tokens.filter((token) => token.kind === "word").map((token) => [token.text, token.line]),
    [
      ["a", 1],
      ["d", 3],
    ],
  );
  assert.deepEqual(comments, [
    { text: "// b()", line: 1 },
    { text: "/* c()\n */", line: 2 },
  ]);
});

test("the scanner tells a division from a regular expression", () => {
  for (const source of ["a / b / c", "a[0]! / 2 / 3", "(a) / b / c", "1 / 2 / 3", "i++ / 2 / 3", "a! / b / c"]) {
    assert.ok(!scan(source).tokens.some((token) => token.kind === "regex"), source);
  }
  for (const source of ["= /a'/g", 'return /[/"]/', "(/a`/)", "if (x) /'/.test(y)", "!/'/.test(x)", "=> /\\//"]) {
    assert.equal(scan(source).tokens.filter((token) => token.kind === "regex").length, 1, source);
  }
});

test("the scanner reads code inside a template and none in its text", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the string is source text that holds a template
  const source = "`import ${f({ a: `x ${b} }` })} ${c} console`; d";
  const words = scan(source).tokens.filter((token) => token.kind === "word");
  assert.deepEqual(
    words.map((token) => token.text),
    ["f", "a", "b", "c", "d"],
  );
  assert.equal(words.at(-1)?.depth, 0);
});

test("the scanner goes on behind what it cannot read", () => {
  assert.ok(texts("<p>it's</p>\nconsole;").includes("console"));
  assert.ok(texts(") } ]\nconsole").includes("console"));
  assert.ok(texts("`never closed\nconsole").includes("console"));
});

test("imports of every form are found with their names", () => {
  const { imports } = parseModule(`import "./a.ts";
import b, { c as d, type E } from "./b.ts";
import type { F } from "./f.ts";
import { type G } from "./g.ts";
import * as h from "./h.ts";
import type I from "./i.ts";
import data from "./j.json" with { type: "json" };
export { k as l } from "./k.ts";
export * from "./m.ts";
export type { N } from "./n.ts";
const o = await import("./o.ts");
type P = import("./p.ts").P;
// import "./no.ts";
const text = 'import "./no.ts"';
const meta = import.meta.url;
`);
  assert.deepEqual(
    imports.map(({ specifier, isTypeOnly, names }) => [specifier, isTypeOnly, names]),
    [
      ["./a.ts", false, []],
      ["./b.ts", false, ["default", "c", "E"]],
      ["./f.ts", true, ["F"]],
      ["./g.ts", true, ["G"]],
      ["./h.ts", false, "*"],
      ["./i.ts", true, ["default"]],
      ["./j.json", false, ["default"]],
      ["./k.ts", false, ["k"]],
      ["./m.ts", false, "*"],
      ["./n.ts", true, ["N"]],
      ["./o.ts", false, "*"],
      ["./p.ts", false, "*"],
    ],
  );
});

test("exports of every form are found", () => {
  const { exports } = parseModule(`export const a = 1;
export const { b, c: d } = make();
export async function e(): Promise<void> {}
export function* f() {}
export abstract class G {}
export interface H {}
export type I = { j: number };
export default k;
export { l, m as n, type O };
export { p as q } from "./p.ts";
export * as r from "./r.ts";
`);
  assert.deepEqual(
    exports.map(({ name }) => name),
    ["a", "b", "d", "e", "f", "G", "H", "I", "default", "l", "n", "O", "q", "r"],
  );
});

test("functions are measured from head to last brace, whatever their form", () => {
  const body = "{\n  x();\n}";
  const forms = [
    `function f() ${body}`,
    `function f(a: { b: number }): { c: number } ${body}`,
    `function f(a: unknown): a is string ${body}`,
    `const f = (a: number): Promise<Map<string, number>> => ${body};`,
    `const f = async () => ${body};`,
    `class A { constructor() ${body} }`,
    `class A { get b(): number ${body} }`,
    `const o = { f(): void ${body} };`,
  ];
  for (const form of forms) {
    const lines = parseModule(form).functions.map((found) => found.lines);
    assert.deepEqual(lines, [3], form);
  }
});

test("what is no function is not measured", () => {
  const body = "{\n  x();\n}";
  for (const form of [`if (a) ${body}`, `for (const a of b) ${body}`, `for await (const a of b) ${body}`]) {
    assert.deepEqual(parseModule(form).functions, [], form);
  }
  for (const form of ["const a = b ? f(c) : { d: 1 };", `describe("a", () => ${body});`, "try {} catch (e) {}"]) {
    assert.deepEqual(parseModule(form).functions, [], form);
  }
});
