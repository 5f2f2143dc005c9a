// A sandbox for the enclave process, made by bubblewrap: an empty, read-only root that holds Node, its libraries and
// the program; no network, no other process in sight, no capabilities, our system call filter from the first
// instruction on, and another user where the server is root.

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { seccompFilter } from "../isolation/seccomp.ts";
import type { Machine } from "../isolation/syscalls.ts";

/** Not looked up in PATH: what is found there could be anybody's. */
const BUBBLEWRAP_PLACES: readonly string[] = [
  "/usr/bin/bwrap",
  "/usr/local/bin/bwrap",
  "/run/current-system/sw/bin/bwrap",
];
const LIBRARY = /^\/.+\.so(?:\.[\d.]+)?$/;
/** From the range that systemd gives to services without a user of their own, so that no person has it. */
const ENCLAVE_UID = 61_937;
const UID_INSIDE = "65534";
const NODE_INSIDE = "/node";
export const PROGRAM_INSIDE = "/enclave.mjs";
const PROBE_MS = 30_000;

// Files of the child beside its three streams and, at 3, the sealing key.
const PROGRAM_FILE = 4;
const FILTER_FILE = 5;
const INFO_FILE = 6;

export interface Sandbox {
  readonly bubblewrap: string;
  /** User and group of the process; undefined: the server's own. */
  readonly owner: number | undefined;
}

/** A sandbox that was seen to start Node here, or why there is none. */
export async function findSandbox(): Promise<Sandbox | string> {
  if (process.platform !== "linux") return "bubblewrap needs Linux";
  const bubblewrap = BUBBLEWRAP_PLACES.find((place) => existsSync(place));
  if (bubblewrap === undefined) return "bubblewrap is not installed";
  const owners = process.geteuid?.() === 0 ? [ENCLAVE_UID, undefined] : [undefined];
  let failure = "";
  for (const owner of owners) {
    const sandbox = { bubblewrap, owner };
    const found = await probe(sandbox);
    if (found === undefined) return sandbox;
    failure ||= found;
  }
  return `bubblewrap does not work here: ${failure}`;
}

/** undefined where Node starts and tells its version, else what went wrong. */
async function probe(sandbox: Sandbox): Promise<string | undefined> {
  const program = new Uint8Array(0);
  const child = spawnInSandbox(sandbox, { program, keyFile: "ignore", command: ["--version"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), PROBE_MS);
  const failed = new Promise<string>((resolve) => child.once("error", (error) => resolve(error.message)));
  const [said, complained] = await Promise.race([
    Promise.all([text(child.stdout!), text(child.stderr!)]),
    failed.then((reason) => ["", reason]),
  ]);
  clearTimeout(timer);
  if (said!.trim() === process.version) return undefined;
  return complained!.trim().split("\n")[0] || "it says nothing";
}

export interface Occupant {
  readonly program: Uint8Array;
  /** Open file that the process gets as number 3. */
  readonly keyFile: number | "ignore";
  /** What Node is given; it finds the program at PROGRAM_INSIDE. */
  readonly command: readonly string[];
}

/** stdio: three streams, the key file, what bubblewrap reads, and at INFO_FILE what it says. */
export function spawnInSandbox(sandbox: Sandbox, { program, keyFile, command }: Occupant): ChildProcess {
  const { bubblewrap, owner } = sandbox;
  const options: SpawnOptions = {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "pipe", keyFile, "pipe", "pipe", "pipe"],
    ...(owner === undefined ? {} : { uid: owner, gid: owner }),
  };
  const child = spawn(bubblewrap, [...walls(), "--", NODE_INSIDE, ...command], options);
  feed(child, PROGRAM_FILE, program);
  feed(child, FILTER_FILE, seccompFilter(process.arch as Machine, "starting"));
  return child;
}

function walls(): string[] {
  return [
    ...["--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"],
    ...["--unshare-user", "--uid", UID_INSIDE, "--gid", UID_INSIDE, "--cap-drop", "ALL", "--hostname", "enclave"],
    ...["--ro-bind", process.execPath, NODE_INSIDE],
    ...libraries().flatMap((file) => ["--ro-bind", file, file]),
    ...["--ro-bind-data", String(PROGRAM_FILE), PROGRAM_INSIDE, "--remount-ro", "/", "--chdir", "/"],
    ...["--seccomp", String(FILTER_FILE), "--info-fd", String(INFO_FILE)],
  ];
}

/** What this very Node has loaded is what it loads again, by the same names. */
function libraries(): string[] {
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  report.excludeNetwork = true;
  const { sharedObjects } = report.getReport() as unknown as { sharedObjects: string[] };
  return sharedObjects.filter((path) => LIBRARY.test(path));
}

/** A child that has died already needs nothing: its end is heard elsewhere. */
function feed(child: ChildProcess, file: number, bytes: Uint8Array): void {
  const stream = (child.stdio as readonly unknown[])[file] as NodeJS.WritableStream | null;
  stream?.on("error", () => undefined).end(bytes);
}

/** Number of the process inside, as it is seen from here; undefined where bubblewrap ends before it starts one. */
export async function pidInside(child: ChildProcess): Promise<number | undefined> {
  const said = (child.stdio as readonly unknown[])[INFO_FILE] as NodeJS.ReadableStream;
  const info = await text(said).catch(() => "");
  return info === "" ? undefined : (JSON.parse(info) as { "child-pid": number })["child-pid"];
}
