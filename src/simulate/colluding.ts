// Attacks of liars who know the honest updates and send all the same.

import { normalQuantile } from "../math/normal.ts";
import { along, innerProduct, type Scene, squaredDistance, statistics } from "./scene.ts";

/** Inner-product manipulation: -epsilon mean (Xie, Koyejo, Gupta, UAI 2019). */
export function ipm({ honest }: Scene, epsilon: number): Float32Array {
  const { mean } = statistics(honest);
  return Float32Array.from(mean, (value) => -epsilon * value);
}

/** "A little is enough": mean - z deviation (Baruch, Baruch, Goldberg, NeurIPS 2019). */
export function alie({ honest }: Scene, z: number): Float32Array {
  const { mean, deviation } = statistics(honest);
  return along(mean, -z, deviation);
}

/**
 * The z of the paper: so small that s honest devices, whom f liars need for a majority of n, lie further out. Zero
 * where the liars are too few to gain anything by it.
 */
export function alieZ(n: number, f: number): number {
  const s = Math.floor(n / 2 + 1) - f;
  const share = (n - f - s) / (n - f);
  return share > 0 && share < 1 ? Math.max(0, normalQuantile(share)) : 0;
}

/**
 * Min-Max (Shejwalkar and Houmansadr, NDSS 2021): mean + gamma direction with the largest gamma that leaves the lie no
 * farther from any honest update than the two most distant honest ones are from each other. direction: the negative
 * deviation. Each honest update bounds gamma by the larger root of a quadratic, so no search is needed.
 */
export function minMax({ honest }: Scene): Float32Array {
  const { mean, deviation } = statistics(honest);
  const direction = deviation.map((value) => -value);
  const gamma = minMaxGamma(honest, mean, direction);
  return along(mean, gamma, direction);
}

export function minMaxGamma(honest: readonly Float32Array[], mean: Float64Array, direction: Float64Array): number {
  const farthest = Math.max(...honest.flatMap((x, i) => honest.slice(0, i).map((y) => squaredDistance(x, y))));
  const a = innerProduct(direction, direction);
  if (a === 0 || honest.length < 2) return 0;
  const roots = honest.map((delta) => {
    const offset = mean.map((value, i) => value - delta[i]);
    return largerRoot(a, 2 * innerProduct(direction, offset), innerProduct(offset, offset) - farthest);
  });
  return Math.max(0, Math.min(...roots));
}

/**
 * Min-Sum (same paper): the sum of squared distances to the honest updates stays within the largest such sum of an
 * honest one.
 */
export function minSum({ honest }: Scene): Float32Array {
  const { mean, deviation } = statistics(honest);
  const direction = deviation.map((value) => -value);
  return along(mean, minSumGamma(honest, mean, direction), direction);
}

export function minSumGamma(honest: readonly Float32Array[], mean: Float64Array, direction: Float64Array): number {
  const sums = honest.map((x) => honest.reduce((sum, y) => sum + squaredDistance(x, y), 0));
  const spread = honest.reduce((sum, delta) => sum + squaredDistance(mean, delta), 0);
  const a = honest.length * innerProduct(direction, direction);
  return a === 0 ? 0 : Math.max(0, largerRoot(a, 0, spread - Math.max(...sums)));
}

/** Of a x^2 + b x + c, a > 0; the vertex where rounding leaves no root. */
function largerRoot(a: number, b: number, c: number): number {
  return (-b + Math.sqrt(Math.max(0, b * b - 4 * a * c))) / (2 * a);
}

const POWER_STEPS = 20;

/**
 * Mimic (Karimireddy, He, Jaggi, ICLR 2022): all send what one honest device sends, the one farthest out along the
 * direction in which honest updates differ most; its voice counts f times more.
 */
export function mimic({ honest, random }: Scene): Float32Array {
  const { mean } = statistics(honest);
  const centred = honest.map((delta) => mean.map((value, i) => delta[i] - value));
  let direction = mean.map(() => random.gaussian());
  for (let step = 0; step < POWER_STEPS; step++) {
    const next = new Float64Array(mean.length);
    for (const row of centred) {
      const weight = innerProduct(row, direction);
      for (let i = 0; i < next.length; i++) next[i] += weight * row[i];
    }
    const norm = Math.sqrt(innerProduct(next, next));
    if (norm === 0) break;
    direction = next.map((value) => value / norm);
  }
  const products = honest.map((delta) => innerProduct(delta, direction));
  return new Float32Array(honest[products.indexOf(Math.max(...products))]);
}

const EVALUATIONS = 20;
const FIRST_STEP = 10;
const SHRINK = 0.8;

/**
 * The lie of a family that moves the defence's result farthest from the honest mean (as ByzFL's optimal attacks): steps
 * that double while they gain, then ever smaller ones around the best.
 */
export function farthest(scene: Scene, family: (scene: Scene, factor: number) => Float32Array): Float32Array {
  const { mean } = statistics(scene.honest);
  const damage = (factor: number): number => {
    const lie = family(scene, factor);
    const result = scene.aggregate(scene.own.map(() => lie));
    return result === undefined ? Number.NEGATIVE_INFINITY : squaredDistance(result, mean);
  };
  let best = 0;
  let most = damage(best);
  let step = FIRST_STEP;
  let isGrowing = true;
  for (let evaluation = 1; evaluation < EVALUATIONS; evaluation++) {
    const tries = isGrowing ? best + step : best + (evaluation % 2 === 0 ? step : -Math.min(step, best));
    const found = damage(tries);
    if (found > most) {
      best = tries;
      most = found;
      step *= isGrowing ? 2 : 1;
    } else {
      isGrowing = false;
      step *= SHRINK;
    }
  }
  return family(scene, best);
}
