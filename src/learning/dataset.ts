// A labelled data set in memory: one row of features and one class an example.

export interface Dataset {
  /** count x inputs, an example a row. */
  readonly features: Float32Array<ArrayBuffer>;
  /** count, each in [0, classes). */
  readonly labels: Int32Array<ArrayBuffer>;
  readonly count: number;
  readonly inputs: number;
  readonly classes: number;
}

/** Checks that the parts fit; the arrays are not copied. */
export function createDataset(
  features: Float32Array<ArrayBuffer>,
  labels: Int32Array<ArrayBuffer>,
  classes: number,
): Dataset {
  const count = labels.length;
  const inputs = features.length / count;
  if (!Number.isInteger(inputs) || inputs < 1) {
    throw new RangeError(`Cannot make data set: expected ${count} rows of features, got ${features.length} values`);
  }
  const stray = labels.findIndex((label) => label < 0 || label >= classes);
  if (stray !== -1) {
    throw new RangeError(`Cannot make data set: expected labels below ${classes}, got ${labels[stray]}`);
  }
  return { features, labels, count, inputs, classes };
}

/** A copy of the examples at rows, in that order. */
export function selectRows(dataset: Dataset, rows: Int32Array): Dataset {
  const features = new Float32Array(rows.length * dataset.inputs);
  const labels = new Int32Array(rows.length);
  gatherRows(dataset, rows, features, labels);
  return { ...dataset, features, labels, count: rows.length };
}

/** Copies the examples at rows to the start of features and labels. */
export function gatherRows(dataset: Dataset, rows: Int32Array, features: Float32Array, labels: Int32Array): void {
  const { inputs } = dataset;
  for (let i = 0; i < rows.length; i++) {
    const start = rows[i] * inputs;
    features.set(dataset.features.subarray(start, start + inputs), i * inputs);
    labels[i] = dataset.labels[rows[i]];
  }
}

/** How many examples each class has. */
export function classCounts(dataset: Dataset): Int32Array<ArrayBuffer> {
  const counts = new Int32Array(dataset.classes);
  for (const label of dataset.labels) counts[label]++;
  return counts;
}
