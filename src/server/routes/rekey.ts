// POST /api/rekey: a device replaces its keys, in a session of the old ones or, to repeat a request whose answer was
// lost, of the new ones. The body is the record.

import type { FastifyInstance } from "fastify";
import { AEAD_TAG_BYTES } from "../../crypto/aead-sizes.ts";
import { RECORD_TYPE } from "../../wire/record.ts";
import { rekeyMessage, rekeyRequest } from "../../wire/rekey.ts";
import { type GatewayPorts, limited, only } from "../gateway-ports.ts";
import { openProtected, sendProtected } from "../protected.ts";

export function rekeyRoute(app: FastifyInstance, ports: GatewayPorts): void {
  const bodyLimit = rekeyRequest.bytesMax + AEAD_TAG_BYTES;
  const onRequest = [limited(ports, "enroll"), only(RECORD_TYPE)];
  app.post("/api/rekey", { bodyLimit, onRequest }, async (request, reply) => {
    const sealed = { record: request.body as Uint8Array, contentType: RECORD_TYPE, contentLength: 0 };
    const opened = await openProtected(ports.sessions, request, sealed);
    const answer = await ports.departures.rekey(opened.session.device, opened.plaintext);
    sendProtected(reply, opened, answer);
    // The record is sealed: now nothing more under the old keys.
    ports.departures.end(rekeyMessage.decode(rekeyRequest.decode(opened.plaintext).message).device_id);
    return reply;
  });
}
