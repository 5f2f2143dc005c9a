// Evidence: what an enclave shows about itself, by kind of hardware, and what verification says about it.

export const TEES = ["sev-snp", "tdx", "sgx", "nitro", "simulated"] as const;
export type Tee = (typeof TEES)[number];

/** AMD SEV-SNP: the report of 1184 bytes. certificates: DER, VCEK or VLEK first; those of AMD's CAs may be left out. */
export interface SevSnpEvidence {
  readonly tee: "sev-snp";
  readonly report: Uint8Array;
  readonly certificates: readonly Uint8Array[];
}

/** Intel TDX (quote version 4 or 5) and SGX (3, 4 or 5), with the certificate chain inside. Needs collateral. */
export interface QuoteEvidence {
  readonly tee: "tdx" | "sgx";
  readonly quote: Uint8Array;
}

/** AWS Nitro Enclaves: the attestation document, a COSE_Sign1 structure. */
export interface NitroEvidence {
  readonly tee: "nitro";
  readonly document: Uint8Array;
}

/** No hardware: a document that the enclave signed itself. */
export interface SimulatedEvidence {
  readonly tee: "simulated";
  readonly document: Uint8Array;
}

export type Evidence = SevSnpEvidence | QuoteEvidence | NitroEvidence | SimulatedEvidence;

/** What evidence says, before anything of it is proven. Bytes are in hexadecimal. */
export interface Claims {
  readonly tee: Tee;
  /** SEV-SNP measurement, TDX MRTD, SGX MRENCLAVE, Nitro PCR0, digest of the simulated enclave's program. */
  readonly measurement: string;
  /** By name: every field that a policy may pin, the measurement among them. */
  readonly measurements: Readonly<Record<string, string>>;
  /** What the enclave bound: report data, of Nitro the user data. "" where there is none. */
  readonly reportData: string;
  readonly debug: boolean;
  /** Security versions by component. */
  readonly tcb: Readonly<Record<string, number>>;
  /** TDX and SGX: what Intel says about them, where a level matched. */
  readonly tcbStatus?: TcbStatus;
  readonly tcbDateMs?: number;
  readonly advisories?: readonly string[];
  /** SEV-SNP. */
  readonly vmpl?: number;
  /** Whether another machine may take over the memory. */
  readonly isMigratable: boolean;
  /** Whether revoked certificates would have been noticed. */
  readonly isRevocationChecked: boolean;
  /** When it was made (Nitro, simulated), or its collateral (TDX, SGX). */
  readonly issuedMs?: number;
}

/** Best first. */
export const TCB_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;
export type TcbStatus = (typeof TCB_STATUSES)[number];

export interface Verdict {
  /** Whether the evidence is genuine and meets the policy. Without it nothing else here is proven. */
  readonly ok: boolean;
  readonly tee: Tee;
  readonly measurement: string;
  readonly measurements: Readonly<Record<string, string>>;
  readonly reportData: string;
  readonly debug: boolean;
  readonly tcbStatus?: TcbStatus;
  readonly advisories?: readonly string[];
  /** Why not; empty where ok. */
  readonly reasons: readonly string[];
}
