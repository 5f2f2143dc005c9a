import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { ERRORS, type ErrorCode } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { makeCertificate } from "../../../src/server/certificate.ts";
import { answerClientError } from "../../../src/server/client-error.ts";
import { createGateway } from "../../../src/server/gateway.ts";

test("connections, and the time that they and their requests take, have an end", async () => {
  const gateway = createGateway({} as never, await makeCertificate(["localhost"]));
  const { maxConnections, headersTimeout, requestTimeout, keepAliveTimeout } = gateway.server;
  const found = { maxConnections, headersTimeout, requestTimeout, keepAliveTimeout };
  assert.deepEqual(found, {
    maxConnections: LIMITS.connectionsMax,
    headersTimeout: LIMITS.requestHeadersMsMax,
    requestTimeout: LIMITS.requestMsMax,
    keepAliveTimeout: LIMITS.connectionIdleMsMax,
  });
  assert.ok(LIMITS.connectionsMax >= 2 * LIMITS.devicesPerRoundMax);
  assert.ok(LIMITS.connectionIdleMsMax > LIMITS.longPollMsMax);
  await gateway.close();
});

test("what never became a request is answered with a code and the end of the connection", async () => {
  const causes: readonly (readonly [cause: string, code: ErrorCode])[] = [
    ["HPE_HEADER_OVERFLOW", "request.headers_too_large"],
    ["ERR_HTTP_REQUEST_TIMEOUT", "request.timeout"],
    ["HPE_INVALID_METHOD", "message.malformed"],
    ["HPE_INVALID_EOF_STATE", "message.malformed"],
  ];
  for (const [cause, code] of causes) {
    const socket = new PassThrough();
    answerClientError(Object.assign(new Error("what the parser said"), { code: cause }), socket as never);
    const [head, body] = (await text(socket)).split("\r\n\r\n");
    assert.match(head!, new RegExp(`^HTTP/1\\.1 ${ERRORS[code].status} [A-Z].*\r\n`));
    assert.match(head!, new RegExp(`content-length: ${body!.length}\r\nconnection: close$`));
    assert.deepEqual(JSON.parse(body!), { error: code, message: ERRORS[code].text });
  }
});

test("a connection that was cut is not answered", () => {
  const socket = new PassThrough();
  answerClientError(Object.assign(new Error("cut"), { code: "ECONNRESET" }), socket as never);
  assert.ok(socket.destroyed);
});
