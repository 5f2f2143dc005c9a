// GET /api/openapi.json.

import type { FastifyInstance } from "fastify";
import type { GatewayPorts } from "../gateway-ports.ts";
import { openapiDocument } from "../openapi.ts";

export function openapiRoute(app: FastifyInstance, _ports: GatewayPorts): void {
  app.get("/api/openapi.json", async () => openapiDocument());
}
