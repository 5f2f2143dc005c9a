// Text that people type for --rule: steps from left to right with a slash between them, the rule last, each with its
// parameters behind colons: "norm-reject:factor=5/nnm:f=2/trimmed-mean:f=2". Vectors and lists need JSON.

import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";

const STEP = /^([a-z][a-z-]*)((?::[a-z]+=[A-Za-z0-9.+-]+)*)$/;
const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** What readChoice takes: nothing is checked yet but the form. Throws config.invalid. */
export function parseChain(text: string): unknown {
  if (text.startsWith("{")) return readJson(text);
  const steps = text.split("/").map(parseStep);
  const rule = steps.pop()!;
  return steps.length === 0 ? rule : { ...rule, before: steps };
}

function readJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw new QflareError("config.invalid", "the rule is not JSON with every key once", { cause });
  }
}

function parseStep(text: string): Record<string, unknown> {
  const match = STEP.exec(text);
  if (match === null) {
    throw new QflareError("config.invalid", `expected name:parameter=value, got ${JSON.stringify(text.slice(0, 80))}`);
  }
  const [, rule, parameters] = match;
  const out: Record<string, unknown> = { rule };
  for (const parameter of parameters.split(":").slice(1)) {
    const [name, value] = parameter.split("=") as [string, string];
    if (Object.hasOwn(out, name)) throw new QflareError("config.invalid", `${rule}: ${name} stands twice`);
    out[name] = parseValue(value);
  }
  return out;
}

function parseValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return NUMBER.test(text) ? Number(text) : text;
}
