// The slow, plain twin of the kernel's filter machine: classic BPF as far as seccomp filters use it.

const OPCODES = { load: 0x20, equal: 0x15, atLeast: 0x35, anyBit: 0x45, answer: 0x06 } as const;

export interface CallData {
  readonly machine: number;
  readonly call: number;
  readonly arguments?: readonly bigint[];
}

/** What a filter answers to a call. Throws where the filter is not one that the kernel would take. */
export function runFilter(filter: Uint8Array, { machine, call, arguments: given = [] }: CallData): number {
  const code = new DataView(filter.buffer, filter.byteOffset, filter.length);
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call, true);
  data.setUint32(4, machine, true);
  for (const [i, value] of given.entries()) data.setBigUint64(16 + 8 * i, value, true);
  let accumulator = 0;
  for (let at = 0; at < filter.length / 8; at++) {
    const opcode = code.getUint16(8 * at, true);
    const operand = code.getUint32(8 * at + 4, true);
    if (opcode === OPCODES.answer) return operand;
    if (opcode === OPCODES.load) {
      accumulator = data.getUint32(operand, true);
      continue;
    }
    at += code.getUint8(8 * at + (holds(opcode, accumulator, operand) ? 2 : 3));
  }
  throw new RangeError("the filter runs past its end");
}

function holds(opcode: number, accumulator: number, operand: number): boolean {
  if (opcode === OPCODES.equal) return accumulator === operand;
  if (opcode === OPCODES.atLeast) return accumulator >= operand;
  if (opcode === OPCODES.anyBit) return (accumulator & operand) !== 0;
  throw new RangeError(`unknown instruction ${opcode}`);
}
