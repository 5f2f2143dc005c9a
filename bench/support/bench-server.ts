// A server of its own for a benchmark, as a process with its enclave, without limits that would get in the way.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AdminClient } from "../../src/cli/admin-client.ts";
import type { Child } from "../../src/cli/children.ts";

const PER_MINUTE = "1000000";
const UNLIMITED = ["enroll", "challenge", "submit", "model", "log"].flatMap((name) => [
  `--${name}-per-minute`,
  PER_MINUTE,
]);

/** Where the product's sources lie. */
export const ROOT: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface ServerEvent {
  readonly event: string;
  readonly reason?: string;
}

export class BenchServer {
  /** Its data, and whatever else the benchmark puts there. */
  readonly folder: string;
  readonly admin: AdminClient;
  readonly pid: number;
  readonly enclavePid: number;
  readonly #server: Child;

  private constructor(folder: string, server: Child, admin: AdminClient, pids: { pid: number; enclave_pid: number }) {
    this.folder = folder;
    this.admin = admin;
    this.pid = pids.pid;
    this.enclavePid = pids.enclave_pid;
    this.#server = server;
  }

  /** flags: beyond those for place, log and limits. root: of the sources that run. */
  static async start(flags: readonly string[], root: string = ROOT): Promise<BenchServer> {
    const { Child: AnyChild, AdminClient: AnyAdmin } = await partsOf(root);
    const folder = mkdtempSync(join(tmpdir(), "qflare-bench-"));
    const listening = Promise.withResolvers<void>();
    const where = ["--json", "--log-level", "warn", "--data-dir", folder, "--port", "0"];
    const server = new AnyChild(
      ["server", ...where, ...UNLIMITED, ...flags],
      (line) => line.event === "listening" && listening.resolve(),
    );
    try {
      await Promise.race([listening.promise, ended(server)]);
      const admin = await AnyAdmin.connect(folder);
      return new BenchServer(folder, server, admin, await admin.call("status"));
    } catch (error) {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async token(name: string): Promise<string> {
    return (await this.admin.call<{ token: string }>("token.create", { name, age_ms: 600_000 })).token;
  }

  /** When each of so many rounds was published, in milliseconds of performance.now. */
  async rounds(
    count: number,
    onPublished: (published: readonly number[]) => void = () => undefined,
  ): Promise<number[]> {
    const published: number[] = [];
    const finished = Promise.withResolvers<void>();
    await this.admin.watch(({ event, reason }) => {
      if (event === "round.failed") finished.reject(new Error(String(reason)));
      if (event !== "round.published") return;
      published.push(performance.now());
      onPublished(published);
      if (published.length === count) finished.resolve();
    });
    await Promise.race([finished.promise, ended(this.#server)]);
    return published;
  }

  async close(): Promise<void> {
    this.admin.close();
    await this.#server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function partsOf(root: string): Promise<{ Child: typeof Child; AdminClient: typeof AdminClient }> {
  return {
    ...(await import(join(root, "src/cli/children.ts"))),
    ...(await import(join(root, "src/cli/admin-client.ts"))),
  };
}

/** Rejects when the program ends, which it should not. */
export async function ended(child: Pick<Child, "exited" | "ending">): Promise<never> {
  await child.exited;
  throw new Error(`a program ended too early: ${child.ending}`);
}
