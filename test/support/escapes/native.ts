// Attempts past Node: system calls through libc, by functions taken hold of before the process shut itself in.

import type { Attempt, Surroundings } from "./attempts.ts";

type Call = (number: bigint, ...given: bigint[]) => bigint;

/** x64 and arm64, as in the kernel's tables. */
const NUMBERS = {
  openat: [257, 56],
  mkdirat: [258, 34],
  memfd_create: [319, 279],
  socket: [41, 198],
  socketpair: [53, 199],
  clone: [56, 220],
  execve: [59, 221],
  exit_group: [231, 94],
  kill: [62, 129],
  tgkill: [234, 131],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  pidfd_open: [434, 434],
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  chroot: [161, 51],
  setuid: [105, 146],
  setrlimit: [160, 164],
  prctl: [157, 167],
  seccomp: [317, 277],
  io_uring_setup: [425, 425],
  bpf: [321, 280],
  userfaultfd: [323, 282],
  add_key: [248, 217],
  inotify_init1: [294, 26],
  sethostname: [170, 161],
} as const;

const AT_FDCWD = 2n ** 64n - 100n;
const SIGCHLD = 17n;
const REFUSALS: readonly number[] = [1, 3, 13, 38]; // EPERM, ESRCH, EACCES, ENOSYS
const ENOENT = 2;

export class Native {
  readonly #call: Call;
  readonly #errno: () => number;
  readonly #pointer: (bytes: Uint8Array) => bigint;

  /** undefined where this Node has no node:ffi or was not given it. */
  static open(): Native | undefined {
    try {
      const ffi = process.getBuiltinModule("node:ffi");
      const given = Array.from({ length: 6 }, () => "u64" as const);
      const { functions } = ffi.dlopen(null, {
        syscall: { arguments: ["i64", ...given], return: "i64" },
        __errno_location: { arguments: [], return: "pointer" },
      });
      const place = functions.__errno_location as unknown as () => bigint;
      const pointer = (bytes: Uint8Array): bigint => ffi.getRawPointer(bytes);
      return new Native(functions.syscall as unknown as Call, () => ffi.getInt32(place()), pointer);
    } catch {
      return undefined;
    }
  }

  private constructor(call: Call, errno: () => number, pointer: (bytes: Uint8Array) => bigint) {
    this.#call = call;
    this.#errno = errno;
    this.#pointer = pointer;
  }

  place(bytes: Uint8Array): bigint {
    return this.#pointer(bytes);
  }

  /** Throws where the kernel refuses. Any other failure has come past the refusal. */
  do(name: keyof typeof NUMBERS, ...given: (bigint | Uint8Array)[]): bigint {
    const words = given.map((value) => (typeof value === "bigint" ? value : this.#pointer(value)));
    while (words.length < 6) words.push(0n);
    const number = NUMBERS[name][process.arch === "x64" ? 0 : 1];
    const result = this.#call(BigInt(number), ...words);
    if (result >= 0n) return result;
    const errno = this.#errno();
    if (REFUSALS.includes(errno) || (errno === ENOENT && name !== "execve")) throw new Error(`${name}: error ${errno}`);
    return -BigInt(errno);
  }
}

const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);
const room = (): Uint8Array => new Uint8Array(256);

type NativeAttempt = (native: Native, at: Surroundings) => unknown;

const ATTEMPTS: Readonly<Record<string, NativeAttempt>> = {
  "open a file": (native, { secretFile }) => native.do("openat", AT_FDCWD, text(secretFile), 0n),
  "make a folder": (native, { folder }) => native.do("mkdirat", AT_FDCWD, text(`${folder}/n-${process.pid}`), 0o700n),
  "make a file in memory": (native) => native.do("memfd_create", text("x"), 0n),
  "make a TCP socket": (native) => native.do("socket", 2n, 1n, 0n),
  "make a Unix socket": (native) => native.do("socket", 1n, 1n, 0n),
  "make a netlink socket": (native) => native.do("socket", 16n, 3n, 0n),
  "make a pair of sockets": (native) => native.do("socketpair", 1n, 1n, 0n, room()),
  fork: (native) => {
    const pid = native.do("clone", SIGCHLD);
    // Two processes run from here: the second leaves at once.
    if (pid === 0n) native.do("exit_group", 0n);
    return pid;
  },
  "run a program": (native) => native.do("execve", text("/bin/true-is-not-here"), 0n, 0n),
  "signal another process": (native, { sibling }) => native.do("kill", BigInt(sibling), 0n),
  "signal a thread of another process": (native, { sibling }) =>
    native.do("tgkill", BigInt(sibling), BigInt(sibling), 0n),
  "trace another process": (native, { sibling }) => native.do("ptrace", 0x4206n, BigInt(sibling), 0n, 0n),
  "read another process's memory": (native, { sibling }) => {
    const own = new BigUint64Array([native.place(room()), 256n]); // struct iovec
    const other = new BigUint64Array([0x1000n, 256n]);
    const bytes = [own, other].map((vector) => new Uint8Array(vector.buffer));
    return native.do("process_vm_readv", BigInt(sibling), bytes[0]!, 1n, bytes[1]!, 1n, 0n);
  },
  "get hold of another process": (native, { sibling }) => native.do("pidfd_open", BigInt(sibling), 0n),
  // EINVAL for a process of several threads where it is allowed at all.
  "make a user namespace": (native) => native.do("unshare", 0x1000_0000n),
  // No such type: where mounting is allowed, that is what the kernel complains of.
  "mount a file system": (native) => native.do("mount", text("none"), text("/"), text("qflare-no-such-type"), 0n, 0n),
  "change its root": (native) => native.do("chroot", text("/")),
  "become root": (native) => native.do("setuid", 0n),
  "make itself dumpable again": (native) => native.do("prctl", 4n, 1n, 0n, 0n, 0n),
  "allow itself core dumps": (native) => {
    const limits = new BigUint64Array([0n, 0n]);
    return native.do("setrlimit", 4n, new Uint8Array(limits.buffer));
  },
  "set up an io_uring": (native) => native.do("io_uring_setup", 4n, room()),
  "load a BPF program": (native) => native.do("bpf", 0n, room(), 72n),
  "handle page faults": (native) => native.do("userfaultfd", 1n),
  "add a kernel key": (native) => native.do("add_key", text("user"), text("x"), text("x"), 1n, 2n ** 64n - 2n),
  "watch files": (native) => native.do("inotify_init1", 0n),
  // Longer than a name may be: where renaming is allowed, that is what the kernel complains of.
  "rename the host": (native) => native.do("sethostname", text("x"), 65n),
};

export function nativeAttempts(native: Native | undefined): Record<string, Attempt> {
  const entries = Object.entries(ATTEMPTS).map(([name, attempt]): [string, Attempt] => [
    `past Node: ${name}`,
    (at) => {
      if (native === undefined) throw new Error("no way past Node");
      return attempt(native, at);
    },
  ]);
  return Object.fromEntries(entries);
}
