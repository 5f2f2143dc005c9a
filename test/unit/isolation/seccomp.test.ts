import assert from "node:assert/strict";
import { test } from "node:test";
import { ALLOW, AUDIT_MACHINES, DENY, KILL, seccompFilter, UNKNOWN } from "../../../src/isolation/seccomp.ts";
import { MACHINES, type Machine, type Phase, PRCTL, SYSTEM_CALLS } from "../../../src/isolation/syscalls.ts";
import { runFilter } from "./bpf.ts";

const PHASES: readonly Phase[] = ["starting", "serving"];
/** Above every number that Linux has given out. */
const NUMBERS = 1024;

function verdict(machine: Machine, phase: Phase, name: string, ...given: readonly bigint[]): number {
  const call = SYSTEM_CALLS[name]![machine]!;
  return runFilter(seccompFilter(machine, phase), { machine: AUDIT_MACHINES[machine], call, arguments: given });
}

test("the filter allows a call where the table has it without a condition, and no other number", () => {
  for (const machine of MACHINES) {
    for (const phase of PHASES) {
      const filter = seccompFilter(machine, phase);
      const rows = Object.values(SYSTEM_CALLS).filter((row) => row.only === undefined || row.only === phase);
      const free = new Set(
        rows.filter((row) => !row.isUnknown && row.where?.[phase] === undefined).map((row) => row[machine]),
      );
      const bound = new Set(rows.filter((row) => row.where?.[phase] !== undefined).map((row) => row[machine]));
      const unknown = new Set(rows.filter((row) => row.isUnknown).map((row) => row[machine]));
      for (let call = 0; call < NUMBERS; call++) {
        const expected = free.has(call) ? ALLOW : unknown.has(call) ? UNKNOWN : DENY;
        const got = runFilter(filter, { machine: AUDIT_MACHINES[machine], call });
        if (!bound.has(call)) assert.equal(got, expected, `${machine} ${phase} call ${call}`);
      }
    }
  }
});

test("call numbers of another machine, and of x32, end the process", () => {
  const i386 = 0x4000_0003;
  for (const machine of MACHINES) {
    const filter = seccompFilter(machine, "serving");
    assert.equal(runFilter(filter, { machine: i386, call: 4 }), KILL);
    for (const other of MACHINES.filter((name) => name !== machine)) {
      assert.equal(runFilter(filter, { machine: AUDIT_MACHINES[other], call: 4 }), KILL);
    }
  }
  const x32 = { machine: AUDIT_MACHINES.x64, call: 0x4000_0000 + 1 };
  assert.equal(runFilter(seccompFilter("x64", "serving"), x32), KILL);
});

test("a thread may be made, a process or a namespace may not", () => {
  // CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS | PARENT_SETTID | CHILD_CLEARTID, as glibc does it
  const thread = 0x003d_0f00n;
  for (const machine of MACHINES) {
    for (const phase of PHASES) {
      assert.equal(verdict(machine, phase, "clone", thread), ALLOW);
      assert.equal(verdict(machine, phase, "clone", 17n), DENY); // fork: SIGCHLD
      for (const namespace of [0x0002_0000n, 0x1000_0000n, 0x2000_0000n, 0x4000_0000n]) {
        assert.equal(verdict(machine, phase, "clone", thread | namespace), DENY);
      }
    }
  }
});

test("prctl, prlimit64 and ioctl pass with harmless arguments alone", () => {
  for (const machine of MACHINES) {
    assert.equal(verdict(machine, "serving", "prctl", BigInt(PRCTL.setName)), ALLOW);
    for (const option of [PRCTL.setDumpable, PRCTL.setNoNewPrivileges, 22, 8]) {
      assert.equal(verdict(machine, "serving", "prctl", BigInt(option)), DENY, `option ${option}`);
    }
    assert.equal(verdict(machine, "serving", "prctl", BigInt(PRCTL.setName) | (1n << 32n)), DENY);
    assert.equal(verdict(machine, "serving", "prlimit64", 0n, 7n, 0n), ALLOW);
    assert.equal(verdict(machine, "serving", "prlimit64", 0n, 7n, 1n), DENY);
    assert.equal(verdict(machine, "serving", "prlimit64", 0n, 7n, 1n << 32n), DENY);
    assert.equal(verdict(machine, "serving", "ioctl", 0n, 0x5421n), ALLOW);
    assert.equal(verdict(machine, "serving", "ioctl", 0n, 0x5412n), DENY); // TIOCSTI
  }
});

test("once it serves, an enclave can neither open a file nor start a program nor loosen its filter", () => {
  for (const machine of MACHINES) {
    for (const name of ["openat", "execve", "seccomp", "newfstatat", "readlinkat"]) {
      assert.equal(verdict(machine, "starting", name), ALLOW, name);
      assert.equal(verdict(machine, "serving", name), DENY, name);
    }
  }
});

test("the filters fit what the kernel takes", () => {
  for (const machine of MACHINES) {
    for (const phase of PHASES) assert.ok(seccompFilter(machine, phase).length / 8 <= 4096);
  }
});
