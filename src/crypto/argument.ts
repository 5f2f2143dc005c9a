// What callers without types get wrong, noticed at the door: a string has a length too, and an array of another kind
// gives its low bytes, so that a secret would become zeros and a context nothing.

/** Throws TypeError. */
export function checkBytes(value: unknown, what: string): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`Cannot use ${what}: expected a Uint8Array`);
}

/** Throws TypeError. */
export function checkText(value: unknown, what: string): void {
  if (typeof value !== "string") throw new TypeError(`Cannot use ${what}: expected a string`);
}
