// The system calls that an enclave process may make; every other one fails with EPERM. Numbers as in Linux's
// arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (arm64).
//
// "starting" holds from the first instruction of Node until the program is loaded; "serving" from before the first
// message of the server on, so that no byte from outside meets a process that could still open a file or start a
// program. Never allowed: sockets, other processes' memory and signals, mounts, namespaces, keys, io_uring, BPF.

export const MACHINES = ["x64", "arm64"] as const;
export type Machine = (typeof MACHINES)[number];
export type Phase = "starting" | "serving";

/** On one argument of the call, counted from 0; arguments are u64. */
export type Condition =
  | { readonly argument: number; readonly oneOf: readonly number[] }
  /** All bits of has and none of lacks, in the low 32 bits. */
  | { readonly argument: number; readonly has: number; readonly lacks: number };

export interface SystemCall {
  /** null where the machine has no such call. */
  readonly x64: number | null;
  readonly arm64: number | null;
  /** Allowed in this phase alone; without it in both. */
  readonly only?: Phase;
  /** Without it whatever the arguments. */
  readonly where?: Readonly<Partial<Record<Phase, Condition>>>;
  /** Fails as if the kernel did not know it, so that the C library takes the older call, whose flags can be checked. */
  readonly isUnknown?: true;
}

const CLONE_THREAD = 0x0001_0000;
const CLONE_NEW_NAMESPACES = 0x7e02_0000; // NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET

/** linux/prctl.h */
export const PRCTL = {
  getDumpable: 3,
  setDumpable: 4,
  setName: 15,
  getSeccomp: 21,
  setNoNewPrivileges: 38,
  setVma: 0x53_56_4d_41,
} as const;

/** asm-generic/ioctls.h: what Node asks of its standard streams. TIOCSTI (typing into a terminal) is not among them. */
const IOCTL = { tcgets: 0x5401, tiocgwinsz: 0x5413, fionread: 0x541b, fionbio: 0x5421, fioclex: 0x5451 } as const;

const threadOnly = { argument: 0, has: CLONE_THREAD, lacks: CLONE_NEW_NAMESPACES } as const;
const streamQuestion = { argument: 1, oneOf: Object.values(IOCTL) } as const;
const namesAlone = { argument: 0, oneOf: [PRCTL.setName, PRCTL.setVma] } as const;
const asksAlone = { argument: 2, oneOf: [0] } as const;

export const SYSTEM_CALLS: Readonly<Record<string, SystemCall>> = {
  // streams that are open already
  read: { x64: 0, arm64: 63 },
  readv: { x64: 19, arm64: 65 },
  pread64: { x64: 17, arm64: 67 },
  write: { x64: 1, arm64: 64 },
  writev: { x64: 20, arm64: 66 },
  close: { x64: 3, arm64: 57 },
  lseek: { x64: 8, arm64: 62 },
  fstat: { x64: 5, arm64: 80 },
  fcntl: { x64: 72, arm64: 25 },
  ioctl: { x64: 16, arm64: 29, where: { starting: streamQuestion, serving: streamQuestion } },
  getsockname: { x64: 51, arm64: 204 },
  getpeername: { x64: 52, arm64: 205 },
  getsockopt: { x64: 55, arm64: 209 },
  shutdown: { x64: 48, arm64: 210 },

  // waiting
  dup3: { x64: 292, arm64: 24 },
  pipe2: { x64: 293, arm64: 59 },
  eventfd2: { x64: 290, arm64: 19 },
  epoll_create1: { x64: 291, arm64: 20 },
  epoll_ctl: { x64: 233, arm64: 21 },
  epoll_wait: { x64: 232, arm64: null },
  epoll_pwait: { x64: 281, arm64: 22 },
  poll: { x64: 7, arm64: null },
  ppoll: { x64: 271, arm64: 73 },
  nanosleep: { x64: 35, arm64: 101 },
  clock_nanosleep: { x64: 230, arm64: 115 },
  restart_syscall: { x64: 219, arm64: 128 },

  // memory
  brk: { x64: 12, arm64: 214 },
  mmap: { x64: 9, arm64: 222 },
  mprotect: { x64: 10, arm64: 226 },
  munmap: { x64: 11, arm64: 215 },
  mremap: { x64: 25, arm64: 216 },
  madvise: { x64: 28, arm64: 233 },
  mincore: { x64: 27, arm64: 232 },
  pkey_mprotect: { x64: 329, arm64: 288 },
  pkey_alloc: { x64: 330, arm64: 289 },
  pkey_free: { x64: 331, arm64: 290 },

  // threads, no processes
  clone: { x64: 56, arm64: 220, where: { starting: threadOnly, serving: threadOnly } },
  clone3: { x64: 435, arm64: 435, isUnknown: true },
  set_tid_address: { x64: 218, arm64: 96 },
  set_robust_list: { x64: 273, arm64: 99 },
  rseq: { x64: 334, arm64: 293 },
  futex: { x64: 202, arm64: 98 },
  membarrier: { x64: 324, arm64: 283 },
  sched_yield: { x64: 24, arm64: 124 },
  sched_getaffinity: { x64: 204, arm64: 123 },
  sched_getparam: { x64: 143, arm64: 121 },
  sched_getscheduler: { x64: 145, arm64: 120 },
  exit: { x64: 60, arm64: 93 },
  exit_group: { x64: 231, arm64: 94 },

  // handling signals; sending none
  rt_sigaction: { x64: 13, arm64: 134 },
  rt_sigprocmask: { x64: 14, arm64: 135 },
  rt_sigreturn: { x64: 15, arm64: 139 },
  sigaltstack: { x64: 131, arm64: 132 },

  // asking: who am I, what time is it, how much is there; and randomness
  getpid: { x64: 39, arm64: 172 },
  getppid: { x64: 110, arm64: 173 },
  gettid: { x64: 186, arm64: 178 },
  getuid: { x64: 102, arm64: 174 },
  geteuid: { x64: 107, arm64: 175 },
  getgid: { x64: 104, arm64: 176 },
  getegid: { x64: 108, arm64: 177 },
  getrandom: { x64: 318, arm64: 278 },
  clock_gettime: { x64: 228, arm64: 113 },
  clock_getres: { x64: 229, arm64: 114 },
  gettimeofday: { x64: 96, arm64: 169 },
  getrusage: { x64: 98, arm64: 165 },
  sysinfo: { x64: 99, arm64: 179 },
  uname: { x64: 63, arm64: 160 },
  capget: { x64: 125, arm64: 90 },
  prlimit64: { x64: 302, arm64: 261, where: { serving: asksAlone } },
  prctl: { x64: 157, arm64: 167, where: { serving: namesAlone } },

  // only until the program is loaded
  execve: { x64: 59, arm64: 221, only: "starting" },
  arch_prctl: { x64: 158, arm64: null, only: "starting" },
  openat: { x64: 257, arm64: 56, only: "starting" },
  open: { x64: 2, arm64: null, only: "starting" },
  access: { x64: 21, arm64: null, only: "starting" },
  faccessat: { x64: 269, arm64: 48, only: "starting" },
  stat: { x64: 4, arm64: null, only: "starting" },
  lstat: { x64: 6, arm64: null, only: "starting" },
  newfstatat: { x64: 262, arm64: 79, only: "starting" },
  statx: { x64: 332, arm64: 291, only: "starting" },
  readlink: { x64: 89, arm64: null, only: "starting" },
  readlinkat: { x64: 267, arm64: 78, only: "starting" },
  getcwd: { x64: 79, arm64: 17, only: "starting" },
  getdents64: { x64: 217, arm64: 61, only: "starting" },
  seccomp: { x64: 317, arm64: 277, only: "starting" },
};
