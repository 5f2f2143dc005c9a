// How well an enclave process is shut in, from not at all to hardware.

/**
 * none: a process of its own. permission: Node's permission model, no core dumps, memory closed to its own user.
 * sandbox: also an empty root, no network, no other process in sight and a system call filter, kept by the kernel.
 * tee: as permission, but for the files through which it asks the hardware, in a machine or process that hardware keeps
 * the host's root out of; that the hardware attests was seen at the start.
 */
export const ISOLATION_LEVELS = ["none", "permission", "sandbox", "tee"] as const;
export type IsolationLevel = (typeof ISOLATION_LEVELS)[number];

export function isIsolationLevel(text: string): text is IsolationLevel {
  return (ISOLATION_LEVELS as readonly string[]).includes(text);
}

export function isAtLeast(level: IsolationLevel, wanted: IsolationLevel): boolean {
  return ISOLATION_LEVELS.indexOf(level) >= ISOLATION_LEVELS.indexOf(wanted);
}
