// What README.md tells a newcomer to type works as written.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { Child, type JsonLine } from "../../src/cli/children.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const program = join(root, "bin", "qflare.js");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The fenced blocks of one language below a heading. */
function blocks(heading: string, language: string): string[] {
  const start = readme.indexOf(`\n## ${heading}\n`);
  assert.notEqual(start, -1, `README has no section ${heading}`);
  const section = readme.slice(start + 1, readme.indexOf("\n## ", start + 4));
  const fence = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g");
  return [...section.matchAll(fence)].map((match) => match[1]!);
}

/** Arguments behind "npx qflare" of each line. */
function commands(text: string): string[][] {
  const lines = text.trim().split("\n");
  return lines.map((line) => {
    assert.match(line, /^npx qflare /);
    return line.replace(/^npx qflare /, "").split(" ");
  });
}

/** A folder inside the package, so that `import "qflare"` finds it. */
function workFolder(): string {
  mkdirSync(join(root, ".qflare"), { recursive: true });
  return mkdtempSync(join(root, ".qflare", "readme-"));
}

function run(folder: string, args: readonly string[]): string {
  const done = spawnSync(process.execPath, [...args], { cwd: folder, encoding: "utf8", timeout: 120_000 });
  assert.equal(done.status, 0, `${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

async function startServer(folder: string, args: readonly string[]): Promise<Child> {
  const listening = Promise.withResolvers<JsonLine>();
  const options = [...args, "--json", "--log-level", "warn", "--port", "0", "--data-dir", join(folder, ".qflare")];
  const server = new Child(options, (line) => line.event === "listening" && listening.resolve(line));
  const ended = server.exited.then(() => assert.fail(server.ending));
  await Promise.race([listening.promise, ended]);
  ended.catch(() => undefined);
  return server;
}

describe("README", () => {
  let folder = "";
  before(() => {
    folder = workFolder();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("leads through a run of one's own", async () => {
    const [server, tokens, devices, afterwards] = blocks("A run of your own", "sh").map(commands);
    const running = await startServer(folder, server![0]!);
    try {
      for (const args of tokens!) run(folder, [program, ...args]);
      assert.equal(tokens!.length, devices!.length);
      const training = devices!.map((own) => {
        const seen: JsonLine[] = [];
        for (const flag of ["--keystore", "--token-file"]) {
          const value = own.indexOf(flag) + 1;
          own[value] = join(folder, own[value]!);
        }
        return { seen, child: new Child([...own, "--json"], (line) => seen.push(line)) };
      });
      for (const { child, seen } of training) {
        await child.exited;
        assert.equal(seen.at(-1)?.event, "finished", child.ending);
      }
      for (const args of afterwards!) run(folder, [program, ...args]);
      assert.ok(existsSync(join(folder, "model.safetensors")));
    } finally {
      await running.stop();
    }
  });

  it("compares defences under attack", () => {
    const [[args]] = blocks("Attacks against defences", "sh").map(commands) as [[string[]]];
    assert.match(run(folder, [program, ...args]), /^default +backdoor:5 /m);
    assert.match(readFileSync(join(folder, "simulation", "report.html"), "utf8"), /^<!doctype html>/);
  });

  it("shows a device program that trains", async () => {
    const [source] = blocks("A device in 20 lines", "js");
    const rows = Array.from({ length: 40 }, (_, i) => `${i % 2},${(i * 7) % 5},${i % 2 === 0 ? "well" : "ill"}`);
    rmSync(join(folder, ".qflare"), { recursive: true });
    const shape = ["--model", "softmax", "--inputs", "2", "--classes", "2", "--rule", "mean"];
    const counts = ["--rounds", "3", "--target", "2", "--quorum", "2"];
    const running = await startServer(folder, ["server", ...shape, ...counts]);
    try {
      const admin = await AdminClient.connect(join(folder, ".qflare"));
      const printed = await Promise.all(
        ["ward-1", "ward-2"].map(async (name) => {
          const { token } = await admin.call<{ token: string }>("token.create", { name, age_ms: 60_000 });
          const own = join(folder, name);
          mkdirSync(own);
          writeFileSync(join(own, "ward-1.csv"), `marker,age,diagnosis\n${rows.join("\n")}\n`);
          writeFileSync(join(own, "device.mjs"), source!);
          const env = { ...process.env, TOKEN: token };
          return await promisify(execFile)(process.execPath, ["device.mjs"], { cwd: own, env, timeout: 60_000 });
        }),
      );
      admin.close();
      for (const { stdout } of printed) assert.equal(stdout.match(/receipt at entry \d+/g)?.length, 3, stdout);
    } finally {
      await running.stop();
    }
  });
});
