// How a server takes its own enclave's evidence: by what it was started with, for devices would turn away one by one.

import { renameSync, writeFileSync } from "node:fs";
import type { Evidence } from "../attestation/evidence.ts";
import { evidenceFile } from "../attestation/evidence-file.ts";
import type { AppraisalPolicy } from "../attestation/policy.ts";
import { ROOTS, type Roots } from "../attestation/roots.ts";
import type { Log } from "../core/ports.ts";
import type { OwnEvidence } from "./enclave-examination.ts";

export interface OwnEvidenceOptions {
  /** What the enclave's evidence has to meet before there is a run; by default that it is genuine, simulated or not. */
  readonly evidencePolicy?: AppraisalPolicy;
  /** Whose signatures count as the vendors'; by default theirs. */
  readonly evidenceRoots?: Roots;
  /** What the vendor says about the platform, as JSON, for devices; null where there is none. Asked for each time. */
  readonly evidenceCollateral?: () => Uint8Array<ArrayBuffer> | null;
}

/** path: where the evidence is kept, so that people can fetch its collateral. */
export function ownEvidence(options: OwnEvidenceOptions, path: string, log: Log): OwnEvidence {
  const { evidencePolicy: policy = { allow_simulated: true } } = options;
  return {
    roots: options.evidenceRoots ?? ROOTS,
    policy,
    collateral: options.evidenceCollateral ?? (() => null),
    keep: (made) => keepEvidence(made, path, log),
  };
}

/** A full disk is no reason to be without an enclave. */
function keepEvidence(made: Evidence, path: string, log: Log): void {
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(evidenceFile(made))}\n`);
    renameSync(`${path}.new`, path);
  } catch (error) {
    log.warn({ error: String(error) }, "the enclave's evidence cannot be kept for its collateral to be fetched");
  }
}
