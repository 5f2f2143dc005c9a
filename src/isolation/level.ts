// How well an enclave process is shut in, from not at all to hardware. Each level has what the one before has.

/**
 * none: a process of its own. permission: Node's permission model, no core dumps, memory closed to its own user.
 * sandbox: also an empty root, no network, no other process in sight and a system call filter, kept by the kernel.
 * tee: hardware that keeps root out too.
 */
export const ISOLATION_LEVELS = ["none", "permission", "sandbox", "tee"] as const;
export type IsolationLevel = (typeof ISOLATION_LEVELS)[number];

export function isIsolationLevel(text: string): text is IsolationLevel {
  return (ISOLATION_LEVELS as readonly string[]).includes(text);
}

export function isAtLeast(level: IsolationLevel, wanted: IsolationLevel): boolean {
  return ISOLATION_LEVELS.indexOf(level) >= ISOLATION_LEVELS.indexOf(wanted);
}
