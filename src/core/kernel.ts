// Starts a WebAssembly kernel that scripts/kernels.ts compiled into a module of base64 text.

import { fromBase64 } from "./bytes.ts";

export interface Kernel {
  readonly memory: WebAssembly.Memory;
  readonly exports: Record<string, unknown>;
}

/** Whether this engine knows every instruction of the kernel: relaxed SIMD is younger than SIMD. */
export function isKernelSupported(base64: string): boolean {
  return WebAssembly.validate(fromBase64(base64));
}

/** Each call gives an instance with a memory of its own. A trap inside becomes a RuntimeError. */
export function startKernel(base64: string): Kernel {
  const abort = (): never => {
    throw new RangeError("kernel aborted");
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(fromBase64(base64)), { env: { abort } });
  return { memory: instance.exports.memory as WebAssembly.Memory, exports: instance.exports };
}
