// POST /api/enroll: a device brings its keys under a one-time token.

import type { FastifyInstance } from "fastify";
import { enrollRequest } from "../../wire/enroll.ts";
import { CBOR_TYPE, type GatewayPorts, limited, only } from "../gateway-ports.ts";

export function enrollRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const options = { bodyLimit: enrollRequest.bytesMax, onRequest: [limited(ports, "enroll"), only(CBOR_TYPE)] };
  app.post("/api/enroll", options, async (request, reply) => {
    const answer = await ports.registry.enroll(request.body as Uint8Array);
    return await reply.type(CBOR_TYPE).send(Buffer.from(answer));
  });
}
