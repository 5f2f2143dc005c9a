// One run, from the first model to the last: sample, train, lie, defend, add, measure.

import { defend } from "../aggregation/defence.ts";
import { QflareError } from "../core/error.ts";
import { initialParameters, parameterLayout } from "../learning/model.ts";
import { PseudoRandom } from "../math/random.ts";
import { Reducer } from "../math/reducer.ts";
import { isBackdoor, lies } from "./attacks.ts";
import { ROOT_DEVICE, sharedFloats, type Task, type TrainJob } from "./jobs.ts";
import { cohortOf, isEvaluated, liarsOf, type RunPlan } from "./plan.ts";
import type { Pool } from "./pool.ts";

export interface RoundRecord {
  readonly round: number;
  /** On the test examples, 0 to 1; null in a round that is not evaluated. */
  readonly accuracy: number | null;
  readonly loss: number | null;
  readonly backdoor: number | null;
  readonly accepted: number;
  readonly honest: number;
  readonly liars: number;
  /** Rejected by a filter, or not chosen by the rule. */
  readonly excludedLiars: number;
  readonly excludedHonest: number;
  /** Why the round gave no new model; null where it did. */
  readonly failure: string | null;
}

/** All that a run needs to go on. */
export interface Snapshot {
  readonly parameters: Float32Array;
  /** The last published delta. */
  readonly previous: Float32Array | undefined;
  readonly records: readonly RoundRecord[];
}

interface Trained {
  readonly device: number;
  readonly isLiar: boolean;
  readonly delta: Float32Array;
  readonly examples: number;
}

export class Run {
  readonly #plan: RunPlan;
  readonly #pool: Pool;
  readonly #reducer = new Reducer();
  readonly #liars: ReadonlySet<number>;
  readonly #layers: readonly number[];
  readonly #parameters: Float32Array;
  readonly #records: RoundRecord[];
  #previous: Float32Array | undefined;

  constructor(plan: RunPlan, pool: Pool, from?: Snapshot) {
    this.#plan = plan;
    this.#pool = pool;
    this.#liars = liarsOf(plan);
    this.#layers = parameterLayout(plan.model).map(({ length }) => length);
    const start = from?.parameters ?? initialParameters(plan.model, plan.seed);
    this.#parameters = sharedFloats(start.length);
    this.#parameters.set(start);
    this.#previous = from?.previous;
    this.#records = [...(from?.records ?? [])];
  }

  get snapshot(): Snapshot {
    return { parameters: this.#parameters.slice(), previous: this.#previous, records: [...this.#records] };
  }

  get isFinished(): boolean {
    return this.#records.length >= this.#plan.rounds;
  }

  async round(): Promise<RoundRecord> {
    const round = this.#records.length + 1;
    const { trained, root } = await this.#train(round);
    const record = { round, ...this.#defend(round, trained, root), ...(await this.#evaluate(round)) };
    this.#records.push(record);
    return record;
  }

  async #train(round: number): Promise<{ trained: Trained[]; root: Float32Array | undefined }> {
    const { model, training, devices, partition, examplesMax, rootExamples, seed, attack } = this.#plan;
    const members = cohortOf(this.#plan, round);
    if (rootExamples > 0) members.push(ROOT_DEVICE);
    const tasks = members.map((device, slot): Task => ({ device, slot, isLiar: this.#liars.has(device) }));
    const deltas = sharedFloats(tasks.length * this.#parameters.length);
    const job: Omit<TrainJob, "tasks"> = {
      ...{ kind: "train", model, training, devices, partition, examplesMax, rootExamples, seed, attack, round },
      parameters: this.#parameters,
      deltas,
    };
    const pieces = dealt(tasks, this.#pool.threads);
    const answers = await Promise.all(pieces.map((piece) => this.#pool.train({ ...job, tasks: piece })));
    const rowOf = (slot: number): Float32Array =>
      deltas.slice(slot * this.#parameters.length, (slot + 1) * this.#parameters.length);
    const all = pieces
      .flatMap((piece, p) => piece.map((task, i) => ({ ...task, examples: answers[p][i] })))
      .filter((task) => task.examples !== null)
      .sort((a, b) => a.slot - b.slot)
      .map(({ device, slot, isLiar, examples }) => ({ device, isLiar, delta: rowOf(slot), examples: examples! }));
    return {
      trained: all.filter(({ device }) => device !== ROOT_DEVICE),
      root: all.find(({ device }) => device === ROOT_DEVICE)?.delta,
    };
  }

  #defend(
    round: number,
    trained: readonly Trained[],
    root: Float32Array | undefined,
  ): Omit<RoundRecord, "round" | "accuracy" | "loss" | "backdoor"> {
    const honest = trained.filter(({ isLiar }) => !isLiar);
    const liars = trained.filter(({ isLiar }) => isLiar);
    const sent = [...honest, ...this.#lie(round, honest, liars, root)];
    const failed = { accepted: 0, honest: honest.length, liars: liars.length, excludedLiars: 0, excludedHonest: 0 };
    try {
      const { delta, accepted, reports } = this.#aggregate(sent, root);
      const isExcluded = (i: number): boolean => reports[i].verdict !== "accepted";
      const count = (from: number, to: number): number => {
        let excluded = 0;
        for (let i = from; i < to; i++) if (isExcluded(i)) excluded++;
        return excluded;
      };
      for (let i = 0; i < delta.length; i++) this.#parameters[i] += delta[i];
      this.#previous = delta;
      return {
        ...failed,
        accepted,
        excludedHonest: count(0, honest.length),
        excludedLiars: count(honest.length, sent.length),
        failure: null,
      };
    } catch (error) {
      if (!(error instanceof QflareError)) throw error;
      return { ...failed, failure: error.code };
    }
  }

  #lie(
    round: number,
    honest: readonly Trained[],
    liars: readonly Trained[],
    root: Float32Array | undefined,
  ): Trained[] {
    const { attack, seed } = this.#plan;
    // Without a liar there is nobody to lie, without an honest device nothing to know.
    if (liars.length === 0 || honest.length === 0) return [...liars];
    const told = lies(attack, {
      honest: honest.map(({ delta }) => delta),
      own: liars.map(({ delta }) => delta),
      previous: this.#previous,
      random: new PseudoRandom(seed, `lie ${round}`),
      aggregate: (tries) =>
        this.#tryAggregate([...honest, ...liars.map((liar, i) => ({ ...liar, delta: tries[i] }))], root),
    });
    return liars.map((liar, i) => ({ ...liar, delta: told[i] }));
  }

  #tryAggregate(sent: readonly Trained[], root: Float32Array | undefined): Float32Array | undefined {
    try {
      return this.#aggregate(sent, root).delta;
    } catch (error) {
      if (error instanceof QflareError) return undefined;
      throw error;
    }
  }

  #aggregate(sent: readonly Trained[], root: Float32Array | undefined): ReturnType<typeof defend> {
    return defend(this.#plan.rule.policy, sent, this.#parameters.length, {
      layers: this.#layers,
      reducer: this.#reducer,
      ...(root === undefined ? {} : { root }),
    });
  }

  async #evaluate(round: number): Promise<Pick<RoundRecord, "accuracy" | "loss" | "backdoor">> {
    if (!isEvaluated(this.#plan, round)) return { accuracy: null, loss: null, backdoor: null };
    const { model, attack } = this.#plan;
    const withBackdoor = isBackdoor(attack);
    return await this.#pool.evaluate({ kind: "evaluate", model, parameters: this.#parameters, withBackdoor });
  }
}

/** Dealt like cards, so that every piece is about as long. */
function dealt<T>(items: readonly T[], pieces: number): T[][] {
  const out: T[][] = Array.from({ length: Math.min(pieces, items.length) }, () => []);
  for (const [i, item] of items.entries()) out[i % out.length].push(item);
  return out;
}
