// What every route is given, and the rate limit in front of it.

import type { FastifyRequest } from "fastify";
import { fromHex, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Policy } from "../wire/policy.ts";
import { HEADERS } from "../wire/record.ts";
import type { AuditLog } from "./audit.ts";
import { clientOf } from "./client-address.ts";
import type { Departures } from "./departures.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { ServerKeys } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { Limiter, LimitName } from "./limiter.ts";
import type { ModelVault } from "./models.ts";
import type { Registry } from "./registry.ts";
import type { RunState } from "./run-state.ts";
import type { Sessions } from "./sessions.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { Uploads } from "./uploads.ts";
import type { WorkDesk } from "./work-desk.ts";

export const CBOR_TYPE = "application/cbor";

export interface GatewayPorts {
  readonly registry: Registry;
  readonly departures: Departures;
  readonly sessions: Sessions;
  readonly state: RunState;
  readonly desk: WorkDesk;
  readonly ledger: Ledger;
  readonly audit: AuditLog;
  readonly blobs: BlobStore;
  readonly models: ModelVault;
  readonly uploads: Uploads;
  readonly enclave: EnclaveLink;
  readonly limiter: Limiter;
  readonly keys: ServerKeys;
  readonly policy: Policy;
  readonly policyHash: Uint8Array<ArrayBuffer>;
  readonly clock: Clock;
  readonly log: Log;
}

/** onRequest hook of a route with a body. The gateway's parsers serve all routes: each must say which one it means. */
export function only(mediaType: string) {
  return async (request: FastifyRequest): Promise<void> => {
    const [essence] = (request.headers["content-type"] ?? "").split(";");
    if (essence!.trim().toLowerCase() !== mediaType) throw new QflareError("request.media_type");
  };
}

/** onRequest hook of a route with a limit. A session id is not to be guessed, so it can stand for its device. */
export function limited(ports: GatewayPorts, name: LimitName) {
  return async (
    request: FastifyRequest,
    reply: { headers(values: Record<string, string>): unknown },
  ): Promise<void> => {
    const named = request.headers[HEADERS.session];
    const id = typeof named === "string" ? fromHex(named) : undefined;
    const device = id === undefined ? undefined : ports.sessions.deviceOf(id);
    const client = device === undefined ? `address ${clientOf(request.ip)}` : `device ${toHex(device.id)}`;
    reply.headers(await ports.limiter.take(name, client));
  };
}
