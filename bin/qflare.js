#!/usr/bin/env node
// Starts the command line: the sources in a checkout, the compiled files in the package. Plain old JavaScript up to the
// check, so that an old Node gets as far as saying what it lacks.
var major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(`qflare needs Node 24 or newer, this is ${process.version}\n`);
  process.exitCode = 1;
} else {
  start();
}

async function start() {
  const { existsSync } = await import("node:fs");
  const { enableCompileCache } = await import("node:module");
  const { fileURLToPath } = await import("node:url");
  // Two thirds of a start went into compiling. Beside the program, so that who may write there could as well change it:
  // the default below the temporary folder would let anyone on the machine hand us code.
  enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/qflare", import.meta.url)));
  const source = new URL("../src/cli/main.ts", import.meta.url);
  const compiled = new URL("../dist/cli/main.js", import.meta.url);
  const { main } = await import(existsSync(fileURLToPath(source)) ? source.href : compiled.href);
  await main(process.argv.slice(2));
}
