// Errors of system calls, as Node throws them.

export function deviceError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: refused by the kernel, ${syscall}`), { code, syscall });
}
