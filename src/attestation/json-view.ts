// Reading JSON that others sign and extend: members that we need must be there and fit, others may be there too.

import { fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export class JsonView {
  readonly #value: object;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.#refuse("an object", "");
    this.#value = value;
  }

  /** Throws evidence.malformed where the text is not a JSON object, or has a key twice. */
  static parse(text: string, path: string): JsonView {
    try {
      return new JsonView(parseJson(text), path);
    } catch (cause) {
      if (cause instanceof QflareError) throw cause;
      throw new QflareError("evidence.malformed", `${path}: expected JSON with every key once`, { cause });
    }
  }

  #refuse(expected: string, name: string): never {
    throw new QflareError("evidence.malformed", `${this.#path}${name && `.${name}`}: expected ${expected}`);
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? (this.#value as Record<string, unknown>)[name] : undefined;
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === "string" ? value : this.#refuse("text", name);
  }

  /** Hexadecimal of either case. */
  bytes(name: string, length: number): Bytes {
    const bytes = fromHex(this.text(name).toLowerCase());
    return bytes?.length === length ? bytes : this.#refuse(`${length} bytes in hexadecimal`, name);
  }

  number(name: string): number {
    const value = this.#get(name);
    const isWhole = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
    return isWhole ? value : this.#refuse("a whole number", name);
  }

  /** Milliseconds since 1970, from "2025-06-19T10:16:03Z". */
  time(name: string): number {
    const text = this.text(name);
    const value = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(value) ? this.#refuse("a time in UTC", name) : value;
  }

  object(name: string): JsonView {
    return new JsonView(this.#get(name), `${this.#path}.${name}`);
  }

  objects(name: string): JsonView[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) this.#refuse("a list", name);
    return value.map((entry, i) => new JsonView(entry, `${this.#path}.${name}[${i}]`));
  }

  /** Empty where there is none. */
  texts(name: string): string[] {
    const value = this.#get(name) ?? [];
    const isTexts = Array.isArray(value) && value.every((entry) => typeof entry === "string");
    return isTexts ? value : this.#refuse("a list of texts", name);
  }
}
