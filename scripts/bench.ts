// Runs bench/<name>.ts with the arguments behind the name; without a name lists what there is.

import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "bench");

function names(): string[] {
  const files = globSync(join(folder, "*.ts")).map((file) => basename(file, ".ts"));
  return files.filter((name) => !name.startsWith("_")).sort();
}

function aboutOf(name: string): string {
  const comment = /^\/\/ (.*)$/m.exec(readFileSync(join(folder, `${name}.ts`), "utf8"));
  return comment?.[1] ?? "";
}

function list(): void {
  for (const name of names()) console.log(`${name.padEnd(20)} ${aboutOf(name)}`);
}

const [name, ...rest] = process.argv.slice(2);
if (name === undefined) {
  list();
} else if (names().includes(name)) {
  process.exitCode =
    spawnSync(process.execPath, [join(folder, `${name}.ts`), ...rest], { stdio: "inherit" }).status ?? 1;
} else {
  console.error(`Cannot run benchmark: expected one of the names below, got ${name}`);
  list();
  process.exitCode = 2;
}
