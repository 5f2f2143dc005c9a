// GET /api/rotations: who this server will be next, and how it came to be who it is; each step is signed by the one
// before.

import type { FastifyInstance } from "fastify";
import { rotationsAnswer } from "../../wire/rotation.ts";
import { CBOR_TYPE, type GatewayPorts, limited } from "../gateway-ports.ts";

export function rotationsRoute(app: FastifyInstance, ports: GatewayPorts): void {
  app.get("/api/rotations", { onRequest: limited(ports, "model") }, async (_request, reply) => {
    const announcements = ports.keys.announcements.map((one) => new Uint8Array(one));
    return await reply.type(CBOR_TYPE).send(Buffer.from(rotationsAnswer.encode({ announcements })));
  });
}
