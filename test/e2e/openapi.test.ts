import assert from "node:assert/strict";
import { get, type RequestOptions, request } from "node:https";
import { after, before, test } from "node:test";
import { decode } from "cborg";
import { openapiDocument } from "../../src/server/openapi.ts";
import { misfits, type Schema } from "../support/json-schema.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Uint8Array;
}

let server: TinyServer;

before(async () => {
  server = await startTinyServer();
});

after(async () => {
  await server.close();
});

const document = openapiDocument() as Schema;

/** The schema of an answer on the page; the default one where the status is not named. */
function schemaOf(path: string, method: string, { status, type }: Answer): Schema {
  const operation = (document.paths as Record<string, Record<string, Schema>>)[path][method];
  const responses = operation.responses as Record<string, { content: Record<string, { schema: Schema }> }>;
  const content = (responses[status] ?? responses.default).content[type];
  assert.ok(content !== undefined, `${method} ${path} ${status}: ${type} is not on the page`);
  return content.schema;
}

function ask(method: "GET" | "POST", path: string, body?: Uint8Array, headers: RequestOptions["headers"] = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const options = {
      method,
      rejectUnauthorized: false,
      ecdhCurve: "X25519MLKEM768",
      headers: { ...headers },
      agent: false,
    };
    const sent = (method === "GET" ? get : request)(new URL(path, server.running.url), options, (response) => {
      const pieces: Uint8Array[] = [];
      response.on("data", (piece: Uint8Array) => pieces.push(piece));
      response.on("end", () => {
        const type = String(response.headers["content-type"]).split(";")[0];
        resolve({ status: response.statusCode!, type, body: Buffer.concat(pieces) });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function json({ body }: Answer): unknown {
  return JSON.parse(Buffer.from(body).toString());
}

test("the served page is the page", async () => {
  const answer = await ask("GET", "/api/openapi.json");
  assert.equal(answer.status, 200);
  assert.deepEqual(json(answer), JSON.parse(JSON.stringify(document)));
  assert.deepEqual(misfits(schemaOf("/api/openapi.json", "get", answer), json(answer), document), []);
});

test("the identity of a running server fits its schema", async () => {
  const answer = await ask("GET", "/api/identity");
  assert.equal(answer.status, 200);
  assert.deepEqual(misfits(schemaOf("/api/identity", "get", answer), decode(answer.body), document), []);
});

test("errors of a running server fit the schema of their path", async () => {
  const cbor = { "content-type": "application/cbor" };
  const cases = [
    { method: "POST", path: "/api/enroll", status: 400, body: Uint8Array.of(0xa0), headers: cbor },
    {
      method: "POST",
      path: "/api/enroll",
      status: 415,
      body: Uint8Array.of(0xa0),
      headers: { "content-type": "text/plain" },
    },
    { method: "POST", path: "/api/enroll", status: 413, body: new Uint8Array(30_000), headers: cbor },
    { method: "POST", path: "/api/challenge", status: 400, body: Uint8Array.of(0xa0), headers: cbor },
    { method: "GET", path: "/api/global_model", status: 401 },
    { method: "GET", path: "/api/models/{digest}", status: 404 },
  ] as const;
  for (const { method, path, status, ...rest } of cases) {
    const { body, headers } = { body: undefined, headers: {}, ...rest };
    const answer = await ask(method, path.replace("{digest}", "00".repeat(32)), body, headers);
    assert.equal(answer.status, status, path);
    assert.deepEqual(misfits(schemaOf(path, method.toLowerCase(), answer), json(answer), document), [], path);
  }
});

test("a path that is not on the page answers with a coded error too", async () => {
  const answer = await ask("GET", "/api/nothing");
  assert.equal(answer.status, 404);
  assert.deepEqual(misfits({ $ref: "#/components/schemas/Error" }, json(answer), document), []);
});

test("the health of a running server fits its schema, with its enclave and without", async () => {
  const well = await ask("GET", "/api/health");
  assert.equal(well.status, 200);
  assert.equal((json(well) as { status: string }).status, "ok");
  assert.deepEqual(misfits(schemaOf("/api/health", "get", well), json(well), document), []);
  const { enclave_pid } = await server.admin("status");
  process.kill(Number(enclave_pid), "SIGKILL");
  let ill = well;
  while (ill.status === 200) ill = await ask("GET", "/api/health");
  assert.equal(ill.status, 503);
  assert.equal((json(ill) as { status: string }).status, "degraded");
  assert.deepEqual(misfits(schemaOf("/api/health", "get", ill), json(ill), document), []);
});
