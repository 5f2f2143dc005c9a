// GET /api/global_model: what there is to do. Waits until there is something, or until the device's patience ends.

import type { FastifyInstance } from "fastify";
import { wipe } from "../../core/bytes.ts";
import { type WorkAnswer, workAnswer, workRequest } from "../../wire/work.ts";
import { type GatewayPorts, limited } from "../gateway-ports.ts";
import { headerRecord, openProtected, sendProtected } from "../protected.ts";

export function globalModelRoute(app: FastifyInstance, ports: GatewayPorts): void {
  app.get("/api/global_model", { onRequest: limited(ports, "model") }, async (request, reply) => {
    const opened = await openProtected(ports.sessions, request, headerRecord(request));
    const wanted = workRequest.decode(opened.plaintext);
    const gone = new AbortController();
    // With a reason, since without one an error with a stack is made each time, also at a good end.
    request.raw.once("close", () => gone.abort("gone"));
    const over = AbortSignal.any([gone.signal, opened.session.ended]);
    const answer = await ports.desk.ask(opened.session.device, wanted, over);
    const encoded = encodeOnce(answer);
    try {
      return sendProtected(reply, opened, encoded);
    } finally {
      wipe(encoded);
    }
  });
}

/** The content key goes on in what this returns, which is the caller's to wipe, and nowhere else. */
function encodeOnce(answer: WorkAnswer): Uint8Array<ArrayBuffer> {
  try {
    return workAnswer.encode(answer);
  } finally {
    if (answer.task !== null) wipe(answer.task.content_key);
  }
}
