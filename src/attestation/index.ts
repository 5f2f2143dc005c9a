// Public entry "qflare/attestation".
export { type Appraisal, appraise, type Expectation } from "./appraisal.ts";
export { type Binding, reportData } from "./binding.ts";
export { type IsolationLevel, readSimulatedEvidence, type SimulatedBody } from "./simulated.ts";
