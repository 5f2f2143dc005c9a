// JSON Schema 2020-12 as far as the project's pages use it. An unknown keyword is a problem, never passed over.

export type Schema = Readonly<Record<string, unknown>>;

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];
const SAY_NOTHING = ["title", "description", "format"];
const BOUNDS = [
  ["minimum", "maximum"],
  ["minLength", "maxLength"],
  ["minItems", "maxItems"],
] as const;

/** The part of a document that "#/a/b" names. */
export function resolve(document: Schema, ref: string): Schema | undefined {
  if (!ref.startsWith("#/")) return undefined;
  const steps = ref.slice(2).split("/");
  return steps.reduce<Schema | undefined>((at, step) => at?.[step] as Schema | undefined, document);
}

/** What is wrong with a schema itself. */
export function schemaProblems(schema: Schema, document: Schema, at: string): string[] {
  const problems: string[] = [];
  const expect = (holds: boolean, what: string): void => {
    if (!holds) problems.push(`${at}: ${what}`);
  };
  const inner = (part: unknown, name: string): void => {
    problems.push(...schemaProblems(part as Schema, document, `${at}.${name}`));
  };
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "$ref") expect(resolve(document, String(value)) !== undefined, `no ${value}`);
    else if (keyword === "type") expect(TYPES.includes(String(value)), `no type ${value}`);
    else if (keyword === "enum") expect(Array.isArray(value) && new Set(value).size === value.length, "a bad enum");
    else if (keyword === "pattern") expect(isPattern(value), `no pattern ${value}`);
    else if (keyword === "items") inner(value, "items");
    else if (keyword === "oneOf") for (const [i, part] of (value as Schema[]).entries()) inner(part, `oneOf[${i}]`);
    else if (keyword === "properties") for (const [name, part] of Object.entries(value as Schema)) inner(part, name);
    else if (keyword === "required")
      expect(
        (value as string[]).every((name) => hasProperty(schema, name)),
        "required",
      );
    else if (keyword === "additionalProperties") expect(typeof value === "boolean", "additionalProperties");
    else if (BOUNDS.flat().includes(keyword as never)) expect(Number.isFinite(value), `${keyword} is no number`);
    else expect(SAY_NOTHING.includes(keyword) && typeof value === "string", `no keyword ${keyword}`);
  }
  for (const [low, high] of BOUNDS) {
    expect(!(Number(schema[low]) > Number(schema[high])), `${low} above ${high}`);
  }
  return problems;
}

function hasProperty(schema: Schema, name: string): boolean {
  return Object.hasOwn((schema.properties ?? {}) as Schema, name);
}

function isPattern(value: unknown): boolean {
  try {
    return new RegExp(String(value), "u") instanceof RegExp;
  } catch {
    return false;
  }
}

/** Where a value does not fit. Byte strings count as strings of format binary. */
export function misfits(schema: Schema, value: unknown, document: Schema, at = "value"): string[] {
  if (schema.$ref !== undefined) return misfits(resolve(document, String(schema.$ref))!, value, document, at);
  if (Array.isArray(schema.oneOf)) {
    const fitting = (schema.oneOf as Schema[]).filter((part) => misfits(part, value, document, at).length === 0);
    return fitting.length === 1 ? [] : [`${at}: fits ${fitting.length} of ${schema.oneOf.length}`];
  }
  if (!isOfType(schema, value)) return [`${at}: expected ${schema.type}, got ${JSON.stringify(value)}`];
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return [`${at}: not in the enum: ${value}`];
  if (schema.pattern !== undefined && !new RegExp(String(schema.pattern), "u").test(String(value))) {
    return [`${at}: does not match ${schema.pattern}`];
  }
  return [...outOfBounds(schema, value, at), ...innerMisfits(schema, value, document, at)];
}

function isOfType({ type, format }: Schema, value: unknown): boolean {
  if (type === undefined) return true;
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "string" && format === "binary") return value instanceof Uint8Array;
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function outOfBounds(schema: Schema, value: unknown, at: string): string[] {
  const size = typeof value === "number" ? value : (value as { length?: number } | null)?.length;
  if (size === undefined) return [];
  return BOUNDS.filter(
    ([low, high]) => size < Number(schema[low] ?? -Infinity) || size > Number(schema[high] ?? Infinity),
  ).map(([low]) => `${at}: ${low.slice(3)} ${size} is out of bounds`);
}

function innerMisfits(schema: Schema, value: unknown, document: Schema, at: string): string[] {
  if (Array.isArray(value) && schema.items !== undefined) {
    return value.flatMap((entry, i) => misfits(schema.items as Schema, entry, document, `${at}[${i}]`));
  }
  if (schema.type !== "object") return [];
  const members = value as Record<string, unknown>;
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const missing = ((schema.required ?? []) as string[]).filter((name) => !Object.hasOwn(members, name));
  const extra = Object.keys(members).filter((name) => !Object.hasOwn(properties, name));
  return [
    ...missing.map((name) => `${at}.${name}: missing`),
    ...(schema.additionalProperties === false ? extra.map((name) => `${at}.${name}: no such member`) : []),
    ...Object.entries(properties)
      .filter(([name]) => Object.hasOwn(members, name))
      .flatMap(([name, part]) => misfits(part, members[name], document, `${at}.${name}`)),
  ];
}
