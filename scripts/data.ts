// Makes data/fashion-mnist: a fixed, balanced part of Fashion-MNIST, small enough to ship with the package. Reads the
// four files of the full set from the folder given, by default where Debian's package dataset-fashion-mnist puts them.
// Usage: node scripts/data.ts [folder]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { concat, u32be } from "../src/core/bytes.ts";
import { parseIdx } from "../src/learning/idx.ts";
import { PseudoRandom } from "../src/math/random.ts";

const SOURCE = "/usr/share/datasets/fashion-mnist";
const TARGET = join(dirname(dirname(fileURLToPath(import.meta.url))), "data", "fashion-mnist");
const SEED = 1;
const CLASSES = 10;
const PARTS = [
  { name: "train", perClass: 600 },
  { name: "t10k", perClass: 100 },
];
const GZIP_OS_OFFSET = 9;
const GZIP_OS_UNKNOWN = 255;

/** Rows of a random part with so many examples a class, in random order. */
function chooseRows(labels: Uint8Array, perClass: number, random: PseudoRandom): Int32Array {
  const order = random.permutation(labels.length);
  const chosen = Array.from({ length: CLASSES }, (_, c) => order.filter((row) => labels[row] === c).slice(0, perClass));
  for (const rows of chosen) {
    if (rows.length !== perClass) throw new RangeError(`expected ${perClass} examples a class, got ${rows.length}`);
  }
  return random.shuffle(Int32Array.from(chosen.flatMap((rows) => [...rows])));
}

/** The rows of an IDX file, as an IDX file. */
function takeRows(file: Uint8Array, rows: Int32Array): Uint8Array {
  const { shape, data } = parseIdx(file);
  const rowBytes = data.length / shape[0];
  const header = concat(file.subarray(0, 4), u32be(rows.length), ...shape.slice(1).map(u32be));
  return concat(header, ...[...rows].map((row) => data.subarray(row * rowBytes, (row + 1) * rowBytes)));
}

/** zlib writes neither name nor time; the system's number is blanked, so that every system writes the same header. */
function compress(bytes: Uint8Array): Uint8Array {
  const packed = gzipSync(bytes, { level: 9 });
  packed[GZIP_OS_OFFSET] = GZIP_OS_UNKNOWN;
  return packed;
}

const source = process.argv[2] ?? SOURCE;
mkdirSync(TARGET, { recursive: true });
for (const { name, perClass } of PARTS) {
  const read = (file: string): Uint8Array => new Uint8Array(gunzipSync(readFileSync(join(source, file))));
  const imagesName = `${name}-images-idx3-ubyte.gz`;
  const labelsName = `${name}-labels-idx1-ubyte.gz`;
  const labels = read(labelsName);
  const rows = chooseRows(parseIdx(labels).data, perClass, new PseudoRandom(SEED, `fashion-mnist ${name}`));
  writeFileSync(join(TARGET, imagesName), compress(takeRows(read(imagesName), rows)));
  writeFileSync(join(TARGET, labelsName), compress(takeRows(labels, rows)));
  console.log(`${name}: ${rows.length} examples, ${perClass} a class`);
}
