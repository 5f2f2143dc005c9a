// Judging each layer of the model by itself: a lie that is small in the whole update may be large in its layer.

import { QflareError } from "../core/error.ts";
import type { Engine } from "../math/engine.ts";
import { cutRows, plainRows } from "../math/rows.ts";
import { makeBatch, withWeights } from "./batch.ts";
import type { Batch, Combined, PreAggregator, Prepared, Rule, Weighted } from "./rule.ts";

interface Layer {
  readonly start: number;
  readonly end: number;
}

/** lengths: values of each layer, which must add up to those of an update. */
export function layersOf(lengths: readonly number[] | undefined, length: number): Layer[] {
  const layers: Layer[] = [];
  let end = 0;
  for (const size of lengths ?? []) {
    layers.push({ start: end, end: end + size });
    end += size;
  }
  if (end !== length || layers.some(({ start, end: stop }) => !(Number.isSafeInteger(stop) && stop > start))) {
    throw new QflareError("aggregation.input", `layerwise: expected layers of ${length} values, got ${end}`);
  }
  return layers;
}

/** An update is selected where it entered any layer; scores add up over the layers. */
export function combineLayers(
  rule: Rule<object>,
  engine: Engine,
  batch: Weighted,
  parameters: object,
  layers: readonly Layer[],
): Combined {
  const delta = new Float32Array(batch.rows.length);
  const selected = new Set<number>();
  const totals = new Array<number>(batch.members.length).fill(0);
  let isScored = false;
  for (const layer of layers) {
    const part = withWeights(layerOf(engine, batch, layer), batch.weights);
    const combined = rule.combine(engine, part, cutParameters(parameters, batch.rows.length, layer));
    delta.set(combined.delta, layer.start);
    for (const row of combined.selected) selected.add(row);
    for (const [row, score] of combined.scores?.entries() ?? []) totals[row] += score;
    isScored ||= combined.scores !== undefined;
  }
  const rows = [...selected].sort((a, b) => a - b);
  return isScored ? { delta, selected: rows, scores: totals } : { delta, selected: rows };
}

/** Writes the rows out: each layer is another blend of them. */
export function prepareLayers(
  before: PreAggregator<object>,
  engine: Engine,
  batch: Batch,
  parameters: object,
  layers: readonly Layer[],
): Prepared {
  const rows = batch.members.map(() => new Float32Array(batch.rows.length));
  for (const layer of layers) {
    const part = layerOf(engine, batch, layer);
    const prepared = before.prepare(engine, part, cutParameters(parameters, batch.rows.length, layer)).batch;
    for (const [row, out] of rows.entries()) {
      const weights = batch.members.map((_, other) => (other === row ? 1 : 0));
      out.set(engine.map("rowsSum", prepared.rows, { weights }), layer.start);
    }
  }
  return { batch: makeBatch(engine, plainRows(rows, batch.rows.length), batch.members), rejected: [] };
}

function layerOf(engine: Engine, batch: Batch, { start, end }: Layer): Batch {
  return makeBatch(engine, cutRows(batch.rows, start, end), batch.members);
}

/** A vector as long as an update is cut as the updates are. */
function cutParameters(parameters: object, length: number, { start, end }: Layer): object {
  const cut = (value: unknown): unknown =>
    value instanceof Float32Array && value.length === length ? value.subarray(start, end) : value;
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, cut(value)]));
}
