import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { QflareError } from "../../../src/core/error.ts";
import { classCounts, createDataset, type Dataset, selectRows } from "../../../src/learning/dataset.ts";
import { type Partition, parsePartition, partition } from "../../../src/learning/partition.ts";

function labelled(count: number, classes: number): Dataset {
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  return createDataset(new Float32Array(count), labels, classes);
}

const ways: fc.Arbitrary<Partition> = fc.oneof(
  fc.constant<Partition>({ kind: "iid" }),
  fc.double({ min: 0.001, max: 100, noNaN: true }).map((alpha): Partition => ({ kind: "dirichlet", alpha })),
  fc.integer({ min: 1, max: 5 }).map((shardsPerDevice): Partition => ({ kind: "shards", shardsPerDevice })),
);

/** Mean over devices of the share that their most frequent class has: 1 / classes is even, 1 is one class each. */
function skew(dataset: Dataset, parts: readonly Int32Array[]): number {
  const shares = parts.map((rows) => Math.max(...classCounts(selectRows(dataset, rows))) / rows.length);
  return shares.reduce((a, b) => a + b) / shares.length;
}

describe("partition", () => {
  it("gives every example to exactly one device and something to every device, the same for the same seed", () => {
    const sizes = fc
      .integer({ min: 1, max: 200 })
      .chain((count) => fc.tuple(fc.constant(count), fc.integer({ min: 1, max: count })));
    fc.assert(
      fc.property(sizes, ways, fc.nat(), ([count, devices], how, seed) => {
        const dataset = labelled(count, 4);
        const parts = partition(dataset, devices, how, seed);
        assert.equal(parts.length, devices);
        assert.ok(parts.every((rows) => rows.length > 0));
        const rows = parts.flatMap((part) => [...part]).sort((a, b) => a - b);
        assert.deepEqual(
          rows,
          Array.from({ length: count }, (_, i) => i),
        );
        assert.deepEqual(partition(dataset, devices, how, seed), parts);
      }),
    );
  });

  it("is even where iid, and the more skewed the smaller alpha is", () => {
    const dataset = labelled(6000, 10);
    const of = (text: string) => partition(dataset, 10, parsePartition(text), 1);
    assert.ok(of("iid").every((rows) => rows.length === 600));
    const skews = ["iid", "dirichlet:10", "dirichlet:0.5", "dirichlet:0.05"].map((text) => skew(dataset, of(text)));
    assert.ok(skews[0] < 0.14, String(skews));
    assert.ok(skews[3] > 0.6, String(skews));
    assert.deepEqual(
      skews,
      skews.toSorted((a, b) => a - b),
    );
  });

  it("gives a device no more classes than shards touch", () => {
    const dataset = labelled(6000, 10);
    for (const rows of partition(dataset, 10, parsePartition("shards:2"), 1)) {
      assert.equal(rows.length, 600);
      assert.ok(classCounts(selectRows(dataset, rows)).filter((count) => count > 0).length <= 2);
    }
  });

  it("is read from its name, and nothing else is", () => {
    assert.deepEqual(parsePartition("iid"), { kind: "iid" });
    assert.deepEqual(parsePartition("dirichlet:0.3"), { kind: "dirichlet", alpha: 0.3 });
    assert.deepEqual(parsePartition("shards:2"), { kind: "shards", shardsPerDevice: 2 });
    const wrong = [
      "",
      "iid:1",
      "dirichlet",
      "dirichlet:",
      "dirichlet:0",
      "dirichlet:-1",
      "dirichlet:1e3",
      "dirichlet:1:2",
    ];
    for (const text of [...wrong, "shards:0", "shards:1.5", "shards:2000", "constructor"]) {
      assert.throws(
        () => parsePartition(text),
        (error) => error instanceof QflareError && error.code === "config.invalid",
      );
    }
  });

  it("refuses more devices than examples", () => {
    assert.throws(() => partition(labelled(3, 2), 4, { kind: "iid" }, 1), RangeError);
  });
});
