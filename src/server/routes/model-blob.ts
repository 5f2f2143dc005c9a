// GET /api/models/:digest: a sealed model by its digest. The same bytes for every device, so any cache may keep them;
// the content key comes inside a session.

import type { ReadStream } from "node:fs";
import type { FastifyInstance } from "fastify";
import { fromHex } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { BLOB_DIGEST_BYTES } from "../../crypto/merkle.ts";
import { type GatewayPorts, limited } from "../gateway-ports.ts";

export function modelBlobRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const options = { onRequest: limited(ports, "model") };
  app.get<{ Params: { digest: string } }>("/api/models/:digest", options, async (request, reply) => {
    const digest = fromHex(request.params.digest);
    const blob = digest?.length === BLOB_DIGEST_BYTES ? await find(ports, digest) : undefined;
    if (blob === undefined) throw new QflareError("request.not_found");
    reply.header("content-length", blob.length).header("cache-control", "public, max-age=31536000, immutable");
    return await reply.type("application/octet-stream").send(blob.body);
  });
}

async function find(
  { models, ledger, blobs }: GatewayPorts,
  digest: Uint8Array<ArrayBuffer>,
): Promise<{ length: number; body: Buffer | ReadStream } | undefined> {
  const held = models.held(digest);
  if (held !== undefined) return { length: held.length, body: Buffer.from(held.buffer, held.byteOffset, held.length) };
  return (await ledger.hasModelBlob(digest)) ? await blobs.stream(digest) : undefined;
}
