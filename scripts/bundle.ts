// Writes dist/enclave.mjs, the enclave's program in one file: the same bytes from the same sources, wherever they lie.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildProgram, PROGRAM_NAME } from "../src/server/enclave-program.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

mkdirSync(join(root, "dist"), { recursive: true });
writeFileSync(join(root, "dist", PROGRAM_NAME), buildProgram(root));
