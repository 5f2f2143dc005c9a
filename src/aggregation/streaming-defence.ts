// What happens to an update of the preset streaming-mean as it comes: example count, weight cap, length, finite, norm
// cap, sum. Each is judged by itself and none is kept, so a round takes the memory of its sum however many come.

import { median } from "./batch.ts";
import { isCount, type Report, refused, requireUpdates } from "./defence.ts";
import type { Policy } from "./policy.ts";
import { specificationFor } from "./specification.ts";
import { type Pieces, StreamingMean } from "./streaming.ts";
import type { Specification } from "./table.ts";

/** Where nothing is known of the devices' data, all count alike. */
const WEIGHT_UNKNOWN = 1;

export class StreamingDefence {
  readonly specification: Specification;
  readonly #policy: Policy;
  readonly #weightMax: number;
  readonly #mean: StreamingMean;
  #accepted = 0;

  /**
   * length: values of the model. counts: example counts of the updates that the last round accepted. The weight cap
   * stands on their median, because the one of this round is known only when its updates are gone; with a median of
   * those so far, the order of arrival would decide what a claim weighs.
   */
  constructor(policy: Policy, length: number, counts: readonly number[]) {
    this.specification = specificationFor(policy.aggregation, counts.length);
    this.#policy = policy;
    this.#weightMax = counts.length === 0 ? WEIGHT_UNKNOWN : policy.weight_cap * median(counts);
    this.#mean = new StreamingMean(length, { normMax: policy.norm_max });
  }

  /** examples: as claimed. The verdict is final. */
  add(pieces: Pieces, examples: number): Report {
    if (!isCount(examples)) return refused("update.examples");
    const weight = Math.min(examples, this.#weightMax);
    const { norm, reason } = this.#mean.add(pieces, weight);
    if (reason !== null) return { ...refused(reason), norm };
    this.#accepted += 1;
    return { verdict: "accepted", reason: null, norm, cosine: null, score: null, weight };
  }

  /** Once. Throws aggregation.precondition where fewer updates were accepted than the policy promises. */
  finish(): Float32Array<ArrayBuffer> {
    requireUpdates(this.#policy, this.#accepted);
    return this.#mean.finish().delta;
  }

  /** Overwrites the sum, also where it has become the delta. */
  wipe(): void {
    this.#mean.wipe();
  }
}
