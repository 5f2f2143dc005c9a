import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toHex } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import type { ModelRow } from "../../../src/server/ledger.ts";
import { ModelVault } from "../../../src/server/models.ts";
import { OpenRound, type OpenRoundPorts } from "../../../src/server/open-round.ts";
import { RunState } from "../../../src/server/run-state.ts";
import type { BlobStore } from "../../../src/server/store/blobs.ts";
import { FakeClock, seededRandom } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

const FILE = new Uint8Array(5000).fill(3);
const SIGNED = { statement: new Uint8Array(1), signature: new Uint8Array(1) };
const isWiped = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);
const copyOf = (row: ModelRow): ModelRow => ({ ...row, content_key: new Uint8Array(row.content_key) });

/** A vault over blobs in memory. */
class Desk {
  readonly blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Of blobs, from the store. */
  reads = 0;
  isFull = false;
  /** For each model its key, then the salt of its seal. */
  readonly drawn: Uint8Array[] = [];
  readonly #random = seededRandom("models");
  vault = this.#open();

  #open(): ModelVault {
    const store = {
      put: async (name: Uint8Array, _length: number, pieces: AsyncIterable<Uint8Array>) => {
        if (this.isFull) throw new QflareError("store.full");
        for await (const piece of pieces) this.blobs.set(toHex(name), new Uint8Array(piece));
      },
      read: async (name: Uint8Array) => {
        this.reads += 1;
        return this.blobs.get(toHex(name))!;
      },
    };
    return new ModelVault(store as unknown as BlobStore, { bytes: (length) => this.#draw(length) }, new FakeClock());
  }

  #draw(length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#random.bytes(length);
    this.drawn.push(bytes);
    return bytes;
  }

  restart(): void {
    this.vault = this.#open();
  }

  /** The row as a commit would leave it. */
  async stored(file = FILE): Promise<ModelRow> {
    return await this.vault.storing(async (store) => copyOf(await store(SIGNED, 1, file)));
  }
}

describe("a model's content key", () => {
  it("is wiped when the model is read once, even if nothing opens", async () => {
    const desk = new Desk();
    const row = await desk.stored();
    const { vault } = desk;
    const [first, second, third] = [copyOf(row), copyOf(row), copyOf(row)];
    for (let times = 0; times < 2; times++) assert.deepEqual(await vault.read(first), FILE);
    assert.deepEqual(await vault.readOnce(first), FILE);
    const other = { digest: new Uint8Array(32) };
    await assert.rejects(vault.readOnce({ ...second, ...other }), coded("model.malformed"));
    await assert.rejects(vault.load({ ...third, ...other }), coded("model.malformed"));
    for (const { content_key } of [first, second, third]) assert.ok(isWiped(content_key));
  });

  it("is wiped when its row is committed, where that is refused, and where its blob finds no space", async () => {
    const desk = new Desk();
    const rows: ModelRow[] = [];
    const storeAnd = (then: () => void): Promise<void> =>
      desk.vault.storing(async (store) => {
        rows.push(await store(SIGNED, 1, FILE));
        assert.ok(!isWiped(rows.at(-1)!.content_key));
        then();
      });
    await storeAnd(() => undefined);
    const refuse = (): never => {
      throw new QflareError("server.unavailable");
    };
    await assert.rejects(storeAnd(refuse), coded("server.unavailable"));
    desk.isFull = true;
    await assert.rejects(storeAnd(refuse), coded("store.full"));
    const keys = desk.drawn.filter((_, i) => i % 2 === 0);
    assert.deepEqual([rows.length, keys.length], [2, 3]);
    for (const [i, key] of keys.entries()) {
      assert.ok(isWiped(key));
      assert.equal(key, rows[i]?.content_key ?? key);
    }
  });

  it("of a round is wiped when devices see the next; tasks given out keep theirs", async () => {
    const row = await new Desk().stored();
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
});

describe("the newest model", () => {
  it("is held from its commit on, in the place of the one before, and read from memory", async () => {
    const desk = new Desk();
    const [first, second] = [await desk.stored(), await desk.stored()];
    assert.equal(desk.vault.held(first.blob_digest), undefined);
    assert.deepEqual(desk.vault.held(second.blob_digest), desk.blobs.get(toHex(second.blob_digest)));
    assert.deepEqual(await desk.vault.read(second), FILE);
    assert.equal(desk.reads, 0);
    assert.deepEqual(await desk.vault.read(first), FILE);
    assert.equal(desk.reads, 1);
  });

  it("stays the one before where a commit fails, and until it is done", async () => {
    const desk = new Desk();
    const before = await desk.stored();
    let name = new Uint8Array(0);
    const refused = desk.vault.storing(async (store) => {
      name = (await store(SIGNED, 2, FILE)).blob_digest;
      assert.equal(desk.vault.held(name), undefined);
      throw new QflareError("store.full");
    });
    await assert.rejects(refused, coded("store.full"));
    assert.equal(desk.vault.held(name), undefined);
    assert.notEqual(desk.vault.held(before.blob_digest), undefined);
  });

  it("is held again after a restart, and never where it is large", async () => {
    const desk = new Desk();
    const row = await desk.stored();
    desk.restart();
    assert.equal(desk.vault.held(row.blob_digest), undefined);
    await desk.vault.load(copyOf(row));
    assert.deepEqual(desk.vault.held(row.blob_digest), desk.blobs.get(toHex(row.blob_digest)));
    const large = await desk.stored(new Uint8Array(LIMITS.modelHeldBytesMax));
    assert.equal(desk.vault.held(large.blob_digest), undefined);
    assert.equal(desk.vault.held(row.blob_digest), undefined);
  });
});
