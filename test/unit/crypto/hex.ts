// Byte strings for assertions: where they differ, the comparison of two long arrays takes minutes, of two texts
// nothing.

type Fields<T> = { [K in keyof T]: string };

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Of every field. */
export function hexes<T extends object>(fields: T): Fields<T> {
  return Object.fromEntries(Object.entries(fields).map(([name, bytes]) => [name, hex(bytes)])) as Fields<T>;
}
