import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RowArena } from "../../../src/aggregation/row-arena.ts";
import { LocalEngine, PIECE } from "../../../src/math/engine.ts";
import { MAPS, type MapName, SUMS, type SumName } from "../../../src/math/operations.ts";
import { Reducer } from "../../../src/math/reducer.ts";
import { blendRows, plainRows, type Rows, withRow } from "../../../src/math/rows.ts";
import { allFinite } from "../../../src/math/vector.ts";
import { gaussianRows } from "../../support/rows.ts";

const other = new LocalEngine(new Reducer());

/** Copies of rows, those for which it holds in the arena. */
function placed(arena: RowArena, rows: readonly Float32Array[], isInside: (row: number) => boolean): Float32Array[] {
  arena.open(rows.length, rows[0].length);
  return rows.map((row, r) => {
    const place = isInside(r) ? arena.take() : new Float32Array(row.length);
    place.set(row);
    return place;
  });
}

/** All that can be done to rows. */
function everything(engine: LocalEngine, rows: Rows, count: number) {
  const scales = Array.from({ length: count }, (_, r) => 1 - r / (2 * count));
  const weights = scales.map((scale) => scale / count);
  const pairs = scales.flatMap((_, r) => [r, count - 1 - r]);
  const ofMaps: { [N in MapName]: object } = {
    rowsSum: { weights },
    coordinateMedian: { scales },
    trimmedMean: { f: (count - 1) >> 1 },
    meanAroundMedian: { kept: (count + 1) >> 1 },
    signSums: {},
  };
  const ofSums: { [N in SumName]: object } = {
    squaredNorms: {},
    dots: {},
    products: { reference: count >> 1 },
    differences: { pairs },
    otherProducts: { scales },
    signCounts: {},
  };
  const maps = (Object.keys(MAPS) as MapName[]).map((name) => engine.map(name, rows, ofMaps[name] as never));
  const names = (Object.keys(SUMS) as SumName[]).filter((name) => name !== "otherProducts" || count > 1);
  return [maps, names.map((name) => engine.sum(name, rows, ofSums[name] as never)), weights] as const;
}

function blendsOf(rows: Rows, count: number): Rows {
  const blend = (r: number) => ({ of: [r, (r * 7 + 3) % count], weights: [0.75, 0.25] });
  return blendRows(
    rows,
    Array.from({ length: count }, (_, r) => blend(r)),
  );
}

describe("rows in the memory of the kernel", () => {
  it("give the bits of rows that lie elsewhere, alone and among such, as they are and in blends", () => {
    const arena = new RowArena();
    const sizes = [
      ...[1, 15, 16, 17, 512, 1025, 4096, 4097, 9001].map((length) => [9, length] as const),
      ...[1, 2, 8, 16, 21].map((count) => [count, 4112] as const),
      [3, PIECE + 5000] as const,
    ];
    for (const [count, length] of sizes) {
      const outside = gaussianRows(count + length, count, length);
      const plain = plainRows(outside, length);
      const expected = everything(other, plain, count);
      const blended = everything(other, blendsOf(plain, count), count);
      const measured = other.measuredSum(plain, expected[2]);
      for (const isInside of [() => true, (r: number) => r % 3 === 1]) {
        const inside = plainRows(placed(arena, outside, isInside), length);
        const engine = new LocalEngine(arena.reducer);
        assert.deepEqual(everything(engine, inside, count), expected);
        assert.deepEqual(everything(engine, blendsOf(inside, count), count), blended);
        assert.deepEqual(engine.measuredSum(inside, expected[2]), measured);
        assert.deepEqual(inside.given, outside); // and are as they were
      }
    }
  });

  it("are read where they lie: nothing of a whole block is copied", () => {
    const arena = new RowArena();
    const rows = placed(arena, gaussianRows(1, 12, 4096), () => true);
    const { reducer } = arena;
    assert.ok(rows.every((row) => reducer.holds(row)));
    const first = rows[0][5];
    const copies = (): boolean => reducer.f32.subarray(0, rows[0].byteOffset / 4).includes(first);
    reducer.f32.fill(0, 0, 2 ** 15);
    new LocalEngine(reducer).measuredSum(plainRows(rows, 4096), new Array(12).fill(1));
    assert.equal(copies(), false);
    new LocalEngine(reducer).measuredSum(plainRows([rows[0].slice()], 4096), [1]);
    assert.equal(copies(), true);
  });

  it("show a value that is not finite wherever it stands, and leave no trace of it", () => {
    const arena = new RowArena();
    arena.open(1, 9001);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 1, 15, 4095, 4096, 8999, 9000]) {
        const row = arena.take();
        row[at] = bad;
        assert.equal(allFinite(arena.reducer, row), false);
        arena.wipe();
        assert.equal(allFinite(arena.reducer, arena.take()), true);
        arena.wipe();
      }
    }
  });

  it("outlast the wiping of the scratch", () => {
    const arena = new RowArena();
    const rows = gaussianRows(2, 4, 100);
    const inside = placed(arena, rows, () => true);
    new LocalEngine(arena.reducer).map("coordinateMedian", plainRows(inside, 100), {});
    arena.reducer.wipe();
    assert.deepEqual(inside, rows);
  });
});

describe("an arena", () => {
  it("gives the same rows again, overwritten, and takes no more memory for it", () => {
    const arena = new RowArena();
    arena.open(3, 1000);
    const memory = arena.reducer.f32.buffer;
    const takeAll = () => Array.from({ length: 3 }, () => arena.take());
    const before = new Set(takeAll().map((row) => row.fill(7).byteOffset));
    assert.equal(before.size, 3);
    for (const count of [3, 2, 1]) {
      arena.open(count, 1000);
      assert.equal(arena.reducer.f32.buffer, memory);
      const again = takeAll();
      assert.deepEqual(new Set(again.map((row) => row.byteOffset)), before);
      for (const row of again) assert.ok(row.every((value) => value === 0));
      for (const row of again) row.fill(9);
    }
  });

  it("wipes and detaches what is out where its memory has to grow", () => {
    const arena = new RowArena();
    arena.open(2, 100_000);
    const row = arena.take().fill(3);
    const memory = new Uint8Array(row.buffer);
    arena.open(20, 100_000);
    assert.equal(row.length, 0);
    assert.equal(memory.length, 0);
    const rows = Array.from({ length: 20 }, () => arena.take());
    for (const again of rows) assert.ok(arena.reducer.holds(again) && again.every((value) => value === 0));
  });

  it("keeps rows apart: what is written to one stands in no other", () => {
    const arena = new RowArena();
    arena.open(5, 1023);
    const rows = Array.from({ length: 5 }, () => arena.take());
    for (const [r, row] of rows.entries()) row.fill(r + 1);
    for (const [r, row] of rows.entries()) assert.ok(row.every((value) => value === r + 1));
  });

  it("gives rows elsewhere when those of the kernel are all out, and wipes them too", () => {
    const arena = new RowArena();
    arena.open(1, 10);
    const [inside, outside] = [arena.take().fill(1), arena.take().fill(2)];
    assert.deepEqual([arena.reducer.holds(inside), arena.reducer.holds(outside)], [true, false]);
    arena.wipe();
    assert.ok([...inside, ...outside].every((value) => value === 0));
    assert.equal(arena.take().byteOffset, inside.byteOffset);
  });

  it("goes on with rows elsewhere where there is no memory for them, with all scratch that is needed", () => {
    const arena = new RowArena();
    arena.open(1, 10);
    arena.open(2, 2 ** 30); // more than the kernel can address
    const rows = gaussianRows(3, 1000, 20);
    const products = new LocalEngine(arena.reducer).sum("products", plainRows(rows, 20), { reference: 0 });
    assert.equal(products.length, 1e6);
  });

  it("gives fewer rows inside where the machine has not memory for all, and all when it has again", (context) => {
    const arena = new RowArena();
    const { reserveRows } = Reducer.prototype;
    const reserve = context.mock.method(Reducer.prototype, "reserveRows", (scratchBytes: number, rowsBytes: number) => {
      if (rowsBytes > 2 ** 20) throw new RangeError("no memory");
      return reserveRows.call(arena.reducer, scratchBytes, rowsBytes);
    });
    const insideOf = (count: number): number => {
      arena.open(count, 50_000);
      return Array.from({ length: count }, () => arena.take()).filter((row) => arena.reducer.holds(row)).length;
    };
    assert.deepEqual([insideOf(12), insideOf(3)], [3, 3]);
    reserve.mock.restore();
    assert.equal(insideOf(12), 12);
  });

  it("gives a large memory up for a round that needs less than half of it", () => {
    const arena = new RowArena();
    arena.open(40, 500_000);
    const { reducer } = arena;
    arena.open(30, 500_000);
    assert.equal(arena.reducer, reducer);
    arena.open(5, 500_000);
    const row = arena.take();
    assert.ok(arena.reducer !== reducer && arena.reducer.holds(row));
    assert.ok(arena.reducer.f32.byteLength < 20e6, `${arena.reducer.f32.byteLength}`);
    assert.ok(row.every((value) => value === 0));
  });

  it("shows nothing in its rows of what was scratch before", () => {
    const arena = new RowArena();
    const engine = new LocalEngine(arena.reducer);
    engine.sum("products", plainRows(gaussianRows(5, 2000, 3), 3), { reference: 0 });
    arena.open(2, 1_000_000);
    const rows = [arena.take(), arena.take()];
    for (const row of rows) assert.ok(row.every((value) => value === 0));
    rows[0].fill(5);
    arena.reducer.wipe();
    assert.ok(rows[0].every((value) => value === 5));
  });

  it("leaves the scratch that reductions of all its rows need, and one row more", () => {
    const arena = new RowArena();
    let engine = new LocalEngine(arena.reducer);
    for (const count of [1, 9, 400]) {
      const inside = placed(arena, gaussianRows(count, count, 16), () => true);
      engine = new LocalEngine(arena.reducer);
      const more = withRow(plainRows(inside, 16), new Float32Array(16));
      everything(engine, more, count + 1);
      everything(engine, blendsOf(more, count + 1), count + 1);
    }
    const crowd = plainRows(gaussianRows(4, 4000, 1), 1);
    assert.throws(() => engine.sum("products", crowd, { reference: 0 }), /of scratch beside rows/);
  });
});
