// What JSON.parse does not see: a key that stands twice in one object, of which it keeps the last silently. Two readers
// that keep different ones would judge two documents.

const TOKENS = /"(?:[^"\\]+|\\.)*"|[{}[\]:,]/g;

/** Throws SyntaxError for what is no JSON, and where a key stands twice in one object. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (hasDuplicateKeys(text)) throw new SyntaxError("expected every key of an object once");
  return value;
}

/** text: JSON that JSON.parse accepted. */
export function hasDuplicateKeys(text: string): boolean {
  const open: Set<string>[] = [];
  let last = "";
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const key = JSON.parse(last) as string; // "a" and "\u0061" are one key
      if (open.at(-1)!.has(key)) return true;
      open.at(-1)!.add(key);
    }
    last = token;
  }
  return false;
}
