// Attacks from inside: a probe in the enclave's place tries to get out, at every level, as root and as another user.
// Where the tests do not run as root there is one user, theirs.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createUnixServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ESCAPES, type Escape, GATE, PAST_NODE } from "../../scripts/isolation/escapes.ts";
import { examineHost } from "../../src/server/isolation.ts";
import type { Surroundings } from "../support/escapes/attempts.ts";

const OTHER_USER = 61_111;
const PEEK = fileURLToPath(new URL("../support/escapes/peek.ts", import.meta.url));
const DRIVE = fileURLToPath(new URL("../support/escapes/drive.ts", import.meta.url));
const ROWS: Readonly<Record<string, Escape>> = Object.assign({}, ...ESCAPES.map(({ rows }) => rows));

const isRoot = process.getuid!() === 0;
const host = await examineHost();
type Level = "none" | "permission" | "sandbox";

interface Found {
  readonly isolation: string;
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  readonly environment: readonly string[];
  readonly outcomes: Readonly<Record<string, string>>;
}

/** As whom: a user number, or undefined for the tests' own. */
async function surround(context: TestContext, user: number | undefined): Promise<Omit<Surroundings, "isShut">> {
  const folder = mkdtempSync(join(tmpdir(), "qflare-escape-"));
  const at = (name: string): string => join(folder, name);
  writeFileSync(at("secret"), "secret");
  symlinkSync(at("secret"), at("link"));
  writeFileSync(at("module.mjs"), "export const found = 1;\n");
  writeFileSync(at("module.cjs"), "module.exports = 1;\n");
  for (const name of ["victim", "changeable"]) writeFileSync(at(name), "");
  for (const name of ["", "changeable"]) chownSync(at(name), user ?? process.getuid!(), user ?? process.getgid!());
  const http = createServer((_, response) => response.end("here"));
  const unix = createUnixServer();
  await Promise.all([listening(http, { host: "127.0.0.1", port: 0 }), listening(unix, { path: at("socket") })]);
  chmodSync(at("socket"), 0o777);
  const sibling = start(["-e", "setInterval(() => {}, 1000)"], user);
  context.after(() => {
    sibling.kill("SIGKILL");
    http.close();
    http.closeAllConnections();
    unix.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { port } = http.address() as { port: number };
  const paths = { secretFile: at("secret"), linkToSecret: at("link"), folder, unixSocket: at("socket") };
  return { ...paths, port, sibling: sibling.pid! };
}

async function listening(server: Server, place: { host: string; port: number } | { path: string }): Promise<void> {
  server.listen(place);
  await once(server, "listening");
}

function start(args: readonly string[], user: number | undefined): ChildProcess {
  return spawn(process.execPath, ["--no-warnings", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { QFLARE_TEST_SECRET: "secret", TMPDIR: tmpdir() },
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
}

async function tryOut(level: Level, user: number | undefined, at: Surroundings): Promise<Found> {
  const given = JSON.stringify(at);
  const child = start([DRIVE, level, at.folder, given], user);
  const [said, complaint] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  try {
    return JSON.parse(said) as Found;
  } catch {
    throw new Error(`the probe said ${JSON.stringify(said)} and ${complaint}`);
  }
}

function expected(row: Escape, level: Level, user: number): boolean {
  const isOpen = level === "none" || (level === "permission" && row.from === "sandbox");
  return isOpen && (row.isRootOnly !== true || user === 0);
}

function assertAsDocumented(found: Found, level: Level, user: number, names: readonly string[]): void {
  const wrong = names.filter((name) => (found.outcomes[name] === "through") !== expected(ROWS[name]!, level, user));
  assert.deepEqual(
    wrong.map((name) => `${name}: ${found.outcomes[name]}`),
    [],
  );
}

for (const level of ["none", "permission", "sandbox"] as const) {
  for (const user of isRoot ? [undefined, OTHER_USER] : [undefined]) {
    const who = user ?? process.getuid!();
    test(`at level ${level} user ${who} gets out by the documented ways alone`, async (context) => {
      if (level === "sandbox" && host.sandbox === undefined) return context.skip(host.raise);
      const found = await tryOut(level, user, { ...(await surround(context, user)), isShut: false });
      assert.equal(found.isolation, level);
      assert.deepEqual(Object.keys(found.outcomes).sort(), Object.keys(ROWS).sort());
      const names = Object.keys(ROWS).filter((name) => name !== GATE);
      assertAsDocumented(found, level, who, names);
      if (level !== "none") assert.deepEqual(found.environment, level === "sandbox" ? ["PWD"] : []);
      if (level === "sandbox") assert.deepEqual([found.pid, found.ppid, found.uid], [1, 0, 65_534]);
    });
  }
}

test("at level permission, shut as an enclave is, nothing goes past Node either", async (context) => {
  const found = await tryOut("permission", undefined, { ...(await surround(context, undefined)), isShut: true });
  const names = Object.keys(ROWS).filter((name) => name === GATE || name.startsWith(PAST_NODE));
  assert.ok(names.length > 20);
  for (const name of names) assert.match(found.outcomes[name]!, /^refused/, name);
});

test("another process of the same user, even its parent, cannot open the enclave's memory", async (context) => {
  const user = isRoot ? OTHER_USER : undefined;
  const { folder } = await surround(context, user);
  const child = start([PEEK, folder], user);
  const [said, complaint] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  const sandbox = host.sandbox === undefined ? {} : { sandbox: false };
  assert.deepEqual(JSON.parse(said || complaint), { plain: true, permission: false, ...sandbox });
});

test("there are at least 45 ways to try", () => assert.ok(Object.keys(ROWS).length >= 45));
