// Words that have no place: in code by token, in comments by text, in any file by path.

import { type Check, type Finding, floorOf, sourcesOf } from "./house.ts";
import type { Module } from "./module.ts";
import { CLOCKLESS, PROGRAMS } from "./rules.ts";

const DECLARATION: ReadonlySet<string> = new Set(
  "import export function async class abstract const type interface declare @".split(" "),
);

/** Importing a module does nothing. A bare `let x: T | undefined;` is room for what the first use builds. */
export const checkImportWork: Check = (house) =>
  sourcesOf(house)
    .filter(([path]) => !PROGRAMS.some((pattern) => pattern.test(path)) && !path.endsWith(".d.ts"))
    .flatMap(([path, module]) => [
      ...module.statements
        .filter((start) => isWork(module, start))
        .map((start) => ({ path, line: module.tokens[start]!.line, text: `work at import: ${lineAt(module, start)}` })),
      ...module.tokens
        .filter((token) => token.text === "await" && token.depth === 0)
        .map(({ line }) => ({ path, line, text: "work at import: await" })),
    ]);

function isWork({ tokens }: Module, start: number): boolean {
  const { text } = tokens[start]!;
  const next = tokens[start + 1]?.text ?? "";
  if (text === "import") return next === "(" || next === ".";
  if (text === "let") return hasInitialiser(tokens, start);
  if (text === "export") return next === "let" || next === "var";
  return !DECLARATION.has(text);
}

function hasInitialiser(tokens: Module["tokens"], start: number): boolean {
  const end = tokens.findIndex((token, i) => i > start && token.text === ";" && token.depth === 0);
  return tokens.slice(start, end).some((token) => token.text === "=" && token.depth === 0);
}

function lineAt({ tokens }: Module, start: number): string {
  const { line } = tokens[start]!;
  const words = tokens.slice(start, start + 12).filter((token) => token.line === line);
  return words.map((token) => token.text).join(" ");
}

interface Ban {
  readonly words: readonly string[];
  readonly text: string;
  readonly where: (path: string) => boolean;
}

const inSource = (path: string): boolean => path.startsWith("src/");
const inClockless = (path: string): boolean => CLOCKLESS.includes(floorOf(path) ?? "");
const outsideKernels = (path: string): boolean => !path.startsWith("kernels/");

const BANS: readonly Ban[] = [
  { words: ["console"], text: "console: pass a Log", where: (path) => inSource(path) && floorOf(path) !== "cli" },
  { words: ["Math", ".", "random"], text: "Math.random: pass a Random", where: inSource },
  { words: ["Date", ".", "now"], text: "Date.now: the clock is an argument here", where: inClockless },
  { words: ["new", "Date", "("], text: "new Date: the clock is an argument here", where: inClockless },
  { words: ["as", "any"], text: "as any: name the type, or unknown", where: outsideKernels },
];

export const checkBannedWords: Check = (house) =>
  BANS.flatMap((ban) =>
    [...house.modules]
      .filter(([path]) => ban.where(path))
      .flatMap(([path, { tokens }]) =>
        tokens
          .filter((token, i) => isCode(token.kind) && tokens[i - 1]?.text !== "." && startsWith(tokens, i, ban.words))
          .map(({ line }) => ({ path, line, text: ban.text })),
      ),
  );

function isCode(kind: string): boolean {
  return kind === "word" || kind === "punctuator";
}

function startsWith(tokens: Module["tokens"], start: number, words: readonly string[]): boolean {
  return words.every((word, k) => tokens[start + k]?.text === word);
}

/** By the string, so that a dynamic import and process.getBuiltinModule count too. */
export const checkNodeCrypto: Check = (house) =>
  sourcesOf(house)
    .filter(([path]) => floorOf(path) !== "crypto")
    .flatMap(([path, { tokens, imports }]) => [
      ...tokens
        .filter((token) => token.kind === "string" && /^["']node:crypto["']$/.test(token.text))
        .map(({ line }) => ({ path, line, text: "node:crypto: go through src/crypto" })),
      ...imports
        .filter((entry) => entry.specifier === "crypto")
        .map(({ line }) => ({ path, line, text: "node:crypto: go through src/crypto" })),
    ]);

const MARKS = /\b(?:TODO|FIXME|XXX)\b/;
const SILENCERS = /@ts-(?:ignore|nocheck)/;
const UNEXPLAINED = /biome-ignore(?:-\w+)?(?![^:]*: *[^\s<*])/;

export const checkComments: Check = (house) =>
  [...house.modules].flatMap(([path, { comments }]) =>
    comments.flatMap(({ text, line }): Finding[] => {
      const wrong = [
        MARKS.test(text) && "a mark for later: do it, or drop it",
        // In a kernel it only tells an editor that AssemblyScript knows the decorator.
        outsideKernels(path) && SILENCERS.test(text) && "a silenced compiler: fix the type",
        UNEXPLAINED.test(text) && "biome-ignore: give the reason",
      ];
      return wrong.filter((reason) => reason !== false).map((reason) => ({ path, line, text: reason }));
    }),
  );

const MACHINE_PATH = /(?<![\w.@)}-])\/(?:work|root|home)\//;

export const checkPaths: Check = (house) =>
  [...house.files].flatMap(([path, text]) =>
    text.split("\n").flatMap((line, i): Finding[] => {
      const found = MACHINE_PATH.exec(line)?.[0];
      return found === undefined ? [] : [{ path, line: i + 1, text: `a path of one machine: ${found}` }];
    }),
  );
