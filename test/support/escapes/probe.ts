// Takes the enclave's place: shuts itself in as the enclave does, then tries to get out by every way there is, and
// writes what came of it as one line of JSON. Node's gate to native code alone stays open, so that what the kernel
// refuses is seen beside what Node refuses; isShut in the surroundings closes it too, as the enclave does.

import { writeSync } from "node:fs";
import { harden } from "../../../src/enclave/hardening.ts";
import { type Attempt, CODE_ATTEMPTS, FILE_ATTEMPTS, NETWORK_ATTEMPTS, PROCESS_ATTEMPTS } from "./attempts.ts";
import { Native, nativeAttempts } from "./native.ts";

type Permission = { has(scope: string): boolean; drop(scope: string): void };

const PATIENCE_MS = 1500;

const at = JSON.parse(process.argv[2]!);
const early = at.isShut ? undefined : Native.open();
if (!at.isShut) keepNative(process.permission as Permission | undefined);
const isolation = await harden();
const native = early ?? Native.open();
const attempts: Record<string, Attempt> = {
  ...FILE_ATTEMPTS,
  ...NETWORK_ATTEMPTS,
  ...CODE_ATTEMPTS,
  ...PROCESS_ATTEMPTS,
  ...nativeAttempts(native),
};

// Some modules tell of a refusal by an event that nobody listens to.
let rejectCurrent: ((error: unknown) => void) | undefined;
process.on("uncaughtException", (error) => rejectCurrent?.(error));

const outcomes: Record<string, string> = {};
for (const [name, attempt] of Object.entries(attempts)) outcomes[name] = await outcomeOf(attempt);
const { pid, ppid } = process;
const uid = process.getuid!();
const said = { isolation, pid, ppid, uid, environment: Object.keys(process.env), outcomes };
writeSync(1, `${JSON.stringify(said)}\n`);
process.exit(0);

function keepNative(model: Permission | undefined): void {
  if (model === undefined) return;
  const { drop, has } = model;
  let isKept = false;
  model.drop = (scope) => {
    if (scope === "ffi") isKept = true;
    else drop.call(model, scope);
  };
  model.has = (scope) => !(scope === "ffi" && isKept) && has.call(model, scope);
}

async function outcomeOf(attempt: Attempt): Promise<string> {
  const refused = new Promise((_, reject) => {
    rejectCurrent = reject;
    setTimeout(() => reject(new Error("nothing happened")), PATIENCE_MS).unref();
  });
  try {
    await Promise.race([Promise.resolve().then(() => attempt(at)), refused]);
    return "through";
  } catch (error) {
    return `refused: ${String((error as { code?: string }).code ?? (error as Error).message).slice(0, 80)}`;
  }
}
