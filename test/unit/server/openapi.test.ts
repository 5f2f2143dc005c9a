import assert from "node:assert/strict";
import { test } from "node:test";
import { makeCertificate } from "../../../src/server/certificate.ts";
import { createGateway } from "../../../src/server/gateway.ts";
import type { GatewayPorts } from "../../../src/server/gateway-ports.ts";
import { openapiDocument } from "../../../src/server/openapi.ts";
import { misfits, resolve, type Schema, schemaProblems } from "../../support/json-schema.ts";

type Operation = Schema & {
  readonly operationId: string;
  readonly parameters?: readonly Schema[];
  readonly requestBody?: Schema;
  readonly responses: Readonly<Record<string, Schema>>;
};

const document = JSON.parse(JSON.stringify(openapiDocument())) as Schema;
const paths = document.paths as Record<string, Record<string, Operation>>;
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation, name: `${method} ${path}` })),
);

/** What fastify has registered, as "get /api/models/{digest}". */
async function registeredRoutes(): Promise<string[]> {
  const app = createGateway({} as GatewayPorts, await makeCertificate(["localhost"]));
  await app.ready();
  // A wildcard's line comes without what stands before it.
  const wildcard = "/api/log/tile/:level/*";
  assert.ok(app.hasRoute({ method: "GET", url: wildcard }));
  const lines = app.printRoutes({ commonPrefix: false }).replace("* (", `${wildcard} (`).split("\n");
  await app.close();
  return lines.flatMap((line) => {
    const found = /(\/\S*) \(([A-Z, ]+)\)/.exec(line);
    if (found === null) return [];
    const path = found[1].replaceAll(/:(\w+)/g, "{$1}").replace("*", "{number}");
    return found[2].split(", ").map((method) => `${method.toLowerCase()} ${path}`);
  });
}

test("every registered route is on the page, and every one on the page is registered", async () => {
  const routes = await registeredRoutes();
  assert.ok(routes.length >= 8, `expected 8 routes or more, got ${routes.length}`);
  assert.deepEqual(routes.sort(), operations.map(({ name }) => name).sort());
});

test("the page names its version, its title and operations of its own names", () => {
  assert.match(String(document.openapi), /^3\.1\.\d+$/);
  const { title, version } = document.info as Schema;
  assert.ok(typeof title === "string" && typeof version === "string");
  const known = ["openapi", "info", "paths", "components"];
  assert.deepEqual(
    Object.keys(document).filter((key) => !known.includes(key)),
    [],
  );
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[a-z][a-zA-Z]+$/);
});

test("paths and methods are well formed, and every templated part is a required path parameter", () => {
  for (const { path, method, operation, name } of operations) {
    assert.match(path, /^\/[\w./{}]+$/, name);
    assert.ok(["get", "put", "post", "delete", "options", "head", "patch", "trace"].includes(method), name);
    const templated = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
    assert.deepEqual(inPath.map((parameter) => parameter.name).sort(), templated.sort(), name);
    for (const parameter of inPath) assert.equal(parameter.required, true, name);
  }
});

test("parameters are unique, placed, and have a schema", () => {
  for (const { operation, name } of operations) {
    const keys = (operation.parameters ?? []).map((parameter) => `${parameter.in} ${parameter.name}`);
    assert.equal(new Set(keys).size, keys.length, name);
    for (const parameter of operation.parameters ?? []) {
      assert.ok(["query", "header", "path", "cookie"].includes(String(parameter.in)), name);
      assert.deepEqual(schemaProblems(parameter.schema as Schema, document, `${name} ${parameter.name}`), []);
      const reserved = ["accept", "content-type", "authorization"];
      assert.ok(!reserved.includes(String(parameter.name).toLowerCase()), `${name}: ${parameter.name} is ignored`);
    }
  }
});

test("every body has a media type and a sound schema, only methods with a body have one", () => {
  let count = 0;
  const checkContent = (content: unknown, at: string): void => {
    const types = Object.entries((content ?? {}) as Record<string, Schema>);
    assert.ok(types.length > 0, at);
    for (const [type, { schema }] of types) {
      assert.match(type, /^(?:application|text)\/[\w.+-]+$/, at);
      assert.deepEqual(schemaProblems(schema as Schema, document, `${at} ${type}`), []);
      count += 1;
    }
  };
  for (const { method, operation, name } of operations) {
    assert.equal(operation.requestBody !== undefined, method === "post", name);
    if (operation.requestBody !== undefined) checkContent(operation.requestBody.content, `${name} request`);
    for (const [status, response] of Object.entries(operation.responses)) {
      assert.match(status, /^(?:[1-5]\d\d|default)$/, name);
      assert.equal(typeof response.description, "string", name);
      if (status === "304") assert.equal(response.content, undefined, name);
      else checkContent(response.content, `${name} ${status}`);
    }
    assert.ok(Object.hasOwn(operation.responses, "200") && Object.hasOwn(operation.responses, "default"), name);
  }
  assert.ok(count >= 30, `expected 30 bodies or more, got ${count}`);
});

test("every reference of the page leads somewhere, and every component is used", () => {
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]);
  assert.ok(refs.length > 0);
  for (const ref of refs) assert.ok(resolve(document, ref) !== undefined, ref);
  const { schemas } = document.components as { schemas: Schema };
  for (const [name, schema] of Object.entries(schemas)) {
    assert.match(name, /^[a-zA-Z0-9._-]+$/);
    assert.ok(refs.includes(`#/components/schemas/${name}`), `${name} is not used`);
    assert.deepEqual(schemaProblems(schema as Schema, document, name), []);
  }
});

test("the test's own reader of schemas finds what is wrong", () => {
  const schema = {
    type: "object",
    properties: { a: { type: "integer", minimum: 1 } },
    required: ["a"],
    additionalProperties: false,
  };
  assert.deepEqual(misfits(schema, { a: 1 }, document), []);
  for (const bad of [null, {}, { a: 0 }, { a: "1" }, { a: 1, b: 2 }]) {
    assert.notDeepEqual(misfits(schema, bad, document), [], JSON.stringify(bad));
  }
  for (const bad of [
    { type: "float" },
    { $ref: "#/nowhere" },
    { pattern: "(" },
    { minimum: 2, maximum: 1 },
    { required: ["a"] },
    { unknown: 1 },
  ]) {
    assert.notDeepEqual(schemaProblems(bad as Schema, document, "it"), [], JSON.stringify(bad));
  }
});
