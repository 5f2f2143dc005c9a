// Which hardware a guest takes itself to run on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TEES } from "../../../src/attestation/evidence.ts";
import { chooseTee, TEE_DEVICES } from "../../../src/attestation/tee-device.ts";

const exists =
  (...paths: readonly string[]) =>
  (path: string): boolean =>
    paths.includes(path);

describe("the choice of hardware", () => {
  it("takes what was named, whether it is there or not", () => {
    for (const tee of TEES) assert.equal(chooseTee(tee, exists()), tee);
  });

  it("takes for auto the hardware whose sign is there, and none only where there is none", () => {
    for (const { tee, sign } of TEE_DEVICES) assert.equal(chooseTee("auto", exists(sign)), tee);
    assert.equal(chooseTee("auto", exists()), "simulated");
  });

  it("keeps to hardware whose interface for reports is missing, so that it fails instead of being simulated", () => {
    assert.equal(chooseTee("auto", exists("/dev/sev-guest")), "sev-snp");
    assert.equal(chooseTee("auto", exists("/dev/tdx_guest")), "tdx");
  });

  it("takes what is innermost: Gramine before the machine that it runs on", () => {
    assert.equal(chooseTee("auto", exists("/dev/attestation/attestation_type", "/dev/tdx_guest")), "sgx");
  });
});
