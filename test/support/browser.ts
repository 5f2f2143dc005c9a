// Debian's Chromium by playwright-core, and a loopback server that hands it the sources with their types stripped, put
// together as by a bundler: files that package.json replaces for browsers are replaced.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { delimiter, join, normalize } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";

/** The part of a page of playwright-core that tests use. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<A, R>(run: (argument: A) => R | Promise<R>, argument: A): Promise<R>;
  on(event: "pageerror", listener: (error: Error) => void): void;
}

export interface Browser {
  version(): string;
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser>;
  };
}

const PACKAGE: string = "playwright-core";

/** Offline and quiet. Each launch has a new profile; the sandbox needs rights that containers lack. */
const FLAGS: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Why there is no browser here; undefined where there is one. */
export async function browserMissing(): Promise<string | undefined> {
  if ((await loadPlaywright()) === undefined) return `${PACKAGE} is not installed`;
  return findChromium() === undefined ? "chromium is not installed" : undefined;
}

export async function startBrowser(): Promise<Browser> {
  const playwright = await loadPlaywright();
  const executablePath = findChromium();
  if (playwright === undefined || executablePath === undefined) throw new Error("Cannot start browser: none here");
  return await playwright.chromium.launch({ executablePath, args: FLAGS });
}

async function loadPlaywright(): Promise<Playwright | undefined> {
  try {
    return (await import(PACKAGE)) as Playwright;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, "chromium")).find((path) => existsSync(path));
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What may be fetched: our sources, and the packages that they import in a browser. */
const SERVED: readonly string[] = ["/src/", "/node_modules/@noble/"];
const IMPORTS = { "@noble/": "/node_modules/@noble/" };

/** The member "browser" of package.json, as paths of sources: what stands in for what. */
export function browserReplacements(): ReadonlyMap<string, string> {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { browser: Record<string, string> };
  const source = (path: string): string => path.replace(/^\.\/dist\/(.*)\.js$/, "/src/$1.ts");
  return new Map(Object.entries(manifest.browser).map(([from, to]) => [source(from), source(to)]));
}

/** Serves an empty page at / and src/ below /src/. Listens on a free port of the loopback address. */
async function serveSources(): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) =>
    serve(new URL(request.url!, "http://loopback").pathname, response),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function serve(asked: string, response: ServerResponse): void {
  const path = browserReplacements().get(asked) ?? asked;
  const file = normalize(join(ROOT, path));
  if (path === "/") {
    const map = `<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;
    response.writeHead(200, { "content-type": "text/html" }).end(`<!doctype html><title>qflare</title>${map}`);
  } else if (SERVED.some((folder) => file.startsWith(join(ROOT, folder))) && existsSync(file)) {
    const text = readFileSync(file, "utf8");
    const script = file.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
    response.writeHead(200, { "content-type": "text/javascript" }).end(script);
  } else {
    response.writeHead(404).end();
  }
}

/** A page that can import the sources, and what went wrong in it. */
class SourcesPage {
  readonly page: Page;
  readonly errors: Error[] = [];
  readonly #browser: Browser;
  readonly #server: Server;

  private constructor(page: Page, browser: Browser, server: Server) {
    this.page = page;
    this.#browser = browser;
    this.#server = server;
    page.on("pageerror", (error) => this.errors.push(error));
  }

  static async open(): Promise<SourcesPage> {
    const { server, url } = await serveSources();
    const browser = await startBrowser();
    const opened = new SourcesPage(await browser.newPage(), browser, server);
    await opened.page.goto(url);
    return opened;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.close();
  }
}

/** For a suite: opens a page before its tests and closes it behind them, in which nothing may have gone wrong. */
export function useSourcesPage(): Pick<Page, "evaluate"> {
  let opened: SourcesPage | undefined;
  before(async () => {
    opened = await SourcesPage.open();
  });
  after(async () => {
    await opened?.close();
    assert.deepEqual(opened?.errors ?? [], []);
  });
  return { evaluate: async (run, argument) => await opened!.page.evaluate(run, argument) };
}
