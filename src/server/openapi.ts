// The OpenAPI page, made from the shapes that read the messages. Bodies are CBOR; the schemas give members and limits.

import { TEES } from "../attestation/evidence.ts";
import { ERRORS } from "../core/error.ts";
import type { JsonSchema, Message } from "../core/shape.ts";
import { SUITE_NAMES } from "../crypto/suite.ts";
import { challengeAnswer, challengeRequest } from "../wire/challenge.ts";
import { enrollAnswer, enrollRequest } from "../wire/enroll.ts";
import { identityMessage } from "../wire/identity.ts";
import { receiptAnswer } from "../wire/receipt.ts";
import { HEADERS, RECORD_TYPE, SUBMIT_TYPE } from "../wire/record.ts";
import { rekeyAnswer, rekeyRequest } from "../wire/rekey.ts";
import { resumeChallengeAnswer, resumeRequest } from "../wire/resume.ts";
import { rotationsAnswer } from "../wire/rotation.ts";
import { LOG_PREFIX } from "../wire/tile.ts";
import { submitMessage } from "../wire/update.ts";
import { workAnswer, workRequest } from "../wire/work.ts";
import { CBOR_TYPE } from "./gateway-ports.ts";

const ERROR_SCHEMA = {
  type: "object",
  properties: {
    error: { type: "string", enum: Object.keys(ERRORS) },
    message: { type: "string" },
    suites: { type: "array", items: { type: "string", enum: SUITE_NAMES } },
  },
  required: ["error", "message"],
  additionalProperties: false,
};

const HEALTH_SCHEMA = {
  type: "object",
  properties: {
    status: { type: "string", enum: ["ok", "degraded"] },
    enclave: nullOr({
      isolation: { type: "string" },
      raise: { type: "string" },
      evidence: { type: "string", enum: TEES },
    }),
    round: nullOr({ number: { type: "integer", minimum: 1 }, state: { type: "string" } }),
    finished: { type: "boolean" },
    sessions: { type: "integer", minimum: 0 },
  },
  required: ["status", "enclave", "round", "finished", "sessions"],
  additionalProperties: false,
};

function nullOr(properties: JsonSchema): JsonSchema {
  const required = Object.keys(properties);
  return { oneOf: [{ type: "object", properties, required, additionalProperties: false }, { type: "null" }] };
}

function json(schema: JsonSchema): JsonSchema {
  return { "application/json": { schema } };
}

function cbor(message: Message<unknown>): JsonSchema {
  return { [CBOR_TYPE]: { schema: { title: message.name, ...message.shape.schema } } };
}

/** A message that travels inside a record; the schema is that of the plaintext. */
function sealed(type: string, message: Message<unknown>): JsonSchema {
  return { [type]: { schema: { title: `${message.name}, sealed`, ...message.shape.schema } } };
}

/** The statuses that belong to the path; any other one carries a coded error too. */
function answers(description: string, content: JsonSchema, errors: readonly number[]): JsonSchema {
  const error = { description: "Coded error", content: json({ $ref: "#/components/schemas/Error" }) };
  const wait = { "retry-after": { description: "Seconds", schema: { type: "integer", minimum: 1 } } };
  const responses = errors.map((status) => [status, status === 429 ? { ...error, headers: wait } : error]);
  return { 200: { description, content }, ...Object.fromEntries(responses), default: error };
}

const sessionHeaders = [
  { in: "header", name: HEADERS.session, required: true, schema: { type: "string", pattern: "^[0-9a-f]{32}$" } },
  { in: "header", name: HEADERS.sequence, required: true, schema: { type: "integer", minimum: 0 } },
  { in: "header", name: HEADERS.confirm, required: false, schema: { type: "string", pattern: "^[0-9a-f]{64}$" } },
];

function joiningPaths(): JsonSchema {
  return {
    "/api/identity": {
      get: {
        operationId: "readIdentity",
        summary: "Who this server is",
        responses: answers("Identity", cbor(identityMessage), []),
      },
    },
    "/api/rotations": {
      get: {
        operationId: "readRotations",
        summary: "Who this server will be next, each step signed by the one before",
        responses: answers("Rotations", cbor(rotationsAnswer), [429]),
      },
    },
    "/api/enroll": {
      post: {
        operationId: "enroll",
        summary: "Enrol a device under a one-time token",
        requestBody: { required: true, content: cbor(enrollRequest) },
        responses: answers("Enrolled", cbor(enrollAnswer), [400, 401, 409, 410, 413, 415, 429]),
      },
    },
    "/api/challenge": {
      post: {
        operationId: "challenge",
        summary: "Open a session",
        requestBody: { required: true, content: cbor(challengeRequest) },
        responses: answers("Answer and confirmation", cbor(challengeAnswer), [400, 401, 409, 413, 415, 429, 503]),
      },
    },
    "/api/resume": {
      post: {
        operationId: "resume",
        summary: "Go on with a session under new keys",
        requestBody: { required: true, content: cbor(resumeRequest) },
        responses: answers("Answer and confirmation", cbor(resumeChallengeAnswer), [400, 401, 413, 415, 429, 503]),
      },
    },
  };
}

function roundPaths(): JsonSchema {
  return {
    "/api/global_model": {
      get: {
        operationId: "readGlobalModel",
        summary: "Ask for work; waits until there is some",
        parameters: [
          ...sessionHeaders,
          { in: "header", name: HEADERS.record, required: true, schema: { title: workRequest.name, type: "string" } },
        ],
        responses: answers("Work", sealed(RECORD_TYPE, workAnswer), [400, 401, 429, 503]),
      },
    },
    "/api/models/{digest}": {
      get: {
        operationId: "readModel",
        summary: "A sealed model by its digest",
        parameters: [
          { in: "path", name: "digest", required: true, schema: { type: "string", pattern: "^[0-9a-f]{64}$" } },
        ],
        responses: answers("Sealed model", { "application/octet-stream": { schema: { type: "string" } } }, [404, 429]),
      },
    },
    "/api/submit_model": {
      post: {
        operationId: "submitModel",
        summary: "Submit a sealed update: u32 record length, record, blob",
        parameters: sessionHeaders,
        requestBody: { required: true, content: sealed(SUBMIT_TYPE, submitMessage) },
        responses: answers(
          "Receipt",
          sealed(RECORD_TYPE, receiptAnswer),
          [400, 401, 403, 409, 413, 415, 429, 503, 507],
        ),
      },
    },
  };
}

/** HEAD asks for what stands above a file. */
function file(name: string, operation: JsonSchema): JsonSchema {
  return { get: { operationId: `read${name}`, ...operation }, head: { operationId: `check${name}`, ...operation } };
}

function logPaths(): JsonSchema {
  const note = { "text/plain": { schema: { type: "string" } } };
  const number = { type: "string", pattern: "^(x[0-9]{3}/)*[0-9]{3}([.]p/[1-9][0-9]{0,2})?$" };
  const level = { type: "string", pattern: "^(entries|[0-9]{1,2})$" };
  const tile = { "application/octet-stream": { schema: { type: "string" } } };
  return {
    [`${LOG_PREFIX}/checkpoint`]: file("LogCheckpoint", {
      summary: "The audit log's newest checkpoint (C2SP tlog-checkpoint)",
      parameters: [{ in: "header", name: "if-none-match", required: false, schema: { type: "string" } }],
      responses: { ...answers("Checkpoint", note, [429, 503]), 304: { description: "The one that the tag names" } },
    }),
    [`${LOG_PREFIX}/keys`]: file("LogKeys", {
      summary: "The log's verifier keys, one a line; trust those that were pinned elsewhere",
      responses: answers("Verifier keys", note, [429]),
    }),
    [`${LOG_PREFIX}/tile/{level}/{number}`]: file("LogTile", {
      summary: "A tile of hashes or a bundle of entries (C2SP tlog-tiles)",
      parameters: [
        { in: "path", name: "level", required: true, schema: level },
        { in: "path", name: "number", required: true, schema: number },
      ],
      responses: answers("Tile", tile, [404, 429]),
    }),
  };
}

function keyPaths(): JsonSchema {
  return {
    "/api/rekey": {
      post: {
        operationId: "rekey",
        summary: "Replace the device's keys, inside a session",
        parameters: sessionHeaders,
        requestBody: { required: true, content: sealed(RECORD_TYPE, rekeyRequest) },
        responses: answers("Rekeyed", sealed(RECORD_TYPE, rekeyAnswer), [400, 401, 409, 413, 415, 429]),
      },
    },
  };
}

function servicePaths(): JsonSchema {
  return {
    "/api/health": {
      get: {
        operationId: "readHealth",
        summary: "Whether the server works",
        responses: {
          ...answers("The enclave works", json(HEALTH_SCHEMA), []),
          503: { description: "The enclave is away", content: json(HEALTH_SCHEMA) },
        },
      },
    },
    "/api/openapi.json": {
      get: {
        operationId: "readOpenapi",
        summary: "This page",
        responses: answers("OpenAPI", json({ type: "object" }), []),
      },
    },
  };
}

export function openapiDocument(): JsonSchema {
  return {
    openapi: "3.1.0",
    info: { title: "QFLARE", version: "1", description: "Every byte of every message: docs/wire.md" },
    paths: { ...joiningPaths(), ...roundPaths(), ...keyPaths(), ...logPaths(), ...servicePaths() },
    components: { schemas: { Error: ERROR_SCHEMA } },
  };
}
