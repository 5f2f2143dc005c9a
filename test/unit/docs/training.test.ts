import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { LAYER_KINDS, layerShape } from "../../../src/learning/layers/table.ts";
import { parseDescription } from "../../../src/learning/model-file.ts";
import { OPTIMIZERS } from "../../../src/learning/optimizer.ts";

const page = readFileSync(new URL("../../../docs/training.md", import.meta.url), "utf8");

interface Schema {
  readonly properties: { readonly kind: { readonly enum: readonly string[] } } & Readonly<Record<string, unknown>>;
}

describe("the page on training", () => {
  it("has a row for every kind of layer, with its members", () => {
    const schemas = layerShape.schema.oneOf as readonly Schema[];
    assert.equal(schemas.length, LAYER_KINDS.length);
    for (const { properties } of schemas) {
      const members = Object.keys(properties).filter((name) => name !== "kind");
      const cell = members.length === 0 ? " |" : ` | ${members.map((name) => `\`${name}\``).join(", ")} |`;
      assert.ok(page.includes(`\n| \`${properties.kind.enum[0]}\` |${cell.slice(2)}`), properties.kind.enum[0]);
    }
  });

  it("shows a description that is read", () => {
    const json = /```json\n([\s\S]*?)```/.exec(page)![1];
    assert.equal(parseDescription(json).kind, "sequential");
  });

  it("names every optimizer", () => {
    for (const name of OPTIMIZERS) assert.ok(page.includes(`\`${name}\``), name);
  });
});
