// Pages: what they link to and name must be there.

import { posix } from "node:path";
import { type Check, type Finding, type House, isData } from "./house.ts";

const LINK = /\]\(([^)\s]+)(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)/gm;
const SCRIPT = /\bnpm (?:run (?:--silent |-s )?([\w:-]+)|(test|start)\b)/g;
const PATH = /(?<![\w./-])(?:src|docs|scripts|test|bench|kernels|deploy)\/[\w./*<>{}-]*/g;

export const checkDocs: Check = (house) => {
  const places = placesOf(house);
  const pages = [...house.files].filter(([path]) => path.endsWith(".md") && !isData(path));
  return pages.flatMap(([path, text]) => [
    ...wrongIn(path, text, LINK, (match) => wrongLink(house, places, path, match[1] ?? match[2]!)),
    ...wrongIn(path, text, SCRIPT, (match) => wrongScript(house, (match[1] ?? match[2])!)),
    // A change log names what was there once.
    ...(path === "CHANGELOG.md" ? [] : wrongIn(path, text, PATH, (match) => wrongPath(places, match[0]))),
  ]);
};

type Judge = (match: RegExpMatchArray) => string | undefined;

function wrongIn(path: string, page: string, pattern: RegExp, judge: Judge): Finding[] {
  return [...page.matchAll(pattern)].flatMap((match) => {
    const text = judge(match);
    return text === undefined ? [] : [{ path, line: page.slice(0, match.index).split("\n").length, text }];
  });
}

/** Files and the folders that hold them. */
function placesOf(house: House): Set<string> {
  const places = new Set<string>(["."]);
  for (const path of house.files.keys()) {
    for (let place = path; place !== "."; place = posix.dirname(place)) places.add(place);
  }
  return places;
}

function wrongLink(house: House, places: ReadonlySet<string>, page: string, link: string): string | undefined {
  if (/^[a-z]+:/i.test(link)) return undefined;
  const [file, anchor] = decodeURIComponent(link).split("#");
  const base = file!.startsWith("/") ? "." : posix.dirname(page);
  const target = file === "" ? page : posix.join(base, file!).replace(/^\/|\/$/g, "");
  if (!places.has(target)) return `link to ${target}, which is not there`;
  if (anchor === undefined || !target.endsWith(".md")) return undefined;
  return anchorsIn(house.files.get(target)!).has(anchor) ? undefined : `link to #${anchor}, which ${target} lacks`;
}

function anchorsIn(page: string): Set<string> {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map((match) => match[1]!.trim().toLowerCase());
  const named = [...page.matchAll(/<a (?:id|name)="([^"]+)"/g)].map((match) => match[1]!);
  return new Set([
    ...headings.map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")),
    ...named,
  ]);
}

function wrongScript(house: House, name: string): string | undefined {
  const manifest: { scripts?: Record<string, string> } = JSON.parse(house.files.get("package.json") ?? "{}");
  return Object.hasOwn(manifest.scripts ?? {}, name) ? undefined : `npm run ${name}: package.json has no such script`;
}

function wrongPath(places: ReadonlySet<string>, named: string): string | undefined {
  if (/[*<>{}]|\.\.\.|\/wasm\//.test(named)) return undefined;
  const path = named.replace(/[./]+$/, "");
  return places.has(path) ? undefined : `names ${path}, which is not there`;
}
