// A trainer that knows nothing of qflare: softmax regression over three clouds of points in plain JavaScript, with a
// reader and a writer of safetensors of its own. Its first argument says how it misbehaves.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";

const fault = process.argv[2] ?? "none";
const [INPUTS, CLASSES, EXAMPLES] = [3, 3, 30];

function readTensors(path) {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString("utf8"));
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets;
    const bytes = file.subarray(8 + headerBytes + start, 8 + headerBytes + end);
    const values = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
    tensors[name] = { shape: entry.shape, values };
  }
  return tensors;
}

/** Tensors in reverse order, with metadata as other frameworks write it. */
function writeTensors(path, tensors) {
  const header = { __metadata__: { format: "pt" } };
  const chunks = [];
  let offset = 0;
  for (const [name, { shape, values }] of Object.entries(tensors).reverse()) {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [i, value] of values.entries()) bytes.writeFloatLE(value, 4 * i);
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    chunks.push(bytes);
  }
  let json = JSON.stringify(header);
  json += " ".repeat((8 - (json.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, Buffer.from(json), ...chunks]));
}

/** Not random: each point is a little beside the corner of its class. */
function example(i) {
  const label = i % CLASSES;
  return { label, x: Array.from({ length: INPUTS }, (_, j) => (j === label ? 2 : 0) + 0.1 * Math.sin(7 * i + j)) };
}

function train(weight, bias, plan) {
  let loss = 0;
  for (let epoch = 0; epoch < plan.epochs; epoch++) {
    loss = 0;
    for (let i = 0; i < EXAMPLES; i++) {
      const { label, x } = example(i);
      const logits = bias.map((b, c) => x.reduce((sum, value, j) => sum + value * weight[c * INPUTS + j], b));
      const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
      loss += (Math.log(sum) - logits[label]) / EXAMPLES;
      for (let c = 0; c < CLASSES; c++) {
        const slope = plan.learning_rate * (Math.exp(logits[c]) / sum - Number(c === label));
        bias[c] -= slope;
        for (let j = 0; j < INPUTS; j++) weight[c * INPUTS + j] -= slope * x[j];
      }
    }
  }
  return loss;
}

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

if (fault === "deaf") setInterval(() => undefined, 1000);
for await (const line of createInterface({ input: process.stdin })) {
  const { job, model, result, plan } = JSON.parse(line);
  const tensors = readTensors(model);
  const loss = train(tensors["0.weight"].values, tensors["0.bias"].values, plan);
  if (fault === "shape") tensors["0.bias"].shape = [1, CLASSES];
  if (fault === "nan") tensors["0.bias"].values[0] = Number.NaN;
  if (fault === "name") {
    tensors["fc.bias"] = tensors["0.bias"];
    delete tensors["0.bias"];
  }
  if (fault === "crash") {
    console.error("out of memory, as it were");
    process.exit(3);
  }
  if (fault === "tell") console.error(`folder ${dirname(result)}`);
  if (fault === "silence" || fault === "deaf") continue;
  if (fault === "flood") process.stdout.write("x".repeat(200_000));
  if (fault === "prose") process.stdout.write("epoch 1 done\n");
  if (fault !== "file") writeTensors(result, tensors);
  if (fault === "job") say({ job: job + 1, examples: EXAMPLES, loss });
  else if (fault === "examples") say({ job, examples: 0.5, loss });
  else say({ job, examples: EXAMPLES, loss });
  if (fault === "twice") say({ job, examples: EXAMPLES, loss });
}
