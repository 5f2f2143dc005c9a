// A tiny server in a process of its own, for whoever wants to look at it from outside: does what each line of its input
// says, and answers in a line of JSON.

import { createInterface } from "node:readline";
import { startTinyServer, type TinyServer } from "./tiny-server.ts";

const say = (fact: object): void => void process.stdout.write(`${JSON.stringify(fact)}\n`);

/** Also what a collection has left to finalizers. */
async function collect(): Promise<void> {
  for (let times = 0; times < 5; times++) {
    globalThis.gc!();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

let server: TinyServer | undefined = await startTinyServer();
say({ dataDir: server.dataDir, port: server.running.port });
for await (const line of createInterface({ input: process.stdin })) {
  const [order, ...rest] = line.split(" ");
  if (order === "admin") say(await server!.admin(rest[0]!, JSON.parse(rest[1] ?? "{}") as object));
  if (order === "collect") say({ collected: await collect() });
  if (order === "stop") {
    await server!.running.close();
    // What OpenSSL holds goes with the objects of the stopped server.
    server = undefined;
    say({});
  }
}
