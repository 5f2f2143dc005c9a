// GET /api/identity: who this server is. A device compares its hash with the one in its token before it says anything.

import type { FastifyInstance } from "fastify";
import { CBOR_TYPE, type GatewayPorts } from "../gateway-ports.ts";

export function identityRoute(app: FastifyInstance, { keys }: GatewayPorts): void {
  app.get("/api/identity", async (_request, reply) => await reply.type(CBOR_TYPE).send(Buffer.from(keys.identity)));
}
