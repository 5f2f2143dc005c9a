// Evidence without hardware: proves that one key holder made all of it, and nothing about where that holder runs.

import { toHex } from "../core/bytes.ts";
import type { Claims } from "./evidence.ts";
import type { Findings } from "./findings.ts";
import { readSimulatedEvidence, type SimulatedBody } from "./simulated.ts";

export interface SimulatedClaims {
  readonly claims: Claims;
  readonly body: SimulatedBody;
}

/** undefined, with a finding, where the signature does not hold. Throws message.malformed. */
export function collectSimulated(document: Uint8Array, nowMs: number, findings: Findings): SimulatedClaims | undefined {
  const body = readSimulatedEvidence(document);
  findings.require(body !== undefined, "its signature or binding does not hold");
  if (body === undefined) return undefined;
  findings.require(body.not_before <= nowMs, "it is not valid yet");
  findings.require(nowMs <= body.not_after, "it has expired");
  const measurement = toHex(body.code_log_entry);
  const claims: Claims = {
    tee: "simulated",
    measurement,
    measurements: { code_log_entry: measurement, isolation: body.isolation },
    reportData: toHex(body.report_data),
    debug: false,
    tcb: {},
    isMigratable: false,
    isRevocationChecked: false,
    issuedMs: body.not_before,
  };
  return { claims, body };
}
