// The recipes of deploy/, as far as they can be checked without the hardware that they are for.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse as parseToml } from "smol-toml";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const at = (...parts: string[]): string => join(ROOT, "deploy", ...parts);
const read = (...parts: string[]): string => readFileSync(at(...parts), "utf8");

const UNITS = readdirSync(at("cvm")).filter((name) => /\.(?:service|socket)$/.test(name));
const EXPOSURE_MAX = 1; // of 10, as systemd-analyze counts
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

interface Manifest {
  readonly loader: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, unknown>> };
  readonly fs: { readonly mounts: readonly { readonly uri: string }[] };
  readonly sgx: { readonly debug: boolean; readonly remote_attestation: string; readonly trusted_files: string[] };
}

test("systemd finds nothing wrong with the units", (context) => {
  if (!hasSystemd) return context.skip("systemd-analyze is not installed");
  assert.equal(UNITS.length, 3);
  const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", ...UNITS.map((name) => at("cvm", name))], {
    encoding: "utf8",
  });
  assert.equal(`${stdout}${stderr}`, "");
  assert.equal(status, 0);
});

test("systemd counts the enclave's service among the safe ones", (context) => {
  if (!hasSystemd) return context.skip("systemd-analyze is not installed");
  const unit = at("cvm", "qflare-enclave@.service");
  const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=yes", "--no-pager", unit], {
    encoding: "utf8",
  });
  const level = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
  assert.ok(Number(level) < EXPOSURE_MAX, stdout.slice(-200));
});

test("the Gramine manifest is TOML, takes nothing of the host unmeasured and trusts each file that it mounts", () => {
  const filled = read("gramine", "qflare-enclave.manifest.template").replaceAll(/\{\{ (.+?) \}\}/g, "<$1>");
  const manifest = parseToml(filled) as unknown as Manifest;
  assert.ok(!/insecure|allowed_files|passthrough/.test(filled));
  assert.equal(manifest.sgx.debug, false);
  assert.equal(manifest.sgx.remote_attestation, "dcap");
  assert.ok(manifest.loader.argv.includes("--permission"));
  const trusted = manifest.sgx.trusted_files.map((uri) => uri.replace(/\/$/, ""));
  for (const { uri } of manifest.fs.mounts) assert.ok(trusted.includes(uri), uri);
  const variables = [...read("gramine", "Makefile").matchAll(/-D(\w+)=/g)].map(([, name]) => name!);
  const used = [...filled.matchAll(/<(\w+)>/g)].map(([, name]) => name!);
  assert.deepEqual([...new Set(used)].sort(), variables.sort());
});

test("scripts parse", () => {
  const scripts = [
    ["bash", "cvm/measure.sh"],
    ["bash", "nitro/build-eif.sh"],
    ["sh", "nitro/start.sh"],
  ] as const;
  for (const [shell, path] of scripts) {
    assert.equal(spawnSync(shell, ["-n", at(path)], { encoding: "utf8" }).stderr, "", path);
  }
});

test("the Nitro image copies files that are there or built, from images with a version", () => {
  const text = read("nitro", "Dockerfile");
  const copied = [...text.matchAll(/^COPY (?!--from)(?:--\S+ )*(\S+) /gm)].map(([, path]) => path!);
  assert.ok(copied.length > 0);
  for (const path of copied) assert.ok(path.startsWith("dist/") || existsSync(join(ROOT, path)), path);
  for (const [, image] of text.matchAll(/^FROM (\S+)/gm)) assert.match(image!, /:(?!latest)\S+/);
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.ok(text.includes(`FROM node:${devDependencies.node}-`), "the pinned Node");
});

test("the image of the virtual machine has the known sections alone, and no swap", () => {
  const text = read("cvm", "mkosi.conf");
  const sections = [...text.matchAll(/^\[(\w+)\]$/gm)].map(([, name]) => name);
  assert.deepEqual(sections, ["Distribution", "Output", "Content"]);
  for (const line of text.split("\n")) assert.match(line, /^(?:#.*|\[\w+\]|[A-Z]\w+=.*| {8}\S+|)$/);
  assert.match(text, /systemd\.swap=no/);
});

test("each recipe starts the enclave with the flags that shut Node in", () => {
  const flags = ["--permission", "--disallow-code-generation-from-strings", "--no-experimental-sqlite"];
  for (const path of ["cvm/qflare-enclave@.service", "nitro/start.sh", "gramine/qflare-enclave.manifest.template"]) {
    for (const flag of flags) assert.ok(read(path).includes(flag), `${path} ${flag}`);
    assert.ok(!/--allow-(?:net|child-process|worker|fs-write)/.test(read(path)), path);
  }
});
