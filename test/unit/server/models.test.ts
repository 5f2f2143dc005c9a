import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../../../src/core/bytes.ts";
import type { ModelRow } from "../../../src/server/ledger.ts";
import { ModelVault } from "../../../src/server/models.ts";
import { OpenRound, type OpenRoundPorts } from "../../../src/server/open-round.ts";
import { RunState } from "../../../src/server/run-state.ts";
import type { BlobStore } from "../../../src/server/store/blobs.ts";
import { FakeClock, seededRandom } from "../../support/clock.ts";

const FILE = new Uint8Array(5000).fill(3);
const SIGNED = { statement: new Uint8Array(1), signature: new Uint8Array(1) };
const isWiped = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

function vaultOf(): ModelVault {
  const blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  const store = {
    put: async (name: Uint8Array, _length: number, pieces: AsyncIterable<Uint8Array>) => {
      for await (const piece of pieces) blobs.set(toHex(name), new Uint8Array(piece));
    },
    read: async (name: Uint8Array) => blobs.get(toHex(name))!,
  };
  return new ModelVault(store as unknown as BlobStore, seededRandom("models"), new FakeClock());
}

const copyOf = (row: ModelRow): ModelRow => ({ ...row, content_key: new Uint8Array(row.content_key) });

test("a model that is read once leaves no content key in its row, even if nothing opens", async () => {
  const vault = vaultOf();
  const row = await vault.store(SIGNED, 1, FILE);
  const [first, second] = [copyOf(row), copyOf(row)];
  for (let times = 0; times < 2; times++) assert.deepEqual(await vault.read(first), FILE);
  assert.deepEqual(await vault.readOnce(first), FILE);
  await assert.rejects(vault.readOnce({ ...second, digest: new Uint8Array(32) }), { code: "model.malformed" });
  assert.ok(isWiped(first.content_key) && isWiped(second.content_key) && !isWiped(row.content_key));
});

test("the content key of a round is wiped when devices see the next; tasks given out keep theirs", async () => {
  const row = await vaultOf().store(SIGNED, 1, FILE);
  const ports = { enclave: { facts: { kemKeyHash: new Uint8Array(32) } } } as unknown as OpenRoundPorts;
  const roundOf = (base: ModelRow): OpenRound =>
    new OpenRound(ports, { round: 2, cohort: new Uint8Array(0) } as never, base);
  const state = new RunState();
  const [former, next] = [copyOf(row), copyOf(row)];
  state.show(roundOf(former));
  const task = state.open!.task("{}", new Uint8Array(32));
  assert.ok(!isWiped(former.content_key));
  state.show(roundOf(next));
  assert.ok(isWiped(former.content_key) && !isWiped(next.content_key));
  assert.deepEqual(task.content_key, row.content_key);
  state.show(undefined);
  assert.ok(isWiped(next.content_key));
  assert.equal(state.current, undefined);
});
