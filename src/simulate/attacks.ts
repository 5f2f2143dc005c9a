// The one table of attacks: what each does to the data or to the update, its strength, its source.

import { QflareError } from "../core/error.ts";
import { type Attack as DeviceAttack, poisonDataset } from "../learning/attacks.ts";
import type { Dataset } from "../learning/dataset.ts";
import { patched } from "./backdoor.ts";
import { alie, alieZ, farthest, ipm, mimic, minMax, minSum } from "./colluding.ts";
import { innerProduct, type Scene } from "./scene.ts";

interface AttackKind {
  readonly words: string;
  /** Default strength; undefined where there is none to set. */
  readonly strength: number | undefined;
  /** What the liar trains on; its own data where missing. random: a number for each liar. */
  readonly data?: (dataset: Dataset, seed: number) => Dataset;
  /** What the liars send, one each. */
  readonly lies: (scene: Scene, strength: number) => Float32Array[];
}

const own = ({ own }: Scene): Float32Array[] => [...own];
const boosted = ({ own }: Scene, factor: number): Float32Array[] =>
  own.map((delta) => delta.map((value) => factor * value));
const same = (scene: Scene, lie: Float32Array): Float32Array[] => scene.own.map(() => lie);

const LABEL_FLIP: DeviceAttack = { kind: "label-flip", factor: 1 };
const SYBIL_NOISE = 0.01;

const KINDS = {
  none: { words: "all devices are honest", strength: undefined, lies: own },
  "sign-flip": {
    words: "its own update, turned round and multiplied",
    strength: 1,
    lies: (scene, factor) => boosted(scene, -factor),
  },
  scale: { words: "its own update, multiplied", strength: 10, lies: boosted },
  "label-flip": {
    words: "trains with class c taught as classes - 1 - c",
    strength: undefined,
    data: (dataset) => poisonDataset(LABEL_FLIP, dataset),
    lies: own,
  },
  gauss: { words: "noise of so many times the norm of its own update", strength: 3, lies: gauss },
  alie: {
    words: "mean of the honest minus so many standard deviations (0: the paper's own number)",
    strength: 1.5,
    lies: (scene, z) =>
      same(scene, alie(scene, z > 0 ? z : alieZ(scene.honest.length + scene.own.length, scene.own.length))),
  },
  ipm: {
    words: "so many times the negative mean of the honest",
    strength: 0.5,
    lies: (scene, epsilon) => same(scene, ipm(scene, epsilon)),
  },
  mimic: {
    words: "all repeat one honest device",
    strength: undefined,
    lies: (scene) => same(scene, mimic(scene)),
  },
  "min-max": {
    words: "as far out as the honest are from each other",
    strength: undefined,
    lies: (scene) => same(scene, minMax(scene)),
  },
  "min-sum": {
    words: "as far out as the farthest honest device is from all",
    strength: undefined,
    lies: (scene) => same(scene, minSum(scene)),
  },
  backdoor: {
    words: "trains half of its data with a white patch as class 0, and multiplies the update",
    strength: 1,
    data: patched,
    lies: boosted,
  },
  "free-rider": {
    words: "does not train: the last global update with noise of so many times its norm",
    strength: 0.1,
    lies: freeRider,
  },
  sybil: { words: "one turned update under many names, with a little noise", strength: 1, lies: sybil },
  nan: {
    words: "NaN in every place",
    strength: undefined,
    lies: ({ own }) => own.map((delta) => new Float32Array(delta.length).fill(Number.NaN)),
  },
  "optimal-alie": {
    words: "alie with the number that moves this rule farthest",
    strength: undefined,
    lies: (scene) => same(scene, farthest(scene, alie)),
  },
  "optimal-ipm": {
    words: "ipm with the number that moves this rule farthest",
    strength: undefined,
    lies: (scene) => same(scene, farthest(scene, ipm)),
  },
} as const satisfies Record<string, AttackKind>;

export type AttackName = keyof typeof KINDS;
const ATTACK_NAMES = Object.keys(KINDS) as AttackName[];

export interface Attack {
  readonly name: AttackName;
  readonly strength: number;
  /** As it was typed: "scale:100". */
  readonly text: string;
}

const STRENGTH_MAX = 1e6;

/** Reads "alie" or "alie:1.5". Throws config.invalid. */
export function parseAttack(text: string): Attack {
  const match = /^([a-z-]+)(?::(\d+(?:\.\d+)?))?$/.exec(text);
  const name = ATTACK_NAMES.find((known) => known === match?.[1]);
  const strength = match?.[2] === undefined ? undefined : Number(match[2]);
  const canBeSet = name !== undefined && KINDS[name].strength !== undefined;
  if (name === undefined || (strength !== undefined && (!canBeSet || strength > STRENGTH_MAX))) {
    throw new QflareError("config.invalid", `expected an attack out of ${attackWords()}, got ${JSON.stringify(text)}`);
  }
  return { name, strength: strength ?? KINDS[name].strength ?? 0, text };
}

function attackWords(): string {
  return ATTACK_NAMES.map((name) => (KINDS[name].strength === undefined ? name : `${name}[:x]`)).join(", ");
}

/** Name, meaning and default of each, for help and documents. */
export function describeAttacks(): { name: AttackName; words: string; strength: number | undefined }[] {
  return ATTACK_NAMES.map((name) => ({ name, words: KINDS[name].words, strength: KINDS[name].strength }));
}

export function isBackdoor(attack: Attack): boolean {
  return attack.name === "backdoor";
}

/** What a liar trains on. */
export function liarData(attack: Attack, dataset: Dataset, seed: number): Dataset {
  const kind: AttackKind = KINDS[attack.name];
  return kind.data?.(dataset, seed) ?? dataset;
}

export function lies(attack: Attack, scene: Scene): Float32Array[] {
  return KINDS[attack.name].lies(scene, attack.strength);
}

function gauss({ own, random }: Scene, factor: number): Float32Array[] {
  return own.map((delta) => noise(delta.length, factor * Math.sqrt(innerProduct(delta, delta)), random));
}

function freeRider({ own, previous, random }: Scene, factor: number): Float32Array[] {
  return own.map((delta) => {
    if (previous === undefined) return new Float32Array(delta.length);
    const added = noise(delta.length, factor * Math.sqrt(innerProduct(previous, previous)), random);
    return previous.map((value, i) => value + added[i]);
  });
}

function sybil({ own, random }: Scene, factor: number): Float32Array[] {
  const base = own[0];
  const size = SYBIL_NOISE * Math.sqrt(innerProduct(base, base));
  return own.map(() => {
    const added = noise(base.length, size, random);
    return base.map((value, i) => -factor * value + added[i]);
  });
}

/** A random vector of this norm, in expectation. */
function noise(length: number, norm: number, random: Scene["random"]): Float32Array {
  return Float32Array.from({ length }, () => (norm / Math.sqrt(length)) * random.gaussian());
}
