// GET /api/log/...: the audit log as static files (C2SP tlog-tiles), for devices and strangers alike. A tile never
// changes, so any cache may keep it; only the checkpoint does.

import type { FastifyInstance } from "fastify";
import { QflareError } from "../../core/error.ts";
import { TILE_WIDTH } from "../../crypto/log-tree.ts";
import { formatVkey } from "../../wire/note.ts";
import { CHECKPOINT_TYPE, LOG_PREFIX, parseTilePath, TILE_TYPE, type TilePlace } from "../../wire/tile.ts";
import { type GatewayPorts, limited } from "../gateway-ports.ts";

const FULL_CACHE = "public, max-age=31536000, immutable";
/** Of no use any more once the tile is full. */
const PARTIAL_CACHE = "public, max-age=3600, immutable";
const CHECKPOINT_CACHE = "public, max-age=1, must-revalidate";

export function logRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const options = { onRequest: limited(ports, "log") };
  app.get(`${LOG_PREFIX}/checkpoint`, options, async (_request, reply) => {
    const checkpoint = ports.audit.served;
    if (checkpoint === undefined) throw new QflareError("log.witness");
    return await reply.header("cache-control", CHECKPOINT_CACHE).type(CHECKPOINT_TYPE).send(checkpoint.note);
  });
  app.get(`${LOG_PREFIX}/keys`, options, async (_request, reply) => {
    const lines = ports.audit.signer.keys.map((key) => `${formatVkey(key)}\n`);
    return await reply.type(CHECKPOINT_TYPE).send(lines.join(""));
  });
  app.get<{ Params: { level: string; "*": string } }>(
    `${LOG_PREFIX}/tile/:level/*`,
    options,
    async (request, reply) => {
      const place = parseTilePath(`tile/${request.params.level}/${request.params["*"]}`);
      const body = place === undefined ? undefined : await read(ports, place);
      if (place === undefined || body === undefined) throw new QflareError("request.not_found");
      reply.header("cache-control", place.width === TILE_WIDTH ? FULL_CACHE : PARTIAL_CACHE);
      return await reply.type(TILE_TYPE).send(Buffer.from(body.buffer));
    },
  );
}

async function read({ audit }: GatewayPorts, place: TilePlace): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { row, number, width } = place;
  return row === "entries" ? await audit.bundle(number, width) : await audit.tile(row, number, width);
}
