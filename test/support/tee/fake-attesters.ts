// Hardware of our own vendors for an enclave in this process: what it is asked to bind, it binds.

import type { HardwareEvidence, HardwareTee } from "../../../src/attestation/evidence.ts";
import type { Roots } from "../../../src/attestation/roots.ts";
import type { Attester } from "../../../src/enclave/attesters/attester.ts";
import { FakeAws, pcrsOf } from "./fake-nitro.ts";
import { FakeIntel } from "./fake-quote.ts";
import { FakeAmd } from "./fake-sev-snp.ts";

export interface FakeVendors {
  readonly amd: FakeAmd;
  readonly intel: FakeIntel;
  readonly aws: FakeAws;
  readonly roots: Roots;
}

export function fakeVendors(): FakeVendors {
  const [amd, intel, aws] = [new FakeAmd(), new FakeIntel(), new FakeAws()];
  return { amd, intel, aws, roots: { amd: amd.roots.amd, intel: intel.roots.intel, aws: aws.roots.aws } };
}

/** What an owner would pin of each: see FakeAmd, FakeIntel and FakeAws. */
export const MEASUREMENTS: Readonly<Record<HardwareTee, string>> = {
  "sev-snp": "e2".repeat(48),
  tdx: "cd".repeat(48),
  sgx: "ab".repeat(32),
  nitro: "51".repeat(48),
};

const TD_ATTRIBUTES_AT = 120;
const SGX_ATTRIBUTES_AT = 48;
const SEV_DEBUG = 0x80000;
const SEV_POLICY = 0x30000;

/** isDebug: whoever runs the machine reads its memory, and the hardware says so. */
export function fakeAttester({ amd, intel, aws }: FakeVendors, tee: HardwareTee, isDebug = false): Attester {
  const evidence = (reportData: Uint8Array): HardwareEvidence => {
    switch (tee) {
      case "sev-snp":
        return amd.evidence({ reportData, policy: isDebug ? SEV_POLICY + SEV_DEBUG : SEV_POLICY });
      case "nitro":
        return aws.evidence({
          fields: new Map<string, unknown>([
            ["user_data", reportData],
            ["pcrs", pcrsOf(isDebug ? 0 : 0x51)],
          ]),
        });
      case "tdx": {
        const body = (bytes: Uint8Array): void => {
          bytes.set(reportData, 520);
          if (isDebug) bytes[TD_ATTRIBUTES_AT] = 1;
        };
        return { tee, quote: intel.quote({ kind: "tdx4", body }) };
      }
      case "sgx": {
        const body = (bytes: Uint8Array): void => {
          bytes.set(reportData, 320);
          if (isDebug) bytes[SGX_ATTRIBUTES_AT]! |= 2;
        };
        return { tee, quote: intel.quote({ kind: "sgx3", body }) };
      }
    }
  };
  return { tee, attest: async (reportData) => evidence(reportData) };
}
