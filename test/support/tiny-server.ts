// A server in this process and its enclave beside it: a softmax model of 15 parameters, one round of one device.

import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { CertifiedKey } from "../../src/crypto/certificate.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { DEFAULT_PLAN } from "../../src/learning/defaults.ts";
import { initialParameters, type ModelDescription } from "../../src/learning/model.ts";
import { encodeModel } from "../../src/learning/model-file.ts";
import { DEFAULT_RATE_LIMITS } from "../../src/server/limiter.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";

export interface TinyServer {
  readonly dataDir: string;
  readonly running: RunningServer;
  /** The first model's parameters. */
  readonly parameters: Float32Array;
  /** One line to the administration socket and its answer. */
  admin(method: string, params?: object): Promise<Record<string, unknown>>;
  /** Stops the server and removes its folder. */
  close(): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** tls: by default a certificate of its own. */
export async function startTinyServer(tls?: CertifiedKey): Promise<TinyServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "qflare-tiny-"));
  const description: ModelDescription = { kind: "softmax", inputs: 4, classes: 3 };
  const parameters = initialParameters(description, 1);
  const running = await startServer({
    dataDir,
    host: "127.0.0.1",
    port: 0,
    publicUrl: undefined,
    tls,
    suites: ["QF2-HYBRID", "QF1-FRODO"],
    run: {
      suite: "QF2-HYBRID",
      aggregation: JSON.stringify({ rule: "mean" }),
      updates_min: 1,
      norm_max: 1e6,
      weight_cap: 2,
      plan: JSON.stringify({ ...DEFAULT_PLAN, epochs: 1, batch_size: 1 }),
      firstModel: encodeModel(description, parameters),
    },
    rounds: { rounds: 1, target: 1, quorum: 1, overSelection: 1, selectionMs: 0, deadlineMs: 60_000 },
    rateLimits: DEFAULT_RATE_LIMITS,
    clock: { nowMs: () => Date.now() },
    random: systemRandom,
    log: silent,
  });
  return {
    dataDir,
    running,
    parameters,
    admin: (method, params = {}) => askAdmin(join(dataDir, "admin.sock"), method, params),
    close: async () => {
      await running.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function askAdmin(path: string, method: string, params: object): Promise<Record<string, unknown>> {
  const socket = createConnection(path);
  socket.write(`${JSON.stringify({ id: 1, method, params })}\n`);
  try {
    for await (const line of createInterface({ input: socket })) {
      const { result, message } = JSON.parse(line) as { result?: Record<string, unknown>; message?: string };
      if (result === undefined) throw new Error(message);
      return result;
    }
  } finally {
    socket.destroy();
  }
  throw new Error("the administration socket gave no answer");
}
