// Divide and conquer. Drops the updates that lie farthest out along the direction in which all differ most: that is
// where colluding liars pull.

import { QflareError } from "../../core/error.ts";
import { LIMITS } from "../../core/limits.ts";
import { float, uint } from "../../core/shape.ts";
import type { Engine } from "../../math/engine.ts";
import { squaredDistances } from "../../math/pairs.ts";
import { PseudoRandom } from "../../math/random.ts";
import type { Rows } from "../../math/rows.ts";
import { ascending, everyRow, meanOf, seedOf } from "../batch.ts";
import { atLeastPaired, liars, orNamed } from "../parameter.ts";
import type { Batch, Rule } from "../rule.ts";
import { optional } from "../rule.ts";
import { mainDirection } from "../spectral.ts";

export interface DncParameters {
  readonly f: number;
  readonly c?: number;
  readonly iterations?: number;
  readonly coordinates?: number | "all";
}

export const dnc: Rule<DncParameters> = {
  name: "dnc",
  summary:
    "Mean without the floor(c f) updates farthest along the main direction of a draw of coordinates, of all draws.",
  source: "Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021",
  parameters: {
    f: liars(),
    c: optional(float(0, 100), "how many are dropped for each liar; 1 where absent"),
    iterations: optional(uint(1, 100), "draws; an update stays if every draw keeps it; 1 where absent"),
    coordinates: optional(
      orNamed(uint(1, LIMITS.parametersMax), "all"),
      "coordinates a draw, from the last digits of all norms; all where absent",
    ),
  },
  weights: "ignored",
  layerwise: true,
  complexity: "n^2 D, or n^2 coordinates for each draw",
  limits: "Lies across the main direction: single free riders, labels flipped where the devices' data differ.",
  requirement: ({ f, c = 1 }) => {
    const dropped = Math.floor(c * f);
    return atLeastPaired(Math.max(2 * f, dropped) + 1, "n > 2f and n > c f");
  },
  combine: (engine, batch, { f, c = 1, iterations = 1, coordinates = "all" }) => {
    const kept = batch.members.length - Math.floor(c * f);
    const random = new PseudoRandom(seedOf(batch.norms), "dnc");
    let selected = everyRow(batch);
    let scores: number[] = [];
    for (let i = 0; i < iterations; i++) {
      const rows = coordinates === "all" ? batch.rows : drawn(batch.rows, coordinates, random);
      scores = partsOf(engine, batch, rows);
      const nearest = new Set(ascending(scores).slice(0, kept));
      selected = selected.filter((row) => nearest.has(row));
    }
    if (selected.length === 0) {
      throw new QflareError("aggregation.precondition", "dnc: no update was kept by every draw");
    }
    return { delta: meanOf(engine, batch, selected), selected, scores };
  },
};

function partsOf(engine: Engine, batch: Batch, rows: Rows): number[] {
  const distances = squaredDistances(engine, rows, batch.norms);
  return [
    ...mainDirection(
      distances,
      everyRow(batch).map(() => 1),
    ).squaredParts,
  ];
}

/** The same rows in count of their coordinates, drawn without replacement (Floyd's sampling). */
function drawn(rows: Rows, count: number, random: PseudoRandom): Rows {
  if (count >= rows.length) return rows;
  const chosen = new Set<number>();
  for (let top = rows.length - count; top < rows.length; top++) {
    const index = random.below(top + 1);
    chosen.add(chosen.has(index) ? top : index);
  }
  const columns = [...chosen].sort((a, b) => a - b);
  return { ...rows, given: rows.given.map((row) => Float32Array.from(columns, (i) => row[i])), length: count };
}
