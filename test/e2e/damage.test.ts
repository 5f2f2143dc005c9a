// Data folders that are damaged, incomplete or of another run: the server refuses them and adds no damage.

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { chmodSync, cpSync, globSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { Cli, eachOf, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";

interface Damage {
  readonly name: string;
  damage(folder: string): void;
  readonly says: RegExp;
  readonly flags?: readonly string[];
  readonly code?: number;
  /** Of the commands that read a folder from outside. */
  readonly audit?: RegExp;
}

const noise = Uint8Array.from({ length: 3000 }, (_, i) => (i * 89 + 41) % 251);

function overwrite(path: string, from: number, bytes: Uint8Array): void {
  const contents = readFileSync(path);
  contents.set(bytes.subarray(0, contents.length - from), from);
  writeFileSync(path, contents);
}

/** Name and SHA-256 of every file. A reader of the ledger leaves SQLite's empty log and index beside it. */
function contentsOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !/-(wal|shm)$/.test(entry.name),
  );
  const paths = names.map((entry) => join(entry.parentPath, entry.name)).sort();
  return new Map(paths.map((path) => [path, hash("sha256", readFileSync(path))]));
}

const DAMAGES: readonly Damage[] = [
  {
    name: "a ledger that is no database",
    damage: (folder) => writeFileSync(join(folder, "ledger.sqlite"), noise),
    says: /ledger.sqlite is no whole database/,
    audit: /ledger.sqlite is no whole database/,
  },
  {
    name: "a ledger that is cut off",
    damage: (folder) => truncateSync(join(folder, "ledger.sqlite"), 20_000),
    says: /ledger.sqlite is no whole database/,
    audit: /ledger.sqlite is no whole database/,
  },
  {
    name: "a ledger with a page of noise",
    damage: (folder) => overwrite(join(folder, "ledger.sqlite"), 5 * 4096, noise),
    says: /Cannot use stored data: it is damaged: .*ledger.sqlite/,
    audit: /Cannot use stored data: it is damaged: .*ledger.sqlite/,
  },
  {
    name: "a lost ledger",
    damage: (folder) => rmSync(join(folder, "ledger.sqlite")),
    says: /holds blobs, but no ledger.sqlite/,
  },
  {
    name: "server keys that are noise",
    damage: (folder) => overwrite(join(folder, "server.key"), 0, noise),
    says: /Cannot use key file: it is damaged: .*server.key/,
    audit: /Cannot use key file: it is damaged: .*server.key/,
  },
  {
    name: "server keys that others can read",
    damage: (folder) => chmodSync(join(folder, "server.key"), 0o644),
    says: /expected mode 0600 on .*server.key, got 0644/,
    audit: /expected mode 0600 on .*server.key, got 0644/,
  },
  {
    name: "lost server keys",
    damage: (folder) => rmSync(join(folder, "server.key")),
    says: /holds a run, but no server.key/,
  },
  {
    name: "a lost sealing key",
    damage: (folder) => rmSync(join(folder, "enclave", "sealing.key")),
    says: /Cannot restore enclave: .*expected the sealing key in .*sealing.key, found none/,
  },
  {
    name: "a sealing key that is too short",
    damage: (folder) => truncateSync(join(folder, "enclave", "sealing.key"), 31),
    says: /expected 32 bytes in .*sealing.key, got 31/,
  },
  {
    name: "a sealing key of another enclave",
    damage: (folder) => overwrite(join(folder, "enclave", "sealing.key"), 0, noise),
    says: /Cannot restore enclave: .*the sealing key is another one/,
  },
  {
    name: "a sealing key that others can read",
    damage: (folder) => chmodSync(join(folder, "enclave", "sealing.key"), 0o640),
    says: /expected mode 0600 on .*sealing.key, got 0640/,
  },
  {
    name: "a run with another rule",
    damage: () => undefined,
    flags: ["--rule", "mean"],
    code: 2,
    says: /it holds a run with another model, suite, policy or plan/,
  },
  {
    name: "a run with another model",
    damage: () => undefined,
    flags: ["--inputs", "5"],
    code: 2,
    says: /it holds a run with another model, suite, policy or plan/,
  },
];

describe("a data folder with", { concurrency: 2 }, () => {
  const root = temporaryFolder();
  const base = join(root, "base");
  const serve = (folder: string, ...flags: string[]): string[] => {
    const model = ["--model", "softmax", "--inputs", "4", "--classes", "2"];
    return ["server", "--json", "--log-level", "silent", "--port", "0", "--data-dir", folder, ...model, ...flags];
  };

  before(async () => {
    const server = new Cli(serve(base));
    await server.event("listening");
    server.signal("SIGTERM");
    assert.deepEqual((await server.ending()).code, 0);
  });

  for (const [i, { name, damage, says, flags = [], code = 1, audit }] of DAMAGES.entries()) {
    test(`${name} is refused and left as it is`, async () => {
      const folder = join(root, String(i));
      cpSync(base, folder, { recursive: true });
      damage(folder);
      const earlier = contentsOf(folder);
      const commands = [serve(folder, ...flags)];
      if (audit !== undefined) commands.push(["audit", "verify", "--data-dir", folder]);
      for (const args of commands) {
        const ending = await runCli(args);
        assert.equal(ending.code, code, `${args[0]}: ${ending.stdout}${ending.stderr}`);
        assert.match(ending.stderr, args[0] === "audit" ? audit! : says);
        assert.equal(ending.stderr.trimEnd().split("\n").length, 1, ending.stderr);
      }
      assert.deepEqual(contentsOf(folder), earlier);
    });
  }

  test("a lost or altered model is refused when it starts and when the model is exported", async () => {
    const folder = join(root, "model");
    cpSync(base, folder, { recursive: true });
    const [blob] = globSync(join(folder, "blobs", "*", "?".repeat(64)));
    overwrite(blob, 50, noise);
    const exported = ["model", "export", "--data-dir", folder, "--out", join(root, "model.safetensors")];
    const cases: [readonly string[], RegExp][] = [
      [serve(folder), /is damaged: blob [0-9a-f]{64} has other bytes than its name says/],
      [exported, /is damaged: blob [0-9a-f]{64} has other bytes than its name says/],
    ];
    const check = async ([args, says]: [readonly string[], RegExp]): Promise<void> => {
      const ending = await runCli(args);
      assert.equal(ending.code, 1, ending.stderr);
      assert.match(ending.stderr, says);
    };
    await eachOf(cases, 2, check);
    rmSync(blob);
    const lost = /Cannot use stored data: it is damaged: blob [0-9a-f]{64} is missing/;
    await eachOf([[serve(folder), lost] as const, [exported, lost] as const], 2, async (one) => await check([...one]));
    assert.ok(!readdirSync(root).includes("model.safetensors"));
  });
});
