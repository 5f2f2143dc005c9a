// What the enclave process takes from itself before the first message: core dumps, readers of its memory, new
// privileges, every system call that it will not need, and Node's permissions. Done by libc's own functions through
// node:ffi, which are given up last.

import type * as Ffi from "node:ffi";
import { utf8 } from "../core/bytes.ts";
import type { IsolationLevel } from "../isolation/level.ts";
import { seccompFilter } from "../isolation/seccomp.ts";
import { MACHINES, type Machine, PRCTL, SYSTEM_CALLS } from "../isolation/syscalls.ts";

type Permission = { has(scope: string): boolean; drop?(scope: string): void };

const SCOPES: readonly string[] = ["fs.read", "fs.write", "child", "worker", "net", "ffi"];
const RLIMIT_CORE = 4; // asm-generic/resource.h
const SECCOMP_SET_MODE_FILTER = 1n; // linux/seccomp.h
const SECCOMP_FILTER_FLAG_TSYNC = 1n; // for every thread of the process, not this one alone
const AF_INET = 2;
const SOCK_STREAM = 1;
/** Every ordinary root has some of them. */
const ORDINARY_PLACES: readonly string[] = ["/dev", "/etc", "/home", "/proc", "/run", "/sys", "/tmp", "/usr/bin"];

/** -1 means refused. */
interface Libc {
  prctl(option: number, value: bigint, a: bigint, b: bigint, c: bigint): number;
  setrlimit(resource: number, limits: Uint8Array): number;
  syscall(number: bigint, operation: bigint, flags: bigint, program: Uint8Array): bigint;
  socket(domain: number, type: number, protocol: number): number;
  access(path: Uint8Array, mode: number): number;
  getppid(): number;
}

/** The level that the process has reached, looked at from inside and past Node's own checks. */
export async function harden(): Promise<IsolationLevel> {
  const model = process.permission as Permission | undefined;
  // Before Node 26 the model knows nothing of the network and answers false for a scope that it does not govern.
  const governsNetwork = process.allowedNodeEnvironmentFlags.has("--allow-net");
  if (model?.drop === undefined || !governsNetwork) return "none";
  const native = model.has("ffi") ? await openLibc() : undefined;
  const level = native === undefined ? "none" : shutIn(native.libc, native.ffi);
  // Functions that somebody kept would work on after the permission is given up.
  native?.close();
  for (const scope of ["fs.read", "fs.write", "ffi"]) model.drop(scope);
  return SCOPES.some((scope) => model.has(scope)) ? "none" : level;
}

function shutIn(libc: Libc, ffi: typeof Ffi): IsolationLevel {
  const isBoxed = isSandboxed(libc);
  if (!isHidden(libc)) return "none";
  // Outside of a sandbox libuv has set up an io_uring by now, and ends the process when a filter refuses its use.
  return isBoxed && isFiltered(libc, ffi) ? "sandbox" : "permission";
}

async function openLibc(): Promise<{ libc: Libc; ffi: typeof Ffi; close(): void } | undefined> {
  if (process.platform !== "linux" || !(MACHINES as readonly string[]).includes(process.arch)) return undefined;
  const ffi = await import("node:ffi");
  const { lib, functions } = ffi.dlopen(null, {
    prctl: { arguments: ["i32", "u64", "u64", "u64", "u64"], return: "i32" },
    setrlimit: { arguments: ["i32", "buffer"], return: "i32" },
    syscall: { arguments: ["i64", "u64", "u64", "buffer"], return: "i64" },
    socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
    access: { arguments: ["buffer", "i32"], return: "i32" },
    getppid: { arguments: [], return: "i32" },
  });
  return { libc: functions as unknown as Libc, ffi, close: () => lib.close() };
}

/** An empty root, no sockets, nobody above. Asked before our own filter, which would refuse all of it. */
function isSandboxed(libc: Libc): boolean {
  const isRootEmpty = ORDINARY_PLACES.every((place) => libc.access(utf8(`${place}\0`), 0) !== 0);
  return isRootEmpty && libc.socket(AF_INET, SOCK_STREAM, 0) < 0 && libc.getppid() === 0;
}

/**
 * Not dumpable: no core dump, and another process of the same user may neither trace it nor read its memory. And no
 * program that it could start would get more rights than it has.
 */
function isHidden(libc: Libc): boolean {
  const none = new Uint8Array(16); // struct rlimit: soft and hard, both 0
  libc.setrlimit(RLIMIT_CORE, none);
  if (libc.prctl(PRCTL.setNoNewPrivileges, 1n, 0n, 0n, 0n) !== 0) return false;
  libc.prctl(PRCTL.setDumpable, 0n, 0n, 0n, 0n);
  return libc.prctl(PRCTL.getDumpable, 0n, 0n, 0n, 0n) === 0;
}

function isFiltered(libc: Libc, ffi: typeof Ffi): boolean {
  const machine = process.arch as Machine;
  const filter = seccompFilter(machine, "serving");
  // struct sock_fprog: u16 count, 6 bytes of padding, pointer
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, filter.length / 8, true);
  program.setBigUint64(8, ffi.getRawPointer(filter), true);
  const call = BigInt(SYSTEM_CALLS.seccomp![machine]!);
  return libc.syscall(call, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, new Uint8Array(program.buffer)) === 0n;
}
