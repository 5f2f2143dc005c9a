import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { makeCertificate } from "../../../src/server/certificate.ts";
import { createGateway } from "../../../src/server/gateway.ts";
import type { GatewayPorts } from "../../../src/server/gateway-ports.ts";

const TILE = new Uint8Array(256 * 32).fill(7);
const audit = { served: { note: "first\n" } as { note: string } | undefined, signer: { keys: [] }, tile: () => TILE };
const CHECKPOINT = "/api/log/checkpoint";

let app: FastifyInstance;

before(async () => {
  const ports = { audit, limiter: { take: async () => ({}) } } as unknown as GatewayPorts;
  app = createGateway(ports, await makeCertificate(["localhost"]));
});

after(async () => await app.close());

async function ask(method: "GET" | "HEAD", url: string, match?: string): Promise<LightMyRequestResponse> {
  return await app.inject({ method, url, headers: match === undefined ? {} : { "if-none-match": match } });
}

describe("the log's files", () => {
  it("answer HEAD as GET without the body", async () => {
    for (const [url, status] of [
      [CHECKPOINT, 200],
      ["/api/log/keys", 200],
      ["/api/log/tile/0/000", 200],
      ["/api/log/tile/0/x", 404],
    ] as const) {
      const [got, head] = [await ask("GET", url), await ask("HEAD", url)];
      assert.deepEqual([got.statusCode, head.statusCode, head.body], [status, status, ""], url);
      for (const name of ["content-type", "content-length", "cache-control", "etag"])
        assert.equal(head.headers[name], got.headers[name], `${url} ${name}`);
    }
  });

  it("give a checkpoint again only where it is another, by its lines too", async () => {
    const { etag } = (await ask("GET", CHECKPOINT)).headers;
    assert.match(String(etag), /^"[0-9a-f]{32}"$/);
    for (const match of [`${etag}`, `W/${etag}`, `"other", ${etag}`, "*"]) {
      for (const method of ["GET", "HEAD"] as const) {
        const { statusCode, body, headers } = await ask(method, CHECKPOINT, match);
        assert.deepEqual([statusCode, body, headers.etag], [304, "", etag], match);
        assert.equal(headers["cache-control"], "public, max-age=1, must-revalidate");
      }
    }
    const other = await ask("GET", CHECKPOINT, '"other"');
    assert.deepEqual([other.statusCode, other.body], [200, "first\n"]);
    audit.served = { note: "first\nand a line\n" };
    const later = await ask("GET", CHECKPOINT, String(etag));
    assert.deepEqual([later.statusCode, later.body], [200, "first\nand a line\n"]);
    audit.served = undefined;
    assert.equal((await ask("GET", CHECKPOINT, "*")).statusCode, 503);
  });
});
