// A small run on this machine, from the real command line: a server, devices, their data folder. Everything in it can
// be killed and started again; what is left at the end of the test is ended.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { Device, type DeviceOptions } from "../../src/device/device.ts";
import type { DeviceEvent } from "../../src/device/event.ts";
import { Cli, isRunning, type JsonLine } from "./cli.ts";
import { temporaryFolder } from "./folder.ts";
import { gaussian, uniform } from "./rows.ts";

export const ROWS = 90;
export const INPUTS = 3;
export const CLASSES = 3;
/** Devices that share the table; each owns ROWS / PARTS rows. */
export const PARTS = 3;

/** All devices share one address here. */
const NO_LIMITS = ["enroll", "challenge", "submit", "model", "log"].flatMap((name) => [
  `--${name}-per-minute`,
  "100000",
]);

const SMALL = [
  ...["--rule", "mean", "--model", "softmax", "--inputs", String(INPUTS), "--classes", String(CLASSES)],
  ...["--selection-time", "60s", "--round-deadline", "60s", "--learning-rate", "0.5"],
];

/** Three clouds of points, a third of the rows each. */
export function tableOf(rows: number, seed: number): string {
  const next = uniform(seed);
  const lines = Array.from({ length: rows }, (_, i) => {
    const values = Array.from({ length: INPUTS }, (_, j) => (j === i % CLASSES ? 2 : 0) + gaussian(next));
    return [...values.map((value) => value.toFixed(4)), `class${i % CLASSES}`].join(",");
  });
  return `${["x", "y", "z", "kind"].join(",")}\n${lines.join("\n")}\n`;
}

export class TestRun {
  readonly folder = temporaryFolder();
  readonly dataDir = join(this.folder, "data");
  readonly table = join(this.folder, "table.csv");
  readonly #flags: readonly string[];
  readonly #children: Cli[] = [];
  readonly #devices: Device[] = [];
  readonly #admins: AdminClient[] = [];
  readonly #stopped = new Set<number>();
  #server: Cli | undefined;
  #port = 0;

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
    writeFileSync(this.table, tableOf(ROWS, 1));
  }

  /** A run whose server is not started yet. flags: more of them, which win. */
  static prepare(t: TestContext, ...flags: string[]): TestRun {
    const run = new TestRun(flags);
    t.after(() => run.#close());
    return run;
  }

  /** A run whose server listens. */
  static async open(t: TestContext, ...flags: string[]): Promise<TestRun> {
    const run = TestRun.prepare(t, ...flags);
    await run.startServer();
    return run;
  }

  get server(): Cli {
    return this.#server!;
  }

  get port(): number {
    return this.#port;
  }

  /** Once more on the same folder and port, if it ran before; by another copy of the package where one is named. */
  async startServer(program?: string): Promise<Cli> {
    const where = ["--data-dir", this.dataDir, "--port", String(this.#port)];
    const args = ["server", "--json", "--log-level", "warn", ...where, ...NO_LIMITS, ...SMALL, ...this.#flags];
    this.#server = this.start(args, program);
    const listening = await this.#server.event("listening");
    this.#port = listening.port as number;
    return this.#server;
  }

  async restartServer(): Promise<Cli> {
    await this.server.kill();
    return await this.startServer();
  }

  start(args: readonly string[], program?: string): Cli {
    const child = new Cli(args, { cwd: this.folder, ...(program === undefined ? {} : { program }) });
    this.#children.push(child);
    return child;
  }

  async admin(): Promise<AdminClient> {
    const admin = await AdminClient.connect(this.dataDir);
    this.#admins.push(admin);
    return admin;
  }

  async token(name: string): Promise<string> {
    const { token } = await (await this.admin()).call<{ token: string }>("token.create", { name, age_ms: 600_000 });
    return token;
  }

  keystoreOf(name: string): string {
    return join(this.folder, `${name}.key`);
  }

  /** A device process on its share of the table; part from 1. Without a token it has enrolled before. */
  startDevice(name: string, part: number, token?: string, ...more: string[]): Cli {
    const key = ["--keystore", this.keystoreOf(name), "--allow-simulated-enclave"];
    const data = ["--csv", this.table, "--label", "kind", "--part", `${part}/${PARTS}`];
    return this.start([
      "device",
      "run",
      "--json",
      ...key,
      ...data,
      ...(token === undefined ? [] : ["--token", token]),
      ...more,
    ]);
  }

  async enrolDevice(name: string, part: number): Promise<Cli> {
    const device = this.startDevice(name, part, await this.token(name));
    await device.event("ready");
    return device;
  }

  /** A device in this process: the test decides when it submits what. */
  async heldDevice(
    name: string,
    onEvent: (event: DeviceEvent) => void = () => undefined,
    more: Partial<DeviceOptions> = {},
  ): Promise<Device> {
    const keystore = this.keystoreOf(name);
    const link = await this.token(name);
    const device = await Device.enroll({ link, keystore, allowSimulatedEnclave: true, onEvent, ...more });
    this.#devices.push(device);
    return device;
  }

  async enclavePid(): Promise<number> {
    return (await this.status()).enclave_pid as number;
  }

  async status(): Promise<JsonLine> {
    return await (await this.admin()).call<JsonLine>("status");
  }

  /** SIGSTOP; it goes on, or is ended, at the latest when the test is over. */
  pause(pid: number): void {
    process.kill(pid, "SIGSTOP");
    this.#stopped.add(pid);
  }

  resume(pid: number): void {
    this.#stopped.delete(pid);
    if (isRunning(pid)) process.kill(pid, "SIGCONT");
  }

  async #close(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.close()));
    for (const admin of this.#admins) admin.close();
    for (const pid of this.#stopped) this.resume(pid);
    await Promise.all(this.#children.filter((child) => !child.hasEnded).map((child) => child.kill()));
  }
}
