// The standard normal distribution.

/**
 * Its quantile function, for p in (0, 1): relative error below 1e-15. Rational start of Acklam ("An algorithm for
 * computing the inverse normal cumulative distribution function", 2003), then Halley's step on erfc.
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`Cannot take quantile: expected a number between 0 and 1, got ${p}`);
  let x = acklam(p);
  for (let step = 0; step < 2; step++) {
    const e = 0.5 * erfc(-x / Math.SQRT2) - p;
    const u = e * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
    x -= u / (1 + (x * u) / 2);
  }
  return x;
}

const A = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
];
const B = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
const C = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
];
const D = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
const TAIL = 0.02425;

function acklam(p: number): number {
  if (p > 1 - TAIL) return -acklam(1 - p);
  if (p < TAIL) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(C, q) / polynomial(D, q);
  }
  const q = p - 0.5;
  return (polynomial(A, q * q) * q) / polynomial(B, q * q);
}

/** Highest power first. */
function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
}

const SERIES_END = 3;

/** Complementary error function: Taylor series near zero, the continued fraction of Laplace beyond. */
function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < SERIES_END) return 1 - erfSeries(x);
  let fraction = 0;
  for (let k = 60; k >= 1; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

/** 2 / sqrt(pi) exp(-x^2) sum 2^k x^(2k+1) / (2k+1)!!: every term positive, so nothing cancels. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; term > sum * Number.EPSILON; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
