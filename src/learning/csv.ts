// CSV as a data set: a header, one label column, numbers in every other. RFC 4180 quoting, lines end in LF or CRLF.
// Nothing is guessed: a row of another width, a missing value or a stray quote is refused with its line.

import { fromUtf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { createDataset, type Dataset } from "./dataset.ts";

export interface CsvOptions {
  readonly labelColumn: string;
  /** Classes in order; by default the labels that occur, sorted. Devices must agree on them. */
  readonly classNames?: readonly string[];
  /** By default measured on the rows read. Devices must agree on it. */
  readonly standardisation?: Standardisation;
}

/** A feature becomes (value - mean) / deviation; one entry a feature column. */
export interface Standardisation {
  readonly means: readonly number[];
  readonly deviations: readonly number[];
}

export interface CsvDataset {
  readonly dataset: Dataset;
  readonly classNames: readonly string[];
  readonly featureNames: readonly string[];
  readonly standardisation: Standardisation;
}

interface Row {
  /** Where the row begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

const FIELD = /"((?:[^"]+|"")*)"|([^",\r\n]*)/y;
const DELIMITER = /,|\r?\n/y;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127; // its square is finite in double precision
const SHOWN_LENGTH_MAX = 40;

function refuse(line: number, expectation: string): never {
  throw new QflareError("data.malformed", `line ${line}: ${expectation}`);
}

function show(text: string): string {
  return JSON.stringify(text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX)}...`);
}

/** bytes: a whole file in UTF-8. */
export function datasetFromCsv(bytes: Uint8Array, options: CsvOptions): CsvDataset {
  const [header, ...rows] = parseRows(decode(bytes));
  const labelIndex = findLabel(header, options.labelColumn);
  checkWidths(header, rows);
  const featureNames = header.fields.filter((_, i) => i !== labelIndex);
  const features = readFeatures(rows, header, labelIndex);
  const classNames = options.classNames ?? [...new Set(rows.map(({ fields }) => fields[labelIndex]))].sort();
  const labels = readLabels(rows, labelIndex, classNames);
  const standardisation = options.standardisation ?? measure(features, featureNames.length);
  const dataset = createDataset(standardise(features, standardisation, featureNames.length), labels, classNames.length);
  return { dataset, classNames, featureNames, standardisation };
}

function decode(bytes: Uint8Array): string {
  if (bytes.length > LIMITS.csvBytesMax) {
    throw new QflareError("data.malformed", `expected at most ${LIMITS.csvBytesMax} bytes, got ${bytes.length}`);
  }
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new QflareError("data.malformed", "expected CSV in UTF-8", { cause });
  }
}

function parseRows(text: string): Row[] {
  const rows: Row[] = [];
  let position = 0;
  let line = 1;
  while (position < text.length) {
    const { fields, end } = parseRow(text, position, line);
    rows.push({ line, fields });
    line += countLineEnds(text, position, end);
    position = end;
  }
  if (rows.length < 2) refuse(line, "expected a header and at least one row");
  return rows;
}

/** end: where the next row begins. */
function parseRow(text: string, start: number, line: number): { fields: string[]; end: number } {
  const fields: string[] = [];
  let position = start;
  for (;;) {
    FIELD.lastIndex = position;
    const field = FIELD.exec(text)!; // the second form matches everywhere, at worst the empty text
    fields.push(field[1] === undefined ? field[2] : field[1].replaceAll('""', '"'));
    position += field[0].length;
    if (position === text.length) return { fields, end: position };
    DELIMITER.lastIndex = position;
    const delimiter = DELIMITER.exec(text)?.[0];
    if (delimiter === undefined) {
      const at = line + countLineEnds(text, start, position);
      refuse(at, `expected a comma or the end of the line behind field ${fields.length}, got ${show(text[position])}`);
    }
    position += delimiter.length;
    if (delimiter !== ",") return { fields, end: position };
  }
}

function countLineEnds(text: string, start: number, end: number): number {
  let count = 0;
  for (let i = text.indexOf("\n", start); i !== -1 && i < end; i = text.indexOf("\n", i + 1)) count++;
  return count;
}

function findLabel(header: Row, labelColumn: string): number {
  const { line, fields } = header;
  const twice = fields.find((name, i) => fields.indexOf(name) !== i);
  if (twice !== undefined) refuse(line, `expected every column name once, got ${show(twice)} twice`);
  const index = fields.indexOf(labelColumn);
  if (index === -1) refuse(line, `expected a column ${show(labelColumn)}`);
  if (fields.length < 2) refuse(line, "expected at least one column beside the label");
  return index;
}

function checkWidths(header: Row, rows: readonly Row[]): void {
  const width = header.fields.length;
  for (const { line, fields } of rows) {
    if (fields.length !== width) refuse(line, `expected ${width} fields, got ${fields.length}`);
  }
}

/** rows x features, as they stand in the file. */
function readFeatures(rows: readonly Row[], header: Row, labelIndex: number): Float64Array {
  const out = new Float64Array(rows.length * (header.fields.length - 1));
  let i = 0;
  for (const { line, fields } of rows) {
    for (let j = 0; j < fields.length; j++) {
      if (j !== labelIndex) out[i++] = readNumber(fields[j], line, header.fields[j]);
    }
  }
  return out;
}

function readNumber(field: string, line: number, column: string): number {
  const value = NUMBER.test(field) ? Number(field) : Number.NaN;
  if (Math.abs(value) <= FLOAT32_MAX) return value;
  return refuse(line, `expected a number in column ${show(column)}, got ${show(field)}`);
}

function readLabels(rows: readonly Row[], labelIndex: number, classNames: readonly string[]): Int32Array<ArrayBuffer> {
  const classOf = new Map(classNames.map((name, i) => [name, i]));
  if (classOf.size < 2) refuse(rows[0].line, `expected two or more classes, got ${classOf.size}`);
  if (classOf.size > LIMITS.classesMax) {
    refuse(rows[0].line, `expected at most ${LIMITS.classesMax} classes, got ${classOf.size}`);
  }
  return Int32Array.from(rows, ({ line, fields }) => {
    const label = classOf.get(fields[labelIndex]);
    return label ?? refuse(line, `expected one of the ${classOf.size} classes, got ${show(fields[labelIndex])}`);
  });
}

/** Of the population, in two passes; a column that does not vary has deviation 1. */
function measure(features: Float64Array, columns: number): Standardisation {
  const rows = features.length / columns;
  const means = new Array<number>(columns).fill(0);
  const squares = new Array<number>(columns).fill(0);
  for (let i = 0; i < features.length; i++) means[i % columns] += features[i] / rows;
  for (let i = 0; i < features.length; i++) squares[i % columns] += (features[i] - means[i % columns]) ** 2 / rows;
  return { means, deviations: squares.map((square) => Math.sqrt(square) || 1) };
}

function standardise(features: Float64Array, by: Standardisation, columns: number): Float32Array<ArrayBuffer> {
  if (by.means.length !== columns || by.deviations.length !== columns) {
    throw new RangeError(`Cannot standardise: expected constants of ${columns} columns, got ${by.means.length}`);
  }
  const out = new Float32Array(
    features.map((value, i) => (value - by.means[i % columns]) / by.deviations[i % columns]),
  );
  if (out.every((value) => Number.isFinite(value))) return out;
  throw new QflareError("data.malformed", "expected values that are finite once standardised");
}
