// Public entry "qflare/attestation".
export type { IsolationLevel } from "../isolation/level.ts";
export { type Appraisal, appraise, type Expectation } from "./appraisal.ts";
export { type Binding, reportData } from "./binding.ts";
export type { QuoteCollateral } from "./collateral.ts";
export type { VerificationOptions } from "./collect.ts";
export type {
  Evidence,
  NitroEvidence,
  QuoteEvidence,
  SevSnpEvidence,
  SimulatedEvidence,
  TcbStatus,
  Tee,
  Verdict,
} from "./evidence.ts";
export type { AllowedMeasurement, AppraisalPolicy } from "./policy.ts";
export { readSimulatedEvidence, type SimulatedBody } from "./simulated.ts";
export { verifyEvidence } from "./verify.ts";
export type { SevSnpCollateral } from "./verify-sev-snp.ts";
