// Which witnesses must have cosigned a checkpoint before it is believed (C2SP tlog-policy): a small file of lines.
//
//   witness one witness.example/one+...+... https://witness.example/one
//   witness two witness.example/two+...+...
//   witness three witness.example/three+...+...
//   group most 2 one two three
//   quorum most

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { type NoteKey, parseVkey } from "./note.ts";

export interface PolicyWitness {
  readonly name: string;
  readonly key: NoteKey;
  /** Where it takes checkpoints; undefined in a policy that only verifies. */
  readonly url: string | undefined;
}

/** At least count of the members: witnesses by name, or groups of them. */
interface Group {
  readonly count: number;
  readonly members: readonly (string | Group)[];
}

export interface WitnessPolicy {
  readonly witnesses: readonly PolicyWitness[];
  /** undefined: no witness is needed. */
  readonly quorum: Group | undefined;
}

export const NO_WITNESSES: WitnessPolicy = { witnesses: [], quorum: undefined };

const PROBLEM_LENGTH_MAX = 100;

/** Throws config.invalid with the line. Log lines, which a run's own origin makes needless, are read over. */
export function parseWitnessPolicy(text: string): WitnessPolicy {
  const reader = new PolicyReader();
  for (const [i, line] of text.split("\n").entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== "");
    if (words.length > 0 && !words[0]!.startsWith("#")) reader.take(words, i + 1);
  }
  return reader.policy();
}

class PolicyReader {
  readonly #witnesses: PolicyWitness[] = [];
  readonly #named = new Map<string, string | Group>();
  readonly #used = new Set<string>();
  #quorum: { readonly rule: Group | undefined } | undefined;

  take(words: readonly string[], line: number): void {
    const refuse = (problem: string): never => {
      throw new QflareError("config.invalid", `witness policy, line ${line}: ${problem.slice(0, PROBLEM_LENGTH_MAX)}`);
    };
    const [kind, ...rest] = words;
    if (kind === "witness") this.#witness(rest, refuse);
    else if (kind === "group") this.#group(rest, refuse);
    else if (kind === "quorum") this.#setQuorum(rest, refuse);
    else if (kind !== "log") refuse(`expected log, witness, group or quorum, got ${kind}`);
  }

  policy(): WitnessPolicy {
    if (this.#quorum === undefined) throw new QflareError("config.invalid", "witness policy: expected a quorum line");
    return { witnesses: this.#witnesses, quorum: this.#quorum.rule };
  }

  #witness([name = "", vkey = "", url, ...more]: readonly string[], refuse: Refuse): void {
    const key = parseVkey(vkey);
    if (key === undefined || key.type === "ed25519" || more.length > 0) {
      refuse("expected witness <name> <cosignature vkey> [<url>]");
    }
    const isKnown = this.#witnesses.some((other) => toHex(other.key.publicKey) === toHex(key.publicKey));
    if (isKnown) refuse("the key stands there twice");
    if (this.#witnesses.length >= LIMITS.witnessesMax) refuse(`expected at most ${LIMITS.witnessesMax} witnesses`);
    this.#define(name, name, refuse);
    this.#witnesses.push({ name, key, url });
  }

  #group([name = "", threshold = "", ...names]: readonly string[], refuse: Refuse): void {
    const count = threshold === "all" ? names.length : threshold === "any" ? 1 : Number(threshold);
    if (!(/^(all|any|[1-9]\d?)$/.test(threshold) && count <= names.length)) {
      refuse("expected group <name> <all, any or a number up to that of the members> <member>...");
    }
    this.#define(name, { count, members: names.map((member) => this.#member(member, refuse)) }, refuse);
  }

  #setQuorum([name = "", ...more]: readonly string[], refuse: Refuse): void {
    if (this.#quorum !== undefined || more.length > 0) refuse("expected one quorum");
    this.#quorum = { rule: name === "none" ? undefined : { count: 1, members: [this.#member(name, refuse)] } };
  }

  #define(name: string, rule: string | Group, refuse: Refuse): void {
    if (name === "" || name === "none" || this.#named.has(name)) refuse(`${name} cannot be defined here`);
    this.#named.set(name, rule);
  }

  /** Each can be a member once, so that no witness counts twice. */
  #member(name: string, refuse: Refuse): string | Group {
    const rule = this.#named.get(name);
    if (rule === undefined || this.#used.has(name)) refuse(`${name} is not defined above, or used twice`);
    this.#used.add(name);
    return rule;
  }
}

type Refuse = (problem: string) => never;

/** names: of the witnesses that have cosigned. */
export function isWitnessed({ quorum }: WitnessPolicy, names: ReadonlySet<string>): boolean {
  return quorum === undefined || holds(quorum, names);
}

function holds({ count, members }: Group, names: ReadonlySet<string>): boolean {
  const there = members.filter((member) => (typeof member === "string" ? names.has(member) : holds(member, names)));
  return there.length >= count;
}
