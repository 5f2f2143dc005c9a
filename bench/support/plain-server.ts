// Coordinator without any security, for bench/security-cost.ts: plain HTTP, everything in memory, the same rule. Prints
// "port <n>", then "ms <from the last round that warms up to the last>".
//
//   node plain-server.ts <devices> <rounds> <local passes> <rounds that warm up>

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { defend } from "../../src/aggregation/defence.ts";
import { readPolicy } from "../../src/aggregation/policy.ts";
import { bytesFromFloats, floatsFromBytes } from "../../src/core/floats.ts";
import { DEFAULT_MODEL, DEFAULT_PLAN } from "../../src/learning/defaults.ts";
import { initialParameters } from "../../src/learning/model.ts";

const [devices, rounds, epochs, warmUp] = process.argv.slice(2).map(Number) as [number, number, number, number];
const plan = JSON.stringify({ ...DEFAULT_PLAN, epochs });
let parameters = initialParameters(DEFAULT_MODEL, 1);
let round = 1;
let waiting: ServerResponse[] = [];
let updates: { delta: Float32Array; examples: number }[] = [];
const published: number[] = [];

const server = createServer((request, response) => {
  if (request.method === "GET") {
    waiting.push(response);
    if (waiting.length === devices) release();
    return;
  }
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    updates.push({ delta: floatsFromBytes(new Uint8Array(Buffer.concat(pieces))), examples: 600 });
    response.end();
    if (updates.length === devices) publish();
  });
});

function release(): void {
  for (const response of waiting) {
    response.setHeader("plan", plan);
    response.setHeader("round", round);
    response.end(bytesFromFloats(parameters));
  }
  waiting = [];
}

function publish(): void {
  const { delta } = defend(readPolicy({ aggregation: { rule: "mean" } }), updates, parameters.length);
  parameters = parameters.map((value, i) => value + delta[i]);
  updates = [];
  published.push(performance.now());
  if (round === rounds) console.log(`ms ${published.at(-1)! - published[warmUp - 1]!}`);
  round += 1;
}

server.listen(0, "127.0.0.1", () => console.log(`port ${(server.address() as AddressInfo).port}`));
