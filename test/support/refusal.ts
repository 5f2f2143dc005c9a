// What a refusal must be: its code and status, and nothing changed.

import assert from "node:assert/strict";
import { ERRORS, type ErrorCode } from "../../src/core/error.ts";
import type { HttpAnswer } from "../../src/device/transport.ts";
import type { TestServer } from "./server.ts";

/** Asserts code and status. A 401 must also look like every other one of its code. */
export function assertCode(answer: HttpAnswer, code: ErrorCode): void {
  const text = Buffer.from(answer.body).toString();
  assert.ok(text.startsWith("{"), `expected ${code}, got status ${answer.status} and a body that is not JSON`);
  const body = JSON.parse(text) as { error: string; message: string };
  assert.deepEqual({ error: body.error, status: answer.status }, { error: code, status: ERRORS[code].status }, text);
  assert.deepEqual(Object.keys(body), ["error", "message", ...(code === "session.suite" ? ["suites"] : [])]);
  assert.ok(body.message.startsWith(ERRORS[code].text), text);
  if (answer.status === 401) assertConstant(answer, code);
}

const HEADERS_401 = ["connection", "content-length", "content-type", "date", "ratelimit", "ratelimit-policy"];

/** No detail leaves the process: the body is a function of the code alone, and no header comes or goes. */
function assertConstant(answer: HttpAnswer, code: ErrorCode): void {
  const body = JSON.stringify({ error: code, message: ERRORS[code].text });
  assert.equal(Buffer.from(answer.body).toString(), body);
  assert.deepEqual(Object.keys(answer.headers).sort(), HEADERS_401);
  assert.equal(answer.headers["content-type"], "application/json; charset=utf-8");
  assert.equal(answer.headers["content-length"], String(Buffer.byteLength(body)));
}

/** The attack is answered with this code and leaves the server as it was. */
export async function assertRefused(
  server: TestServer,
  code: ErrorCode,
  attack: () => Promise<HttpAnswer>,
): Promise<void> {
  const before = await server.state();
  assertCode(await attack(), code);
  assert.deepEqual(await server.state(), before);
}
