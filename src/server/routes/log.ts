// GET /api/log/...: the audit log as static files (C2SP tlog-tiles), for devices and strangers alike. A tile never
// changes, so any cache may keep it; only the checkpoint does, and says by its tag whether it has.

import type { FastifyInstance } from "fastify";
import { toHex, utf8 } from "../../core/bytes.ts";
import { QflareError } from "../../core/error.ts";
import { sha256 } from "../../crypto/hash.ts";
import { TILE_WIDTH } from "../../crypto/log-tree.ts";
import { formatVkey } from "../../wire/note.ts";
import { CHECKPOINT_TYPE, LOG_PREFIX, parseTilePath, TILE_TYPE, type TilePlace } from "../../wire/tile.ts";
import { type GatewayPorts, limited } from "../gateway-ports.ts";

const FULL_CACHE = "public, max-age=31536000, immutable";
/** Of no use any more once the tile is full. */
const PARTIAL_CACHE = "public, max-age=3600, immutable";
const CHECKPOINT_CACHE = "public, max-age=1, must-revalidate";
const TAG_BYTES = 16;

export function logRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const options = { onRequest: limited(ports, "log"), exposeHeadRoute: true };
  app.get(`${LOG_PREFIX}/checkpoint`, options, async (request, reply) => {
    const note = ports.audit.served?.note;
    if (note === undefined) throw new QflareError("log.witness");
    const tag = tagOf(note);
    reply.header("cache-control", CHECKPOINT_CACHE).header("etag", tag);
    if (isHeld(tag, request.headers["if-none-match"])) return await reply.code(304).send();
    return await reply.type(CHECKPOINT_TYPE).send(note);
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

/** Of all its bytes: witnesses add lines to a checkpoint that is served already. */
function tagOf(note: string): string {
  return `"${toHex(sha256(utf8(note)).subarray(0, TAG_BYTES))}"`;
}

/** RFC 9110, section 13.1.2. */
function isHeld(tag: string, ifNoneMatch = ""): boolean {
  const held = ifNoneMatch.split(",").map((one) => one.trim().replace(/^W\//, ""));
  return held.includes(tag) || held.includes("*");
}
