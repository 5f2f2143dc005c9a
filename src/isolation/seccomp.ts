// The table of system calls as a seccomp filter: classic BPF, as in the kernel's Documentation/userspace-api/
// seccomp_filter.rst and linux/bpf_common.h. A program of another machine's call numbers, or of x32's, is killed.

import { type Condition, type Machine, type Phase, SYSTEM_CALLS, type SystemCall } from "./syscalls.ts";

// struct sock_filter: u16 code, u8 jump if true, u8 jump if false, u32 operand
const INSTRUCTION_BYTES = 8;
const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_IF_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_IF_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_IF_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

// linux/seccomp.h
export const ALLOW = 0x7fff_0000;
export const KILL = 0x8000_0000;
const FAIL = 0x0005_0000;
export const DENY: number = FAIL | 1; // EPERM
export const UNKNOWN: number = FAIL | 38; // ENOSYS

// struct seccomp_data: u32 call, u32 machine, u64 instruction, u64 arguments[6]
const CALL_OFFSET = 0;
const MACHINE_OFFSET = 4;
const ARGUMENTS_OFFSET = 16;

/** linux/audit.h: 64-bit, little-endian, ELF machine 62 or 183. */
export const AUDIT_MACHINES: Readonly<Record<Machine, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
const X32_BIT = 0x4000_0000;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

const answer = (value: number): Instruction => [RETURN, 0, 0, value];
const load = (offset: number): Instruction => [LOAD_WORD, 0, 0, offset];

/** The filter's instructions, 8 bytes each in the machine's byte order, as the kernel and bubblewrap take them. */
export function seccompFilter(machine: Machine, phase: Phase): Uint8Array<ArrayBuffer> {
  const program = [
    load(MACHINE_OFFSET),
    [JUMP_IF_EQUAL, 1, 0, AUDIT_MACHINES[machine]] as const,
    answer(KILL),
    load(CALL_OFFSET),
    ...(machine === "x64" ? [[JUMP_IF_AT_LEAST, 0, 1, X32_BIT] as const, answer(KILL)] : []),
    ...Object.values(SYSTEM_CALLS).flatMap((call) => judge(call, machine, phase)),
    answer(DENY),
  ];
  return assemble(program);
}

/** What follows where the call is this one; skipped where it is not. */
function judge(call: SystemCall, machine: Machine, phase: Phase): Instruction[] {
  const number = call[machine];
  if (number === null || (call.only !== undefined && call.only !== phase)) return [];
  const verdict = verdictOf(call, phase);
  return [[JUMP_IF_EQUAL, 0, verdict.length, number], ...verdict];
}

function verdictOf(call: SystemCall, phase: Phase): Instruction[] {
  if (call.isUnknown === true) return [answer(UNKNOWN)];
  const condition = call.where?.[phase];
  return condition === undefined ? [answer(ALLOW)] : [...check(condition), answer(DENY)];
}

/** Runs on past its last instruction where the condition does not hold. */
function check(condition: Condition): Instruction[] {
  const low = load(ARGUMENTS_OFFSET + 8 * condition.argument);
  if ("has" in condition) {
    // has is a single bit, so that one test tells all of it.
    return [low, [JUMP_IF_ANY_BIT, 0, 2, condition.has], [JUMP_IF_ANY_BIT, 1, 0, condition.lacks], answer(ALLOW)];
  }
  const high = load(ARGUMENTS_OFFSET + 8 * condition.argument + 4);
  const values = condition.oneOf.flatMap((value): Instruction[] => [[JUMP_IF_EQUAL, 0, 1, value], answer(ALLOW)]);
  return [high, [JUMP_IF_EQUAL, 0, 1 + values.length, 0], low, ...values];
}

function assemble(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const out = new DataView(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  for (const [i, [code, ifTrue, ifFalse, operand]] of program.entries()) {
    const at = i * INSTRUCTION_BYTES;
    out.setUint16(at, code, true);
    out.setUint8(at + 2, ifTrue);
    out.setUint8(at + 3, ifFalse);
    out.setUint32(at + 4, operand, true);
  }
  return new Uint8Array(out.buffer);
}
