// POST /api/challenge: the handshake's first message in, its second out.

import type { FastifyInstance } from "fastify";
import { challengeRequest } from "../../wire/challenge.ts";
import { CBOR_TYPE, type GatewayPorts, limited, only } from "../gateway-ports.ts";

export function challengeRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const options = { bodyLimit: challengeRequest.bytesMax, onRequest: [limited(ports, "challenge"), only(CBOR_TYPE)] };
  app.post("/api/challenge", options, async (request, reply) => {
    const answer = await ports.sessions.challenge(request.body as Uint8Array);
    return await reply.type(CBOR_TYPE).send(Buffer.from(answer));
  });
}
