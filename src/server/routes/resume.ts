// POST /api/resume: new keys for a session that its device holds.

import type { FastifyInstance } from "fastify";
import { resumeRequest } from "../../wire/resume.ts";
import { CBOR_TYPE, type GatewayPorts, limited, only } from "../gateway-ports.ts";

export function resumeRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const options = { bodyLimit: resumeRequest.bytesMax, onRequest: [limited(ports, "challenge"), only(CBOR_TYPE)] };
  app.post("/api/resume", options, async (request, reply) => {
    const answer = await ports.sessions.resume(request.body as Uint8Array);
    return await reply.type(CBOR_TYPE).send(Buffer.from(answer));
  });
}
