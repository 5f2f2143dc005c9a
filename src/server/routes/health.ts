// GET /api/health: whether the server works, for people and load balancers. No secrets, no names.

import type { FastifyInstance } from "fastify";
import type { EnclaveFacts } from "../enclave-link.ts";
import type { GatewayPorts } from "../gateway-ports.ts";

const enclaveFacts = ({ isolation, raise }: EnclaveFacts) => ({ isolation, raise, evidence: "simulated" });

export function healthRoute(app: FastifyInstance, { state, enclave, sessions }: GatewayPorts): void {
  app.get("/api/health", async (_request, reply) => {
    const round = state.current;
    const body = {
      status: enclave.isAlive ? "ok" : "degraded",
      enclave: enclave.isAlive ? enclaveFacts(enclave.facts) : null,
      round: round === undefined ? null : { number: round.round, state: round.state },
      finished: state.isFinished,
      sessions: sessions.count,
    };
    return await reply.code(enclave.isAlive ? 200 : 503).send(body);
  });
}
