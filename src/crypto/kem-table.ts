// The mechanisms by name. One engine a name, made when it is first asked for.

import { FRODO } from "./frodo-parameters.ts";
import { FrodoKem } from "./frodokem.ts";
import { type FrodoName, type Kem, type KemName, type MlKemName, promised, type SyncKem } from "./kem.ts";
import { MlKem } from "./ml-kem.ts";
import { PLATFORM } from "./native-platform.ts";

const ML_KEM: readonly MlKemName[] = ["ML-KEM-768", "ML-KEM-1024"];

const engines = /* @__PURE__ */ new Map<KemName, SyncKem>();

export function kemNames(): KemName[] {
  return [...(Object.keys(FRODO) as FrodoName[]), ...ML_KEM];
}

export function kem(name: KemName): Kem {
  return promised(syncKem(name));
}

/** For servers, where an operation of 0.3 ms is cheaper than a turn of the event loop. */
export function syncKem(name: KemName): SyncKem {
  const engine = engines.get(name) ?? start(name);
  engines.set(name, engine);
  return engine;
}

function start(name: KemName): SyncKem {
  if (Object.hasOwn(FRODO, name)) return new FrodoKem(name as FrodoName, PLATFORM.frodo());
  if ((ML_KEM as readonly string[]).includes(name)) return new MlKem(name as MlKemName, PLATFORM.mlKem());
  throw new RangeError(`Cannot use KEM: expected one of ${kemNames().join(", ")}, got ${name}`);
}
