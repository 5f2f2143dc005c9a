// IDX, the format of MNIST and its relatives (LeCun, Cortes, Burges, "The MNIST database"): two zero bytes, the type of
// an element, the number of dimensions, each size as u32, then the elements; all big-endian. Unsigned bytes only.

import { readU32be } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { createDataset, type Dataset } from "./dataset.ts";

export interface Idx {
  readonly shape: readonly number[];
  /** A view of the bytes read. */
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 0x08;
const DIMENSIONS_MAX = 4;

// Mean and deviation of the pixels of Fashion-MNIST's 60,000 training images. Constants, never measured on a device's
// own images: all devices must feed the model alike. Standardised pixels train better than those from 0 to 1 (+1 to 2
// points of accuracy after ten rounds of bench/rounds.ts).
const PIXEL_MAX = 255;
const PIXEL_MEAN = 0.286;
const PIXEL_DEVIATION = 0.353;

function refuse(expectation: string): never {
  throw new QflareError("data.malformed", expectation);
}

/** bytes: a whole file, not compressed. */
export function parseIdx(bytes: Uint8Array): Idx {
  if (bytes.length > LIMITS.datasetBytesMax) {
    refuse(`expected IDX of at most ${LIMITS.datasetBytesMax} bytes, got ${bytes.length}`);
  }
  const dimensions = bytes[3];
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0) refuse("expected IDX, which begins with two zero bytes");
  if (bytes[2] !== UNSIGNED_BYTE) refuse(`expected IDX of unsigned bytes (type 8), got type ${bytes[2]}`);
  if (dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    refuse(`expected IDX of 1 to ${DIMENSIONS_MAX} dimensions, got ${dimensions}`);
  }
  const header = 4 + 4 * dimensions;
  if (bytes.length < header) refuse(`expected an IDX header of ${header} bytes, got ${bytes.length}`);
  const shape = Array.from({ length: dimensions }, (_, i) => readU32be(bytes, 4 + 4 * i));
  const length = shape.reduce((a, b) => a * b); // at most 2^128: a float holds the magnitude, and that is compared
  if (bytes.length - header !== length) {
    refuse(`expected ${length} bytes behind the IDX header (${shape.join(" x ")}), got ${bytes.length - header}`);
  }
  return { shape, data: bytes.subarray(header) };
}

/** images: count x height x width, labels: count. Pixels become features (pixel / 255 - 0.286) / 0.353. */
export function datasetFromIdx(images: Uint8Array, labels: Uint8Array, classes: number): Dataset {
  const pixels = parseIdx(images);
  const classOf = parseIdx(labels);
  if (pixels.shape.length < 2) refuse(`expected images of 2 or more dimensions, got ${pixels.shape.length}`);
  if (classOf.shape.length !== 1) refuse(`expected labels of 1 dimension, got ${classOf.shape.length}`);
  if (pixels.shape[0] !== classOf.shape[0]) {
    refuse(`expected as many labels as images, got ${classOf.shape[0]} and ${pixels.shape[0]}`);
  }
  if (pixels.data.length === 0) refuse("expected at least one image of at least one pixel");
  const stray = classOf.data.findIndex((label) => label >= classes);
  if (stray !== -1) refuse(`expected labels below ${classes}, got ${classOf.data[stray]} at index ${stray}`);
  return createDataset(featuresOf(pixels.data), Int32Array.from(classOf.data), classes);
}

/** By a loop over a table: Float32Array.from with a function took each device 0.6 s of its start. */
function featuresOf(pixels: Uint8Array): Float32Array<ArrayBuffer> {
  const table = new Float32Array(PIXEL_MAX + 1);
  for (let pixel = 0; pixel < table.length; pixel++) table[pixel] = (pixel / PIXEL_MAX - PIXEL_MEAN) / PIXEL_DEVIATION;
  const features = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) features[i] = table[pixels[i]];
  return features;
}
