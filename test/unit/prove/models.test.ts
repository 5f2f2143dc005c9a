// The models follow the product's tables: what changes there changes what is proved, or stops the models.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { clausesOf, type Obligation } from "../../../scripts/prove/obligation.ts";
import { allObligations, OBLIGATIONS } from "../../../scripts/prove/obligations.ts";
import { proverifModel, SCENARIOS } from "../../../scripts/prove/proverif.ts";
import { type MessageName, productTables, type Tables, without } from "../../../scripts/prove/tables.ts";
import { textOf } from "../../../scripts/prove/term.ts";
import { challengeRequest, helloMessage } from "../../../src/wire/challenge.ts";
import { CONTEXTS, LABELS } from "../../../src/wire/labels.ts";
import { type Input, isLabel } from "../../../src/wire/transcript.ts";

const REPRESENTATIVES = Object.values(OBLIGATIONS).map((area) => area[0]!);

function writtenFrom(tables: Tables, obligations: readonly Obligation[] = REPRESENTATIVES): string {
  const clauses = obligations.flatMap((obligation) => clausesOf(obligation, tables));
  return clauses.map(({ head, body }) => [head, ...body].map(textOf).join(" ")).join("\n");
}

const product = productTables();
const asProduct = writtenFrom(product);

/** Every input with a name, and how to put another in its place. */
function inputs(): [string, Input, (input: Input) => Tables][] {
  const { transcript, confirmations, keys } = product;
  return [
    ...Object.entries(transcript).map(([name, input]): [string, Input, (input: Input) => Tables] => [
      name,
      input,
      (other) => ({ ...product, transcript: { ...transcript, [name]: other } }),
    ]),
    ...Object.entries(confirmations).map(([name, input]): [string, Input, (input: Input) => Tables] => [
      `confirmation of ${name}`,
      input,
      (other) => ({ ...product, confirmations: { ...confirmations, [name]: other } }),
    ]),
    // Derived, but used by nobody yet, so in no model.
    ...Object.entries(keys)
      .filter(([name]) => name !== "exporter")
      .map(([name, input]): [string, Input, (input: Input) => Tables] => [
        name,
        input,
        (other) => ({ ...product, keys: { ...keys, [name]: other } }),
      ]),
    ...(
      ["step", "master", "binderKey", "binderMac", "enrollMac", "deviceId", "recordContext", "updateContext"] as const
    ).map((name): [string, Input, (input: Input) => Tables] => [
      name,
      product[name],
      (other) => ({ ...product, [name]: other }),
    ]),
  ];
}

test("dropping any part of any hash, MAC, key or context changes what is proved", () => {
  let count = 0;
  for (const [name, input, put] of inputs()) {
    for (const part of input.flat()) {
      assert.notEqual(writtenFrom(put(without(input, part))), asProduct, `${part} in ${name}`);
      count += 1;
    }
  }
  assert.ok(count > 30, `${count} parts`);
});

test("changing any label changes what is proved", () => {
  for (const [name, input, put] of inputs()) {
    for (const label of input.flat().filter(isLabel)) {
      const other = input.map((part) =>
        typeof part === "string"
          ? part.replace(label, `${label} changed`)
          : part.map((inner) => inner.replace(label, `${label} changed`)),
      );
      assert.notEqual(writtenFrom(put(other)), asProduct, `${label} in ${name}`);
    }
  }
});

test("the order in which secrets enter the key schedule is part of what is proved", () => {
  assert.notEqual(writtenFrom({ ...product, secrets: product.secrets.toReversed() }), asProduct);
});

test("changing a signature's context changes what is proved", () => {
  for (const name of [
    ...(["hello", "answer", "enroll", "enrolled"] as const),
    ...(["update", "rotation", "rekeyOld", "rekeyNew", "rekeyed"] as const),
  ]) {
    const contexts = { ...product.contexts, [name]: `${CONTEXTS[name]} changed` };
    assert.notEqual(writtenFrom({ ...product, contexts }), asProduct, name);
  }
});

test("a new field of a message stops the models until they know it", () => {
  for (const name of Object.keys(product.fields) as MessageName[]) {
    const fields = { ...product.fields, [name]: [...product.fields[name], "unheard_of"] };
    assert.throws(() => writtenFrom({ ...product, fields }), /does not know unheard_of/, name);
  }
});

test("dropping any field of a message changes what is proved or stops the models", () => {
  for (const [name, names] of Object.entries(product.fields)) {
    for (const field of names) {
      const fields = { ...product.fields, [name]: names.filter((other) => other !== field) };
      let written = "stopped";
      try {
        written = writtenFrom({ ...product, fields });
      } catch (error) {
        assert.match((error as Error).message, new RegExp(`expected a field ${field}`));
      }
      assert.notEqual(written, asProduct, `${field} of ${name}`);
    }
  }
});

test("the fields come from the shapes of the messages", () => {
  assert.deepEqual(product.fields.hello, Object.keys(helloMessage.shape.fields));
  assert.ok(!product.fields.hello.includes(Object.keys(challengeRequest.shape.fields)[1]!));
});

test("no two labels look the same to the provers", () => {
  const texts = [...Object.values(LABELS), ...Object.values(CONTEXTS)];
  const symbols = texts.map((label) => label.replaceAll(/[^a-zA-Z0-9]+/g, "_"));
  assert.equal(new Set(symbols).size, new Set(texts).size);
});

test("every part of the protocol has properties, limits, controls and a proof that it runs", () => {
  for (const [area, obligations] of Object.entries(OBLIGATIONS)) {
    const kinds = new Set(obligations.map(({ kind }) => kind));
    assert.deepEqual([...kinds].sort(), ["control", "limit", "property", "sanity"], area);
  }
  const names = allObligations().map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test("each scenario's ProVerif model follows the tables", () => {
  assert.ok(SCENARIOS.length > 0);
  for (const scenario of SCENARIOS) {
    const model = proverifModel(product, scenario);
    const th2 = without(product.transcript.th2, "answer");
    assert.notEqual(proverifModel({ ...product, transcript: { ...product.transcript, th2 } }, scenario), model);
    for (const field of product.fields.answer) {
      const fields = { ...product.fields, answer: product.fields.answer.filter((other) => other !== field) };
      assert.notEqual(proverifModel({ ...product, fields }, scenario), model, field);
    }
  }
});

test("docs/formal.md lists every obligation in its words", () => {
  const page = readFileSync(new URL("../../../docs/formal.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => /^\| `/.test(line));
  const expected = allObligations().map((one) => `| \`${one.name}\` | ${one.kind} | ${one.claim} |`);
  assert.deepEqual(rows, expected);
});
