import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { toHex } from "../../../src/core/bytes.ts";
import { QflareError } from "../../../src/core/error.ts";
import type { ModelRow, UpdateRow } from "../../../src/server/ledger.ts";
import { OpenRound, type OpenRoundPorts, RoundLost } from "../../../src/server/open-round.ts";
import { FakeClock } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const bytes = (fill: number, length = 32): Bytes => new Uint8Array(length).fill(fill);

/** Round 2, whose enclave, blobs and signature are what the test says. */
class Desk {
  generation = 1;
  holdsKey = true;
  signature = bytes(1);
  /** What the enclave was told: begin with the first byte of its signature, update with that of its manifest. */
  readonly told: string[] = [];
  /** By the first byte of its digest; what is not named is there. */
  readonly blobs = new Map<number, Promise<Bytes>>();
  model: Promise<Bytes> = Promise.resolve(bytes(0));
  readonly round: OpenRound;

  constructor(devices: number, cohort: Bytes = new Uint8Array(0)) {
    const desk = this;
    const enclave = {
      get generation() {
        return desk.generation;
      },
      ready: async () => undefined,
      holdsKeyOf: () => this.holdsKey,
      call: async (operation: string, request: { signature: Bytes; manifest?: Bytes }) => {
        this.told.push(`${operation} ${(request.manifest ?? request.signature)[0]}`);
      },
    };
    const ledger = {
      reportOf: async () => null,
      signatureOf: async () => ({ statement: this.signature, signature: this.signature }),
    };
    const blobs = { read: async (digest: Bytes) => await (this.blobs.get(digest[0]!) ?? digest) };
    const models = { read: () => this.model };
    const registry = { findKeys: async () => undefined, findDevice: async () => undefined };
    const ports = { registry, enclave, ledger, blobs, models, clock: new FakeClock() };
    const row = { round: 2, cohort };
    const base = { round: 1, statement: bytes(1), signature: bytes(1), content_key: bytes(9) };
    this.round = new OpenRound(ports as unknown as OpenRoundPorts, row as never, base as ModelRow);
    for (let i = 1; i <= devices; i++) {
      const named = { device_id: bytes(i, 16), blob_digest: bytes(i), manifest: bytes(i), signature: bytes(i) };
      this.round.add({ ...named, blob_length: 1 } as UpdateRow);
    }
  }

  /** The enclave knows of the round, but of no update yet. */
  static async begun(devices: number): Promise<Desk> {
    const desk = new Desk(devices);
    await desk.round.feedSome();
    assert.deepEqual(desk.told.splice(0), ["begin 1"]);
    return desk;
  }
}

describe("an open round tells its enclave", () => {
  it("each update once, behind the round itself", async () => {
    const { round, told } = await Desk.begun(3);
    await round.feedSome();
    assert.deepEqual(told, ["update 1", "update 2", "update 3"]);
    assert.equal(round.hasUnfed, false);
  });

  it("nothing any more once feeding has failed, and then only what was not told", async () => {
    const desk = await Desk.begun(3);
    const slow = Promise.withResolvers<Bytes>();
    desk.blobs.set(1, Promise.reject(new QflareError("store.unavailable", "EMFILE")));
    desk.blobs.set(2, slow.promise);
    let isOver = false;
    const failing = assert.rejects(desk.round.feedSome(), coded("store.unavailable")).finally(() => {
      isOver = true;
    });
    for (let i = 0; i < 10; i++) await turn();
    assert.equal(isOver, false, "an update is still on its way");
    slow.resolve(bytes(2));
    await failing;
    assert.deepEqual(desk.told.splice(0), ["update 3", "update 2"]);
    desk.blobs.clear();
    await desk.round.feedSome();
    assert.deepEqual(desk.told, ["update 1"]);
    assert.equal(desk.round.hasUnfed, false);
  });

  it("no update that was read for the enclave before, and everything anew", async () => {
    const desk = await Desk.begun(2);
    const slow = Promise.withResolvers<Bytes>();
    desk.blobs.set(2, slow.promise);
    const feeding = desk.round.feedSome();
    await turn();
    desk.generation = 2;
    slow.resolve(bytes(2));
    await feeding;
    assert.deepEqual(desk.told.splice(0), ["update 1"]);
    while (desk.round.hasUnfed) await desk.round.feedSome();
    assert.deepEqual(desk.told, ["begin 1", "update 1", "update 2"]);
  });

  it("of no round that was read for the enclave before, and of the model as its successor has signed it", async () => {
    const desk = new Desk(1);
    const slow = Promise.withResolvers<Bytes>();
    desk.model = slow.promise;
    const feeding = desk.round.feedSome();
    await turn();
    [desk.generation, desk.signature] = [2, bytes(2)];
    slow.resolve(bytes(0));
    await feeding;
    assert.deepEqual(desk.told, []);
    await desk.round.feedSome();
    assert.deepEqual(desk.told, ["begin 2"]);
  });
});

describe("an open round counts on", () => {
  const ids = [1, 2, 3].map((fill) => bytes(fill, 16));
  const cohort = new Uint8Array(48).map((_, i) => 1 + Math.floor(i / 16));

  it("no update of a member that departs without one, also where it did before", async () => {
    const desk = new Desk(1, cohort);
    assert.deepEqual([desk.round.acceptedCount, desk.round.possibleCount], [1, 3]);
    desk.round.depart(toHex(ids[1]!));
    desk.round.depart(toHex(bytes(9, 16)));
    assert.equal(desk.round.possibleCount, 2);
    await desk.round.findGone();
    assert.equal(desk.round.possibleCount, 1);
  });

  it("the update of a member that departs with one, but not on its coming back", () => {
    const { round } = new Desk(2, cohort);
    for (const id of ids.slice(1)) round.depart(toHex(id));
    assert.equal(round.possibleCount, 2);
    assert.deepEqual(round.staying, [toHex(ids[0]!)]);
    round.add({ device_id: ids[2]! } as UpdateRow);
    assert.equal(round.possibleCount, 3, "accepted before it departed, and heard of after");
  });
});

describe("an open round is lost", () => {
  it("where the enclave that was told of it was replaced by one with other keys", async () => {
    const desk = await Desk.begun(1);
    [desk.generation, desk.holdsKey] = [2, false];
    assert.equal(desk.round.hasUnfed, true);
    const lost = new RoundLost("the enclave's keys were lost; it has new ones");
    await assert.rejects(desk.round.feedSome(), lost);
    assert.deepEqual(desk.told, []);
  });

  it("where an accepted update is damaged, and not where its blob cannot be read now", async () => {
    const desk = await Desk.begun(1);
    const damage = new QflareError("store.corrupt", "blob 01 is missing");
    desk.blobs.set(1, Promise.reject(damage));
    await assert.rejects(desk.round.feedSome(), new RoundLost(damage.message));
    desk.blobs.set(1, Promise.reject(new QflareError("store.unavailable")));
    await assert.rejects(desk.round.feedSome(), coded("store.unavailable"));
  });

  it("where the registry knows a member neither as a device nor as one that was", async () => {
    const desk = new Desk(0, bytes(1, 16));
    await assert.rejects(desk.round.feedSome(), new RoundLost(`device ${"01".repeat(16)} is not in the registry`));
    assert.deepEqual(desk.told, []);
  });

  it("not where its base model is damaged: that is the run's", async () => {
    const desk = new Desk(1);
    desk.model = Promise.reject(new QflareError("store.corrupt"));
    await assert.rejects(desk.round.feedSome(), coded("store.corrupt"));
  });
});
