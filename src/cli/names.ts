// What people call models and rules.

import { type Policy, PRESETS, readPolicy } from "../aggregation/policy.ts";
import { QflareError } from "../core/error.ts";
import { type ModelDescription, modelShape } from "../learning/model.ts";
import { UsageError } from "./output.ts";

/** "softmax", "mlp:128,64". */
export function modelNamed(text: string, inputs: number, classes: number): ModelDescription {
  const hidden = /^mlp:(\d{1,6}(?:,\d{1,6})*)$/.exec(text)?.[1]?.split(",").map(Number);
  if (text !== "softmax" && hidden === undefined) {
    throw new UsageError(`--model: expected softmax or such as mlp:64, got ${JSON.stringify(text)}`);
  }
  try {
    const description =
      hidden === undefined ? { kind: "softmax", inputs, classes } : { kind: "mlp", inputs, hidden, classes };
    return modelShape.read(description, "model");
  } catch (error) {
    throw error instanceof QflareError ? new UsageError(`--model: ${error.message}`) : error;
  }
}

/** A preset, the name of a rule, or a specification in JSON. f: for rules that need to know how many lie. */
export function ruleNamed(text: string, _updates: number, f: number): Policy {
  const bounds = { norm_max: 1e6, weight_cap: 2, updates_min: 1 };
  if (Object.hasOwn(PRESETS, text)) return readPolicy({ preset: text, ...bounds });
  if (text.startsWith("{")) return readPolicy({ aggregation: JSON.parse(text) as object, ...bounds });
  const needsNothing = ["mean", "median", "geometric-median"].includes(text);
  return readPolicy({ aggregation: needsNothing ? { rule: text } : { rule: text, f }, ...bounds });
}
