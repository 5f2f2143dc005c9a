import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { encodeCbor } from "../../../src/core/codec.ts";
import { EnclavePin, type PinPorts } from "../../../src/device/enclave-pin.ts";
import { enclaveIdentity } from "../../../src/wire/enclave-identity.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";

const runId = new Uint8Array(32).fill(7);
const program = new Uint8Array(32).fill(1);

function portsOf(context: TestContext): PinPorts {
  return { path: join(folderOf(context), "device.key.enclave"), runId, isNew: true };
}

type Offered = Parameters<EnclavePin["take"]>[0];

function offered({ tee = "simulated", epoch = 1, key = epoch as number, policy = 1 } = {}): Offered {
  const keys = { kem_public_key: Uint8Array.of(key), signature_public_key: Uint8Array.of(9) };
  const identity = enclaveIdentity({ tee, epoch, ...keys, policy_hash: new Uint8Array(32).fill(policy) });
  return { program, announced_at: null, identity };
}

describe("the pin of an enclave", () => {
  it("is begun before there is one to trust, and holds the one that was trusted over a restart", (context) => {
    const ports = portsOf(context);
    const pin = new EnclavePin(ports);
    assert.ok(existsSync(ports.path));
    assert.equal(pin.take(offered({ epoch: 2 })), false);
    const again = new EnclavePin({ ...ports, isNew: false });
    assert.throws(() => again.take(offered({ epoch: 1 })), coded("evidence.refused", /expected epoch 2/));
    assert.throws(() => again.take(offered({ epoch: 2, key: 3 })), coded("evidence.refused", /expected epoch 2/));
    assert.equal(again.take(offered({ epoch: 3 })), false);
  });

  it("lets no enclave follow on other hardware or under another policy, in a later epoch neither", (context) => {
    const pin = new EnclavePin(portsOf(context));
    pin.take(offered());
    for (const epoch of [1, 2]) {
      const other = coded("evidence.refused", /expected an enclave on simulated, got sev-snp/);
      assert.throws(() => pin.take(offered({ epoch, key: 1, tee: "sev-snp" })), other);
      assert.throws(() => pin.take(offered({ epoch, key: 1, policy: 2 })), coded("evidence.refused", /another policy/));
    }
    assert.equal(pin.take(offered({ epoch: 2 })), false);
  });

  it("is refused where it is gone, of another run, altered, or not to be read", (context) => {
    const ports = portsOf(context);
    const gone = coded("store.corrupt", /\.enclave is gone, .*; bring back .* or remove both it and the \.log/);
    assert.throws(() => new EnclavePin({ ...ports, isNew: false }), gone);
    assert.ok(!existsSync(ports.path));
    new EnclavePin(ports).take(offered());
    const other = { ...ports, runId: new Uint8Array(32) };
    assert.throws(() => new EnclavePin(other), coded("store.corrupt", /of another run/));
    writeFileSync(ports.path, readFileSync(ports.path).subarray(1));
    assert.throws(() => new EnclavePin(ports), coded("store.corrupt", /\.enclave is no pin; bring back/));
    assert.throws(() => new EnclavePin({ ...ports, path: folderOf(context) }), coded("store.unavailable", /EISDIR/));
  });

  it("says that another version of the program wrote it, and what to do then", (context) => {
    const { path } = portsOf(context);
    const { identity } = offered();
    writeFileSync(path, encodeCbor({ v: 1, program, announced_at: null, identity }));
    const other = coded("store.version", /\.enclave: expected 2, got 1; .* remove both it and the \.log/);
    for (const isNew of [true, false]) assert.throws(() => new EnclavePin({ path, runId, isNew }), other);
    writeFileSync(path, encodeCbor({ v: 2, program }));
    assert.throws(() => new EnclavePin({ path, runId, isNew: true }), coded("store.corrupt", /is no pin/));
  });

  it("is what it was where the disk refuses the next one", (context) => {
    const ports = portsOf(context);
    const pin = new EnclavePin(ports);
    pin.take(offered());
    rmSync(ports.path);
    mkdirSync(ports.path);
    assert.throws(() => pin.take(offered({ epoch: 2 })), coded("store.unavailable", /EISDIR/));
    rmdirSync(ports.path);
    assert.equal(pin.take(offered()), false);
    pin.take(offered({ epoch: 2 }));
    const again = new EnclavePin({ ...ports, isNew: false });
    assert.throws(() => again.take(offered()), coded("evidence.refused", /expected epoch 2/));
  });
});
