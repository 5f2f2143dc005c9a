// Device without any security, for bench/security-cost.ts.
//
//   node plain-device.ts <port> <i/n>

import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { loadTraining, shareOf } from "../../src/cli/data.ts";
import { bytesFromFloats, floatsFromBytes } from "../../src/core/floats.ts";
import { DEFAULT_MODEL } from "../../src/learning/defaults.ts";
import { Network } from "../../src/learning/network.ts";
import { createTrainer, keepTrainer } from "../../src/learning/trainer.ts";

const [port, part] = process.argv.slice(2) as [string, string];
const agent = new Agent({ keepAlive: true });
const dataset = shareOf(loadTraining({}), part, "iid", 1);
const trainerFor = keepTrainer((description) => createTrainer(new Network(description), dataset));

function call(method: string, body?: Uint8Array): Promise<{ headers: IncomingMessage["headers"]; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ agent, host: "127.0.0.1", port, method, path: "/" }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(pieces) }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

for (;;) {
  const { headers, body } = await call("GET");
  const parameters = floatsFromBytes(new Uint8Array(body));
  const trainer = trainerFor(DEFAULT_MODEL);
  const plan = JSON.parse(headers.plan as string);
  const trained = await trainer.train({ parameters, plan, seed: 1 + Number(headers.round) });
  await call("POST", bytesFromFloats(trained.parameters.map((value, i) => value - parameters[i])));
}
