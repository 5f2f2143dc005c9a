// The gateway: TLS, content types, rate limits, the error answer, and the routes.

import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { ERRORS, type ErrorCode, QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import type { CertifiedKey } from "../crypto/certificate.ts";
import { RECORD_TYPE, SUBMIT_TYPE } from "../wire/record.ts";
import { answerClientError } from "./client-error.ts";
import { CBOR_TYPE, type GatewayPorts } from "./gateway-ports.ts";
import { RateLimited } from "./limiter.ts";
import { challengeRoute } from "./routes/challenge.ts";
import { enrollRoute } from "./routes/enroll.ts";
import { globalModelRoute } from "./routes/global-model.ts";
import { healthRoute } from "./routes/health.ts";
import { identityRoute } from "./routes/identity.ts";
import { logRoute } from "./routes/log.ts";
import { modelBlobRoute } from "./routes/model-blob.ts";
import { openapiRoute } from "./routes/openapi.ts";
import { rekeyRoute } from "./routes/rekey.ts";
import { resumeRoute } from "./routes/resume.ts";
import { rotationsRoute } from "./routes/rotations.ts";
import { submitModelRoute } from "./routes/submit-model.ts";
import { SuiteRefused } from "./suite-refused.ts";

/** The only key exchange offered: X25519 and ML-KEM-768 together. A client without it is refused by TLS. */
const TLS_GROUP = "X25519MLKEM768";

/** How often Node looks for requests that take too long. */
const CHECK_MS = 5000;

export function createGateway(ports: GatewayPorts, tls: CertifiedKey): FastifyInstance {
  const app = Fastify({
    https: {
      ...{ cert: tls.certificate, key: tls.key, minVersion: "TLSv1.3", ecdhCurve: TLS_GROUP },
      handshakeTimeout: LIMITS.connectionHandshakeMsMax,
      headersTimeout: LIMITS.requestHeadersMsMax,
      connectionsCheckingInterval: CHECK_MS,
    },
    clientErrorHandler: answerClientError,
    bodyLimit: LIMITS.controlMessageBytesMax,
    requestTimeout: LIMITS.requestMsMax,
    keepAliveTimeout: LIMITS.connectionIdleMsMax,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    return503OnClosing: true,
    frameworkErrors: (error, request, reply) => void sendError(error, request, reply, ports.log),
  }) as unknown as FastifyInstance;
  app.server.maxConnections = LIMITS.connectionsMax;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(CBOR_TYPE, { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.addContentTypeParser(RECORD_TYPE, { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.addContentTypeParser(SUBMIT_TYPE, (_request, body, done) => done(null, body));
  app.setErrorHandler<FastifyError>((error, request, reply) => sendError(error, request, reply, ports.log));
  app.setNotFoundHandler(() => {
    throw new QflareError("request.not_found");
  });
  for (const route of [
    identityRoute,
    rotationsRoute,
    enrollRoute,
    challengeRoute,
    resumeRoute,
    rekeyRoute,
    globalModelRoute,
    modelBlobRoute,
    submitModelRoute,
    logRoute,
    healthRoute,
    openapiRoute,
  ]) {
    route(app, ports);
  }
  return app;
}

const FRAMEWORK_ERRORS: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "message.too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "request.media_type",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "message.length_mismatch",
  FST_ERR_MAX_PARAM_LENGTH: "request.not_found",
};

function sendError(error: FastifyError, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  const coded = codedError(error, request, log);
  if (coded instanceof RateLimited) reply.headers(coded.headers);
  // What a body still holds is not worth reading: the connection ends with the answer.
  if (Number(request.headers["content-length"] ?? 0) > LIMITS.controlMessageBytesMax)
    reply.header("connection", "close");
  const suites = coded instanceof SuiteRefused ? { suites: coded.suites } : {};
  return reply.code(coded.status).send({ error: coded.code, message: coded.message, ...suites });
}

/** A session that is refused looks the same from outside, whatever the cause: no detail leaves the process. */
function codedError(
  error: Error & { code?: string; statusCode?: number },
  request: FastifyRequest,
  log: Log,
): QflareError {
  if (error instanceof QflareError) return error.code === "session.refused" ? new QflareError(error.code) : error;
  const code = FRAMEWORK_ERRORS[error.code ?? ""];
  if (code !== undefined) return new QflareError(code);
  if (error.statusCode !== undefined && error.statusCode < 500) return new QflareError("message.malformed");
  log.error({ path: request.url, error: error.stack ?? String(error) }, ERRORS["server.internal"].text);
  return new QflareError("server.internal");
}
