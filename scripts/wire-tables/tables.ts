// The tables that are not messages: suites, sizes, labels, headers, errors, limits.

import { BINDING_LABEL } from "../../src/attestation/binding.ts";
import { REFERENCE_CONTEXT } from "../../src/attestation/reference-values.ts";
import { EVIDENCE_CONTEXT } from "../../src/attestation/simulated.ts";
import { ERRORS } from "../../src/core/error.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { HYBRID_LABEL } from "../../src/crypto/hybrid.ts";
import { kemSizes } from "../../src/crypto/kem-sizes.ts";
import { SEAL_LABEL } from "../../src/crypto/seal-format.ts";
import { SIGNATURE_SIZES } from "../../src/crypto/signature.ts";
import { exchangeSizes, SUITE_NAMES, SUITES, type Suite } from "../../src/crypto/suite.ts";
import { DEFAULT_RATE_LIMITS } from "../../src/server/limiter.ts";
import { answerMessage, challengeAnswer, challengeRequest, helloMessage } from "../../src/wire/challenge.ts";
import { CONTEXTS, LABELS } from "../../src/wire/labels.ts";
import { HEADERS, RECORD_TYPE, SUBMIT_TYPE } from "../../src/wire/record.ts";
import type { Block, Table } from "./page.ts";

/** Those that somebody outside can run into. */
const CLIENT_LIMITS = [
  "nameLengthMax",
  "urlLengthMax",
  "tokenAgeMsMax",
  "tokensMax",
  "suitesMax",
  "suiteNameLengthMax",
  "pskIdsMax",
  "pskIdBytesMax",
  "clockSkewMsMax",
  "helloNonceMsMax",
  "sessionIdleMsMax",
  "sessionKeyAgeMsMax",
  "sessionBytesMax",
  "sessionUnconfirmedMsMax",
  "sessionAgeMsMax",
  "sessionRecordsMax",
  "sequenceWindowBits",
  "sessionsPerDeviceMax",
  "sessionsMax",
  "ticketsMax",
  "identityRotationsMax",
  "controlMessageBytesMax",
  "workMessageBytesMax",
  "longPollMsMax",
  "roundDeadlineMsMax",
  "roundsMax",
  "devicesPerRoundMax",
  "examplesMax",
  "parametersMax",
  "modelBytesMax",
  "updateBytesMax",
  "chunkBytes",
  "treeLeafBytes",
  "frameBytesMax",
] as const satisfies readonly (keyof typeof LIMITS)[];

export function tableBlocks(): Record<string, Block> {
  return {
    suites: { table: suiteTable() },
    sizes: { table: sizeTable() },
    contexts: explained(
      ["context", "signed"],
      Object.values({ ...CONTEXTS, evidence: EVIDENCE_CONTEXT, reference: REFERENCE_CONTEXT }),
    ),
    labels: explained(["label", "used in"], [...Object.values(LABELS), SEAL_LABEL, HYBRID_LABEL, BINDING_LABEL]),
    headers: explained(["header", "value"], Object.values(HEADERS)),
    "content types": explained(["content type", "body"], [RECORD_TYPE, SUBMIT_TYPE]),
    errors: { table: errorTable() },
    limits: { table: limitTable() },
    rates: { table: rateTable() },
  };
}

function explained(columns: readonly string[], names: readonly string[]): Block {
  return { table: { columns, rows: names.map((name) => [`\`${name}\``]), isExplained: true } };
}

function suiteTable(): Table {
  const suites = SUITE_NAMES.map((name) => SUITES[name]);
  return {
    columns: ["suite", "ephemeral", "static", "signature", "update", "bytes of M1 + M2"],
    rows: suites.map((suite) => [
      `\`${suite.name}\``,
      suite.ephemeral,
      suite.static,
      suite.signature,
      suite.update,
      String(handshakeBytes(suite)),
    ]),
    isExplained: false,
  };
}

/** Bodies of request and answer of POST /api/challenge, encoded, where the device would take every suite. */
function handshakeBytes(suite: Suite): number {
  const { publicKey, ciphertext } = exchangeSizes(suite.ephemeral);
  const none = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length);
  const signature = none(SIGNATURE_SIZES[suite.signature].signature);
  const someTime = 2 ** 40;
  const hello = helloMessage.encode({
    v: 1,
    suites: [...SUITE_NAMES],
    suite: suite.name,
    device_id: none(16),
    nonce: none(32),
    timestamp: someTime,
    ephemeral_public_key: none(publicKey),
    psk_ids: [],
  });
  const answer = answerMessage.encode({
    v: 1,
    suite: suite.name,
    session_id: none(16),
    nonce: none(32),
    expires_at: someTime,
    ephemeral_ciphertext: none(ciphertext),
    static_ciphertext: none(kemSizes(suite.static).ciphertext),
    enclave_key_hash: none(32),
    psk_id: null,
  });
  const request = challengeRequest.encode({ message: hello, signature });
  return request.length + challengeAnswer.encode({ message: answer, signature, confirmation: none(32) }).length;
}

function sizeTable(): Table {
  const suites = Object.values(SUITES);
  const kems = [...new Set(suites.flatMap((suite) => [suite.static, suite.ephemeral, suite.update]))];
  return {
    columns: ["mechanism", "public key", "ciphertext or signature", "shared secret"],
    rows: [
      ...kems.map((name) => {
        const { publicKey, ciphertext, sharedSecret } = exchangeSizes(name);
        return [name, ...[publicKey, ciphertext, sharedSecret].map(String)];
      }),
      ...Object.entries(SIGNATURE_SIZES).map(([name, { publicKey, signature }]) => {
        return [name, String(publicKey), String(signature), "-"];
      }),
    ],
    isExplained: false,
  };
}

function errorTable(): Table {
  return {
    columns: ["code", "status", "text", "what a client does"],
    rows: Object.entries(ERRORS).map(([code, { status, text }]) => [`\`${code}\``, String(status), text]),
    isExplained: true,
  };
}

function limitTable(): Table {
  return {
    columns: ["limit", "value", "where it is met"],
    rows: CLIENT_LIMITS.map((name) => [`\`${name}\``, String(LIMITS[name])]),
    isExplained: true,
  };
}

function rateTable(): Table {
  return {
    columns: ["name", "requests a minute and client", "routes"],
    rows: Object.entries(DEFAULT_RATE_LIMITS).map(([name, count]) => [`\`${name}\``, String(count)]),
    isExplained: true,
  };
}
