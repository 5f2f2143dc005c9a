// Worker thread of leaf-pool.ts: hashes one leaf a message, and gives its memory back.

import { parentPort } from "node:worker_threads";
import type { LeafAnswer, LeafRequest } from "./leaf-pool.ts";
import { leafHash } from "./merkle.ts";

parentPort!.on("message", ({ buffer, length }: LeafRequest) => {
  const answer: LeafAnswer = { buffer, hash: leafHash(new Uint8Array(buffer, 0, length)) };
  parentPort!.postMessage(answer, [buffer]);
});
