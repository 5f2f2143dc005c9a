// How an enclave process is started: Node with nothing but the program and the open file of its sealing key, behind
// the strictest walls that the host has.

import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { closeSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Tee } from "../attestation/evidence.ts";
import { deviceOf } from "../attestation/tee-device.ts";
import { toHex } from "../core/bytes.ts";
import { makeFolder } from "../crypto/folder.ts";
import { sha256 } from "../crypto/hash.ts";
import { openSecretFile } from "../crypto/secret-file.ts";
import { enclaveProgram, PROGRAM_NAME } from "./enclave-program.ts";
import type { HostIsolation } from "./isolation.ts";
import { PROGRAM_INSIDE, pidInside, spawnInSandbox } from "./sandbox.ts";
import { SEALING_KEY_FILE } from "./sealing-key.ts";

export type EnclaveChild = ChildProcessByStdio<Writable, Readable, Readable>;

export interface Launched {
  readonly child: EnclaveChild;
  /** Of the enclave itself, not of the walls around it; undefined where it did not start. */
  readonly pid: Promise<number | undefined>;
}

const PERMISSION_FLAGS: readonly string[] = [
  "--permission",
  // Given up by the program itself, once it has closed its last doors.
  "--allow-ffi",
  "--disallow-code-generation-from-strings",
  "--disable-proto=delete",
  "--disable-sigusr1",
  "--no-experimental-sqlite",
  "--no-warnings",
];

/**
 * keyFolder: where the sealing key lies; made if it is not there. tee: hardware whose interface the process may open.
 * Throws as openSecretFile does.
 */
export function launchEnclave(keyFolder: string, isolation: HostIsolation, tee: Tee): Launched {
  makeFolder(keyFolder, 0o700);
  const program = enclaveProgram();
  const keyFile = openSecretFile(join(keyFolder, SEALING_KEY_FILE));
  try {
    const args = ["--tee", tee, toHex(sha256(program))];
    const grants = tee === "simulated" ? [] : deviceOf(tee).grants;
    return launch({ program, keyFile, args, grants }, keyFolder, isolation);
  } finally {
    closeSync(keyFile);
  }
}

export interface Start {
  /** One module, as text. */
  readonly program: Uint8Array;
  /** Open file that the process gets as number 3. */
  readonly keyFile: number;
  readonly args: readonly string[];
  /** Files that it may open, as Node's permission model names them: no sandbox has them. */
  readonly grants?: readonly string[];
}

/** folder: where the program may be written for a process that shares our root. */
export function launch(start: Start, folder: string, { sandbox }: HostIsolation): Launched {
  if (sandbox !== undefined) {
    const command = [...flagsFor(PROGRAM_INSIDE), PROGRAM_INSIDE, ...start.args];
    const child = spawnInSandbox(sandbox, { program: start.program, keyFile: start.keyFile, command });
    return { child: child as EnclaveChild, pid: pidInside(child) };
  }
  // The process starts elsewhere, and a data folder is named from here.
  const path = resolve(folder, PROGRAM_NAME);
  writeFileSync(path, start.program, { mode: 0o600 });
  const child: ChildProcess = spawn(process.execPath, [...flagsFor(path, start.grants), path, ...start.args], {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "pipe", start.keyFile],
  });
  return { child: child as EnclaveChild, pid: Promise.resolve(child.pid) };
}

/** Node before 26 knows less of them: the enclave then says itself that it is not isolated. */
function flagsFor(path: string, grants: readonly string[] = []): string[] {
  const known = PERMISSION_FLAGS.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag.split("=")[0]!));
  const files = grants.flatMap((grant) => [`--allow-fs-read=${grant}`, `--allow-fs-write=${grant}`]);
  return ["--permission", `--allow-fs-read=${path}`, ...files, ...known.filter((flag) => flag !== "--permission")];
}
