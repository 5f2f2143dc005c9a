// Nitro: a request to the security module, in CBOR, and its answer (AWS Nitro Enclaves NSM API, "Attestation"). The
// module puts up to 1024 bytes of user data into a document that the hypervisor signs.

import type { HardwareEvidence } from "../../attestation/evidence.ts";
import { decodeForeignCbor, encodeCbor } from "../../core/codec.ts";
import { QflareError } from "../../core/error.ts";
import { type HardwareAttester, requireReportData } from "./attester.ts";
import type { SecurityModule } from "./nsm.ts";
import { NSM_RESPONSE_BYTES_MAX } from "./nsm.ts";
import { requireOwn } from "./own-report.ts";

export class Nitro implements HardwareAttester {
  readonly tee = "nitro";
  readonly #module: SecurityModule;

  constructor(module: SecurityModule) {
    this.#module = module;
  }

  async attest(reportData: Uint8Array): Promise<HardwareEvidence> {
    requireReportData(reportData);
    const request = encodeCbor({ Attestation: { user_data: reportData, nonce: null, public_key: null } });
    const document = documentOf(this.#module.exchange(request));
    return requireOwn({ tee: "nitro", document }, reportData);
  }
}

/** {"Attestation": {"document": bytes}}, or {"Error": name}. */
function documentOf(response: Uint8Array): Uint8Array {
  const answer = readAnswer(response);
  const refusal = answer?.get("Error");
  if (typeof refusal === "string") throw new QflareError("evidence.failed", `the security module says ${refusal}`);
  const attestation = answer?.get("Attestation");
  const document = attestation instanceof Map ? attestation.get("document") : undefined;
  if (document instanceof Uint8Array && document.length > 0) return document;
  throw new QflareError("evidence.failed", "expected a document of the security module");
}

function readAnswer(response: Uint8Array): Map<unknown, unknown> | undefined {
  try {
    const answer = decodeForeignCbor(response, NSM_RESPONSE_BYTES_MAX);
    return answer instanceof Map ? answer : undefined;
  } catch (cause) {
    if (!(cause instanceof QflareError)) throw cause;
    throw new QflareError("evidence.failed", "the security module's answer is cut or no CBOR", { cause });
  }
}
