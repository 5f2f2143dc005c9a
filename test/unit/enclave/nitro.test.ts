// Nitro's security module, against the driver's rules; and libc's ioctl through node:ffi, for real.

import assert from "node:assert/strict";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { verifyEvidence } from "../../../src/attestation/verify.ts";
import { systemFiles } from "../../../src/enclave/attesters/device-files.ts";
import { Nitro } from "../../../src/enclave/attesters/nitro.ts";
import { NSM_IOCTL_RAW, NSM_REQUEST_BYTES_MAX, NsmDevice, openNative } from "../../../src/enclave/attesters/nsm.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";
import { FakeNsm } from "../../support/tee/fake-nsm.ts";
import { nitroSample } from "../../support/tee/samples.ts";

const sample = nitroSample("dstack-nsm-2025", "2025-12-25T13:15:37.578Z");
const { document } = sample.evidence as { document: Uint8Array };
/** The sample's user data. */
const reportData = new Uint8Array(64);
const answered = (): unknown => ({ Attestation: { document } });

function attesterOn(nsm: FakeNsm): Nitro {
  return new Nitro(new NsmDevice(nsm, nsm.files));
}

describe("the Nitro security module", () => {
  it("gives a document over the data that was asked for, which verifies", async () => {
    const asked: unknown[] = [];
    const nsm = new FakeNsm((request) => {
      asked.push(request);
      return answered();
    });
    const evidence = await attesterOn(nsm).attest(reportData);
    assert.deepEqual(verifyEvidence(evidence, { now: sample.now }).reasons, []);
    const fields = new Map<string, unknown>([
      ["nonce", null],
      ["user_data", reportData],
      ["public_key", null],
    ]);
    assert.deepEqual([asked, nsm.filesOpen], [[new Map([["Attestation", fields]])], 0]);
  });

  it("says what is missing or what the driver and the module refuse", async () => {
    const away = new FakeNsm(answered);
    away.isThere = false;
    await assert.rejects(
      attesterOn(away).attest(reportData),
      coded("evidence.unavailable", /this is no Nitro enclave/),
    );
    const broken = new FakeNsm(answered);
    broken.errno = 110;
    await assert.rejects(attesterOn(broken).attest(reportData), coded("evidence.failed", /ETIMEDOUT/));
    const refusing = new FakeNsm(() => ({ Error: "InternalError" }));
    await assert.rejects(attesterOn(refusing).attest(reportData), coded("evidence.failed", /says InternalError/));
    assert.deepEqual([broken.filesOpen, refusing.filesOpen], [0, 0]);
  });

  it("refuses an answer that is cut, empty, no CBOR, or another operation's", async () => {
    const nsm = new FakeNsm(answered);
    for (const raw of [new Uint8Array(0x3000).fill(0xff), new Uint8Array(0), Uint8Array.of(0xff, 0, 1)]) {
      nsm.raw = raw;
      await assert.rejects(attesterOn(nsm).attest(reportData), coded("evidence.failed", /cut|no CBOR/));
    }
    for (const answer of ["GetRandom", { GetRandom: { random: new Uint8Array(64) } }, { Attestation: {} }]) {
      const other = attesterOn(new FakeNsm(() => answer));
      await assert.rejects(other.attest(reportData), coded("evidence.failed", /expected a document/));
    }
  });

  it("refuses a document over other data", async () => {
    const attester = attesterOn(new FakeNsm(answered));
    await assert.rejects(attester.attest(new Uint8Array(64).fill(1)), coded("evidence.failed", /its own report data/));
    await assert.rejects(attester.attest(new Uint8Array(32)), RangeError);
  });

  it("is asked nothing that the driver would not take", () => {
    const nsm = new FakeNsm(answered);
    const device = new NsmDevice(nsm, nsm.files);
    assert.throws(() => device.exchange(new Uint8Array(NSM_REQUEST_BYTES_MAX + 1)), RangeError);
  });
});

describe("ioctl through node:ffi", () => {
  const FIONREAD = 0x541bn;

  it("reaches the kernel, which writes at the address that was given", async (context) => {
    const path = join(folderOf(context), "five");
    writeFileSync(path, "12345");
    const native = await openNative();
    const count = new Uint8Array(new ArrayBuffer(4));
    const address = native.addressOf(count);
    const file = openSync(path, "r");
    try {
      assert.equal(native.ioctl(file, FIONREAD, address), 0);
    } finally {
      closeSync(file);
    }
    assert.deepEqual([...count], [5, 0, 0, 0]);
  });

  it("gives the kernel's errno, and names a device that is no security module", async () => {
    const native = await openNative();
    assert.equal(native.ioctl(-1, NSM_IOCTL_RAW, 0n), 9); // EBADF
    const device = new NsmDevice(native, systemFiles, "/dev/null");
    assert.throws(() => device.exchange(new Uint8Array(1)), coded("evidence.failed", /it is no security module/));
  });
});
