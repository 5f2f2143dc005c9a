// A third party's verifier: golang.org/x/mod/sumdb (Debian's golang-golang-x-mod-dev) reads the log's files.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { toBase64 } from "../../src/core/bytes.ts";
import { TILE_WIDTH } from "../../src/crypto/log-tree.ts";
import type { SignedCheckpoint } from "../../src/server/audit.ts";
import { parseLogProof } from "../../src/wire/log-proof.ts";
import { formatVkey } from "../../src/wire/note.ts";
import { tilePath } from "../../src/wire/tile.ts";
import { TestServer } from "../support/parts.ts";

const GO_PATH = "/usr/share/gocode";
const isThere =
  existsSync(join(GO_PATH, "src/golang.org/x/mod/sumdb/tlog")) && spawnSync("go", ["version"]).status === 0;
const skip =
  isThere || process.env.CI === "true" ? false : "expected golang-go and golang-golang-x-mod-dev, found none";

interface Input {
  vkey: string;
  newer: string;
  older: string;
  files: Record<string, string>;
  proofs: { index: number; path: string[] }[];
  consistency: string[];
}

const OLDER_SIZE = 300;
/** More than one row of tiles, the last tile of each not full. */
const NEWER_SIZE = 256 * 3 + 57;

async function grow(server: TestServer, size: number): Promise<SignedCheckpoint> {
  const missing = size - (server.audit.newest?.size ?? 0);
  const fact = (i: number) => ({ type: "token.created", subject: `entry ${i}`, digest: new Uint8Array(32) }) as const;
  await Promise.all(
    Array.from({ length: missing }, (_, i) => server.writer.write((tx) => server.audit.append(tx, fact(i)))),
  );
  return server.audit.newest!;
}

/** What a server would serve under /api/log. */
async function filesOf({ audit }: TestServer, size: number): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (let row = 0; TILE_WIDTH ** row <= size; row++) {
    const hashes = Math.floor(size / TILE_WIDTH ** row);
    for (let number = 0; number * TILE_WIDTH < hashes; number++) {
      const width = Math.min(TILE_WIDTH, hashes - number * TILE_WIDTH);
      files[tilePath({ row, number, width })] = toBase64((await audit.tile(row, number, width))!);
      if (row === 0)
        files[tilePath({ row: "entries", number, width })] = toBase64((await audit.bundle(number, width))!);
    }
  }
  return files;
}

async function inputOf(context: TestContext): Promise<Input> {
  const server = await TestServer.start(context);
  const older = await grow(server, OLDER_SIZE);
  const newer = await grow(server, NEWER_SIZE);
  const indexes = [0, 1, 255, 256, 300, 512, 767, 768, NEWER_SIZE - 1];
  const proofs = await Promise.all(
    indexes.map(async (index) => {
      const { proof } = await server.audit.prove(index, 0);
      return { index, path: parseLogProof(proof).path.map(toBase64) };
    }),
  );
  return {
    vkey: formatVkey(server.audit.signer.keys[0]),
    newer: newer.note,
    older: older.note,
    files: await filesOf(server, NEWER_SIZE),
    proofs,
    consistency: (await server.audit.proveConsistency(OLDER_SIZE, NEWER_SIZE)).map(toBase64),
  };
}

/** The same with one bit of these bytes altered. */
function altered(base64: string, at = 0): string {
  const bytes = Buffer.from(base64, "base64");
  bytes[at < 0 ? bytes.length + at : at] ^= 1;
  return bytes.toString("base64");
}

describe("Go's sumdb packages", { skip }, () => {
  let folder = "";
  let program = "";

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "qflare-go-"));
    program = join(folder, "verify");
    const environment = { ...process.env, GO111MODULE: "off", GOPATH: GO_PATH, GOCACHE: join(folder, "cache") };
    const built = spawnSync("go", ["build", "-o", program, "verify.go"], {
      cwd: join(import.meta.dirname, "../support/go"),
      env: environment,
      encoding: "utf8",
    });
    assert.equal(built.status, 0, built.stderr || String(built.error));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  const verified = (input: Input): { entries: number; proofs: number; problems: string[] } => {
    const ran = spawnSync(program, { input: JSON.stringify(input), encoding: "utf8" });
    assert.equal(ran.status, 0, ran.stderr);
    return JSON.parse(ran.stdout);
  };

  it("accept checkpoints, tiles, entries and proofs", async (context) => {
    const result = verified(await inputOf(context));
    assert.deepEqual(result, { entries: NEWER_SIZE, proofs: 9, problems: [] });
  });

  it("refuse any of them altered", async (context) => {
    const input = await inputOf(context);
    const files = (path: string, at = 0) => ({ files: { ...input.files, [path]: altered(input.files[path], at) } });
    const alterations: Record<string, Partial<Input>> = {
      "the size of the checkpoint": { newer: input.newer.replace(`\n${NEWER_SIZE}\n`, `\n${NEWER_SIZE - 1}\n`) },
      "the origin": { newer: input.newer.replaceAll("qflare/", "other/") },
      "the signature": { newer: input.newer.replace(/ (\S+)\n/, (_, line: string) => ` ${altered(line, 40)}\n`) },
      "the older checkpoint": { older: input.newer },
      "a leaf's hash": files("tile/0/001", 40),
      "a hash of the row above": files("tile/1/000.p/3", 40),
      "a hash of a partial tile": files("tile/0/003.p/57", -1),
      "the last byte of an entry": files("tile/entries/002", -1),
      "a bundle that is gone": { files: { ...input.files, "tile/entries/000": "" } },
      "a proof": { proofs: [{ ...input.proofs[3], path: input.proofs[3].path.map((hash) => altered(hash)) }] },
      "the place of a proof": { proofs: [{ ...input.proofs[3], index: 257 }] },
      "the consistency proof": { consistency: input.consistency.with(0, altered(input.consistency[0])) },
    };
    for (const [what, change] of Object.entries(alterations)) {
      const { problems } = verified({ ...input, ...change });
      assert.equal(problems.length, 1, what);
    }
  });
});
