import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { QflareError } from "../../../src/core/error.ts";
import { type CertifiedKey, certificateHash } from "../../../src/crypto/certificate.ts";
import {
  type CertificatePin,
  errorOf,
  type HttpAnswer,
  RemoteError,
  Transport,
  Unreachable,
} from "../../../src/device/transport.ts";
import { makeCertificate } from "../../../src/server/certificate.ts";
import { coded } from "../../support/errors.ts";

const answerOf = (status: number, body: string, headers: HttpAnswer["headers"] = {}): HttpAnswer => ({
  status,
  headers,
  body: new Uint8Array(Buffer.from(body)),
});

describe("an answer that is no success", () => {
  it("becomes the coded error that it names, with the server's words and the time to wait", () => {
    const body = JSON.stringify({ error: "request.rate_limited", message: "slowly" });
    const error = errorOf(answerOf(429, body, { "retry-after": "7" })) as RemoteError;
    assert.ok(error instanceof RemoteError);
    assert.deepEqual(
      [error.code, error.status, error.message, error.retryAfterMs],
      ["request.rate_limited", 429, "slowly", 7000],
    );
  });

  it("asks for no wait beyond an hour, before now, or in words", () => {
    const body = JSON.stringify({ error: "request.rate_limited", message: "" });
    for (const value of ["3601", "0", "-1", "soon", "", "NaN", "1e9"]) {
      const error = errorOf(answerOf(429, body, { "retry-after": value })) as RemoteError;
      assert.equal(error.retryAfterMs, undefined, value);
    }
  });

  it("is a server that cannot serve where the body is not the server's: a proxy's page, another code, nothing", () => {
    const bodies = [
      "",
      "<html>",
      "null",
      "[]",
      "1",
      '{"error":1}',
      '{"error":"toString"}',
      '{"error":"__proto__"}',
      "{",
    ];
    for (const body of bodies) {
      const error = errorOf(answerOf(502, body));
      assert.ok(
        coded("server.unavailable", /status 502, body [0-9a-f]*$/)(error) && !(error instanceof RemoteError),
        body,
      );
    }
  });
});

describe("the way to the server", () => {
  let tls: CertifiedKey;
  let server: Server;
  let url: string;
  let requests = 0;

  before(async () => {
    tls = await makeCertificate(["localhost"]);
    server = await listening({}, answer);
    url = `https://localhost:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  function listening(
    options: object,
    handler: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<Server> {
    const made = createServer(
      { cert: tls.certificate, key: tls.key, minVersion: "TLSv1.3", ecdhCurve: "X25519MLKEM768", ...options },
      handler,
    );
    return new Promise((resolve) => made.listen(0, "localhost", () => resolve(made)));
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    requests += 1;
    if (request.url === "/cut")
      response.writeHead(200, { "content-length": "100" }).write("short", () => response.destroy());
    else if (request.url === "/hang-up") request.socket.destroy();
    else if (request.url === "/many") response.end(Buffer.alloc(100_000));
    else request.pipe(response);
  }

  async function call(path: string, pin: CertificatePin, at = url, signal?: AbortSignal): Promise<HttpAnswer> {
    const transport = new Transport(at, pin);
    try {
      const body = [Buffer.from("abc"), Buffer.from("def")];
      return await transport.call({
        method: "POST",
        path,
        body,
        bodyBytesMax: 99_999,
        ...(signal === undefined ? {} : { signal }),
      });
    } finally {
      transport.close();
    }
  }

  const pinned = (): CertificatePin => ({ sha256: certificateHash(tls.certificate) });

  it("carries the parts of a body one behind the other, to the pinned certificate", async () => {
    const { status, body } = await call("/", pinned());
    assert.deepEqual([status, Buffer.from(body).toString()], [200, "abcdef"]);
    assert.equal((await call("/", "any")).status, 200);
  });

  it("sends nothing to another certificate than the pinned one", async () => {
    const other = certificateHash((await makeCertificate(["localhost"])).certificate);
    const earlier = requests;
    await assert.rejects(call("/", { sha256: other }), coded("server.identity"));
    await assert.rejects(call("/", "authorities"), Unreachable);
    assert.equal(requests, earlier);
  });

  it("is not taken where the server has no post-quantum group or no TLS 1.3", async () => {
    const handler = (_: IncomingMessage, response: ServerResponse): void => void response.end();
    for (const options of [
      { ecdhCurve: "X25519" },
      { minVersion: "TLSv1.2", maxVersion: "TLSv1.2", ecdhCurve: "auto" },
    ]) {
      const old = await listening(options, handler);
      const at = `https://localhost:${(old.address() as AddressInfo).port}`;
      await assert.rejects(call("/", "any", at), Unreachable);
      old.close();
    }
  });

  it("ends a too long answer with a code, and a broken one as a failure worth another try", async () => {
    await assert.rejects(call("/many", pinned()), coded("message.too_large"));
    await assert.rejects(call("/cut", pinned()), Unreachable);
    await assert.rejects(call("/hang-up", pinned()), Unreachable);
  });

  it("is unreachable where nobody listens, and given up where the caller stops", async () => {
    const closed = await listening({}, answer);
    const at = `https://localhost:${(closed.address() as AddressInfo).port}`;
    await new Promise((resolve) => closed.close(resolve));
    await assert.rejects(call("/", pinned(), at), Unreachable);
    await assert.rejects(call("/", pinned(), url, AbortSignal.abort()), Unreachable);
  });

  it("is refused with a code for an address that is none, which a token may hold", () => {
    for (const wrong of ["https://-:-", "https://[:::]", "https://a:99999", "https://1.2.3.4.5", "https://:1"]) {
      assert.throws(() => new Transport(wrong, "any"), QflareError, wrong);
    }
  });
});
