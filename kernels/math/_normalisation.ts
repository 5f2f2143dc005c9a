// Normalisation of groups of channels, channels last: the elements of a group are, at each position, a run of
// channels / groups neighbours. One group is layer normalisation. Sums accumulate in float64.

import { at, multiplyAdd } from "./_simd";

/** normalised = (x - mean) * inverse deviation, each group of each example by itself; deviations: rows x groups. */
export function normalise(
  rows: i32,
  positions: i32,
  channels: i32,
  groups: i32,
  epsilon: f32,
  x: usize,
  normalised: usize,
  deviations: usize,
): void {
  const run = channels / groups;
  const count = <f64>(positions * run);
  for (let i = 0; i < rows; i++) {
    for (let g = 0; g < groups; g++) {
      const start = i * positions * channels + g * run;
      const mean = sumOf(positions, channels, run, at(x, start)) / count;
      const variance = squaresOf(positions, channels, run, mean, at(x, start)) / count;
      const inverse: f64 = 1 / sqrt(variance + <f64>epsilon);
      store<f32>(at(deviations, i * groups + g), <f32>inverse);
      for (let p = 0; p < positions; p++) {
        for (let c = 0; c < run; c++) {
          const place = start + p * channels + c;
          store<f32>(at(normalised, place), <f32>((<f64>load<f32>(at(x, place)) - mean) * inverse));
        }
      }
    }
  }
}

function sumOf(positions: i32, channels: i32, run: i32, x: usize): f64 {
  let sum: f64 = 0;
  for (let p = 0; p < positions; p++) {
    for (let c = 0; c < run; c++) sum += <f64>load<f32>(at(x, p * channels + c));
  }
  return sum;
}

function squaresOf(positions: i32, channels: i32, run: i32, mean: f64, x: usize): f64 {
  let sum: f64 = 0;
  for (let p = 0; p < positions; p++) {
    for (let c = 0; c < run; c++) {
      const off = <f64>load<f32>(at(x, p * channels + c)) - mean;
      sum += off * off;
    }
  }
  return sum;
}

/** gradient: dL/d normalised in, dL/dx out: (d - mean(d) - normalised * mean(d * normalised)) * inverse deviation. */
export function normaliseBackward(
  rows: i32,
  positions: i32,
  channels: i32,
  groups: i32,
  normalised: usize,
  deviations: usize,
  gradient: usize,
): void {
  const run = channels / groups;
  const count = <f64>(positions * run);
  for (let i = 0; i < rows; i++) {
    for (let g = 0; g < groups; g++) {
      const start = i * positions * channels + g * run;
      const mean = sumOf(positions, channels, run, at(gradient, start)) / count;
      let products: f64 = 0;
      for (let p = 0; p < positions; p++) {
        for (let c = 0; c < run; c++) {
          const place = start + p * channels + c;
          products += <f64>load<f32>(at(gradient, place)) * <f64>load<f32>(at(normalised, place));
        }
      }
      const slope = products / count;
      const inverse = <f64>load<f32>(at(deviations, i * groups + g));
      for (let p = 0; p < positions; p++) {
        for (let c = 0; c < run; c++) {
          const place = start + p * channels + c;
          const d = <f64>load<f32>(at(gradient, place)) - mean - <f64>load<f32>(at(normalised, place)) * slope;
          store<f32>(at(gradient, place), <f32>(d * inverse));
        }
      }
    }
  }
}

/** y = x * scale + shift; the rows of x and y are as long as scale and shift. */
export function scaleRows(rows: i32, columns: i32, x: usize, scale: usize, shift: usize, y: usize): void {
  for (let i = 0; i < rows; i++) {
    multiplyAdd(columns, x, scale, shift, y);
    x = at(x, columns);
    y = at(y, columns);
  }
}

/** sums (columns) += the products x * y of the rows, added up. */
export function addProducts(rows: i32, columns: i32, x: usize, y: usize, sums: usize): void {
  for (let i = 0; i < rows; i++) {
    multiplyAdd(columns, x, y, sums, sums);
    x = at(x, columns);
    y = at(y, columns);
  }
}
