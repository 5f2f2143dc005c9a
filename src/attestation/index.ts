// Public entry "qflare/attestation".
export type { IsolationLevel } from "../isolation/level.ts";
export { type Appraisal, appraise, type Expectation } from "./appraisal.ts";
export { type Binding, reportData } from "./binding.ts";
export { readSimulatedEvidence, type SimulatedBody } from "./simulated.ts";
