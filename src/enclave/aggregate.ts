// From the opened updates of a round to a new model and verdicts.

import { defend, type Report } from "../aggregation/defence.ts";
import { type Policy as Defence, readPolicy } from "../aggregation/policy.ts";
import { choiceText } from "../aggregation/specification.ts";
import { StreamingDefence } from "../aggregation/streaming-defence.ts";
import type { Specification } from "../aggregation/table.ts";
import { QflareError } from "../core/error.ts";
import { parseJson } from "../core/json.ts";
import { layersOfModel } from "../wire/model.ts";
import type { Policy } from "../wire/policy.ts";
import type { Verdict } from "../wire/report.ts";
import type { EnclaveRound, KeptUpdate } from "./round.ts";

export interface Outcome {
  readonly model: Uint8Array<ArrayBuffer>;
  /** In the order of device ids. */
  readonly verdicts: Verdict[];
  /** What was run, in JSON. */
  readonly aggregation: string;
}

const NOT_JUDGED = { weight: 0, norm: null, cosine: null, score: null } as const;

/** Throws config.invalid for a rule or bound that this enclave does not know: the run then never opens. */
export function readDefence(policy: Policy): Defence {
  const { norm_max, weight_cap, updates_min } = policy;
  return readPolicy({ aggregation: readJson(policy.aggregation), norm_max, weight_cap, updates_min });
}

function readJson(json: string): unknown {
  try {
    return parseJson(json);
  } catch (cause) {
    throw new QflareError("config.invalid", "the aggregation is not JSON with every key once", { cause });
  }
}

/**
 * What takes the updates of a round one by one, for the preset that needs no more than their sum.
 * last: verdicts of the round before, empty where there is none.
 */
export function streamingDefence(
  defence: Defence,
  parameters: number,
  last: readonly Verdict[],
): StreamingDefence | undefined {
  if (defence.aggregation.rule !== "streaming-mean") return undefined;
  const accepted = last.filter(({ verdict }) => verdict === "accepted");
  return new StreamingDefence(
    defence,
    parameters,
    accepted.map(({ examples }) => examples),
  );
}

/** Throws aggregation.precondition where fewer updates stand than the policy promises. */
export function aggregateRound(round: EnclaveRound, defence: Defence): Outcome {
  const { delta, specification, verdicts } =
    round.streaming === undefined ? defended(round, defence) : streamed(round, round.streaming);
  return { model: round.end(delta), verdicts, aggregation: choiceText(specification) };
}

interface Judged extends Pick<Outcome, "verdicts"> {
  readonly delta: Float32Array;
  readonly specification: Specification;
}

function streamed({ updates }: EnclaveRound, streaming: StreamingDefence): Judged {
  const verdicts = updates.map((update) => verdictOf(update, update.report));
  return { delta: streaming.finish(), specification: streaming.specification, verdicts };
}

function defended(round: EnclaveRound, defence: Defence): Judged {
  const kept = round.updates;
  const readable = kept.filter((update) => update.delta !== undefined);
  const updates = readable.map((update) => ({ delta: update.delta!, examples: update.examples }));
  const layers = isLayerwise(defence) ? { layers: layersOfModel(round.head) } : {};
  const options = { ...layers, reducer: round.rows.reducer };
  const { delta, specification, reports } = defend(defence, updates, round.base.length, options);
  const verdicts = kept.map((update) => verdictOf(update, reports[readable.indexOf(update)]));
  return { delta, specification, verdicts };
}

function isLayerwise({ aggregation }: Defence): boolean {
  const steps = "before" in aggregation ? (aggregation.before ?? []) : [];
  return [aggregation, ...steps].some((step) => "layerwise" in step && step.layerwise === true);
}

/** report: undefined for an update that did not open. */
function verdictOf(update: KeptUpdate, report: Report | undefined): Verdict {
  const common = { device_id: new Uint8Array(update.deviceId), examples: update.examples };
  if (report === undefined) {
    return { ...common, verdict: "rejected", reason: update.reason ?? null, ...NOT_JUDGED };
  }
  const { verdict, reason, weight, norm, cosine, score } = report;
  return { ...common, verdict, reason, weight, norm, cosine, score };
}
