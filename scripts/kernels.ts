// Compiles kernels/<floor>/<name>.ts (AssemblyScript) to src/<floor>/wasm/<name>.ts, a module of base64 text that runs
// in Node, in a browser and in a bundle alike. Skips what is up to date.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main as asc } from "assemblyscript/asc";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Relaxed SIMD may round differently from one CPU to the next: training alone may use it. */
const RELAXED: readonly string[] = ["math/training-relaxed"];

function sources(): string[] {
  return readdirSync(join(root, "kernels"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !basename(name).startsWith("_"))
    .map((name) => name.slice(0, -3))
    .sort();
}

/** When the source, or a file beside it that sources may include, was last written. */
function changedMs(source: string): number {
  const folder = dirname(source);
  const included = readdirSync(folder).filter((name) => name.startsWith("_"));
  return Math.max(...[source, ...included.map((name) => join(folder, name))].map((file) => statSync(file).mtimeMs));
}

async function compile(name: string): Promise<void> {
  const source = join(root, "kernels", `${name}.ts`);
  const target = join(root, "src", dirname(name), "wasm", `${basename(name)}.ts`);
  if (existsSync(target) && statSync(target).mtimeMs > changedMs(source)) return;
  let binary: Uint8Array | undefined;
  const features = RELAXED.includes(name) ? ["--enable", "relaxed-simd"] : [];
  const options = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", ...features];
  const { error, stderr } = await asc([source, ...options, "--outFile", "kernel.wasm", "--baseDir", "/"], {
    writeFile: (file, contents) => {
      if (file.endsWith(".wasm")) binary = contents as Uint8Array;
    },
    readFile: (file, base) => {
      const path = join(base, file);
      return existsSync(path) ? readFileSync(path, "utf8") : null;
    },
  });
  if (error !== null || binary === undefined) throw new Error(`${name}: ${stderr.toString()}`);
  mkdirSync(dirname(target), { recursive: true });
  const text = Buffer.from(binary).toString("base64");
  writeFileSync(
    target,
    `// Made by scripts/kernels.ts from kernels/${name}.ts.\nexport default "${text}" as string;\n`,
  );
  process.stderr.write(`kernel ${name}: ${binary.length} bytes\n`); // the compiler's types hide console.error
}

for (const name of sources()) await compile(name);
