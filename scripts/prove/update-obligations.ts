// What is asked about the sealed update, when the gateway itself is the attacker.

import { att, kemKey } from "./attacker.ts";
import { type Obligation, obligation, type Question } from "./obligation.ts";
import { type Tables, without } from "./tables.ts";
import { type Term, term, variables } from "./term.ts";
import {
  counted,
  delta,
  deviceIdOf,
  epochSecrets,
  honestId,
  signerOf,
  type UpdateModel,
  updateClauses,
} from "./update.ts";

const { I, J, R, S, E, Pol, H, K, M } = variables("I", "J", "R", "S", "E", "Pol", "H", "K", "M");

const READ = [att(delta(I, R))];
const EPOCH = epochSecrets(E, Pol);

interface Damage {
  /** Fields that the manifest lacks. */
  readonly manifest?: readonly string[];
  /** Parts that the seal's context lacks. */
  readonly context?: readonly string[];
}

const asks =
  (
    goal: (tables: Tables) => readonly Term[],
    model: UpdateModel = {},
    leaks: readonly Term[] = [],
    damage: Damage = {},
  ) =>
  (tables: Tables): Question => {
    const { manifest: lacks = [], context: drops = [] } = damage;
    const fields = { ...tables.fields, manifest: tables.fields.manifest.filter((name) => !lacks.includes(name)) };
    const damaged = { ...tables, fields, updateContext: drops.reduce(without, tables.updateContext) };
    return { goal: goal(tables), protocol: updateClauses(damaged, model), leaks };
  };

const read = (): readonly Term[] => READ;
const forged = (tables: Tables): Term[] => [counted(honestId(tables, I), R, term("c_evil"))];
const swapped = (tables: Tables): Term[] => [
  counted(honestId(tables, term("device_a")), R, delta(term("device_b"), S)),
];
const moved = (tables: Tables): Term[] => [
  counted(honestId(tables, I), term("c_round_b"), delta(J, term("c_round_a"))),
];
const copied = (tables: Tables): Term[] => [counted(deviceIdOf(tables, H, K), R, delta(I, S)), att(K)];

export const UPDATE_OBLIGATIONS: readonly Obligation[] = [
  obligation(
    "property",
    "update-secret",
    "an update stays secret from the gateway, which holds the server's keys and those of every session",
    asks(read),
  ),
  obligation(
    "property",
    "update-classical-broken",
    "an update stays secret although X25519 is broken",
    asks(read, { broken: ["classical"] }),
  ),
  obligation(
    "property",
    "update-frodo-broken",
    "an update stays secret although FrodoKEM is broken",
    asks(read, { broken: ["frodo"] }),
  ),
  obligation(
    "property",
    "update-half-leaked",
    "an update stays secret although one half of the epoch key leaked",
    asks(read, {}, [EPOCH.classical]),
  ),
  obligation(
    "property",
    "update-signer-leaked",
    "an update stays secret although every device's signing key leaked",
    asks(read, {}, [signerOf(I)]),
  ),
  obligation(
    "property",
    "update-authentic",
    "the enclave counts nothing in a device's name that the gateway made",
    asks(forged),
  ),
  obligation("property", "update-of-its-device", "an update counts for the device that sent it", asks(swapped)),
  obligation("property", "update-of-its-round", "an update counts in the round that it was made for", asks(moved)),
  obligation(
    "property",
    "update-not-copied",
    "no device of the attacker has another's update counted as its own",
    asks(copied),
  ),
  obligation(
    "limit",
    "epoch-key-leaked",
    "an update can be read when the whole epoch key leaked",
    asks(read, {}, [EPOCH.classical, EPOCH.frodo]),
  ),
  obligation(
    "limit",
    "simulated-evidence",
    "an update can be read by the gateway under simulated evidence",
    asks(read, { evidence: "simulated" }),
  ),
  obligation(
    "limit",
    "update-both-broken",
    "an update can be read when both KEMs are broken",
    asks(read, { broken: ["classical", "frodo"] }),
  ),
  obligation(
    "limit",
    "update-signer-leaked-forged",
    "the gateway forges an update when the device's signing key leaked",
    asks(forged, {}, [signerOf(I)]),
  ),
  obligation(
    "control",
    "no-measurement",
    "an update can be read if the device does not compare the enclave's program",
    asks(read, { unchecked: "measurement" }),
  ),
  obligation(
    "control",
    "unsigned-manifest",
    "the gateway forges an update if the enclave does not check the manifest's signature",
    asks(forged, { unchecked: "manifest" }),
  ),
  obligation(
    "control",
    "borrowed-id",
    "the gateway forges an update if the enclave does not compare a device's id with its keys",
    asks(forged, { unchecked: "cohort" }),
  ),
  obligation(
    "control",
    "manifest-without-digest",
    "the gateway forges an update if the manifest does not name the blob",
    asks(forged, {}, [], { manifest: ["blob_digest"] }),
  ),
  obligation(
    "control",
    "nothing-names-the-round",
    "an update counts in another round if neither manifest nor seal names the round",
    asks(moved, {}, [], { manifest: ["round"], context: ["round"] }),
  ),
  obligation(
    "control",
    "seal-without-device",
    "a device of the attacker has another's update counted as its own if the seal does not name the device",
    asks(copied, {}, [], { context: ["device_id"] }),
  ),
  obligation(
    "sanity",
    "update-counts",
    "the enclave counts a device's update",
    asks((tables) => [counted(honestId(tables, I), R, delta(I, R))]),
  ),
  obligation(
    "sanity",
    "attacker-takes-part",
    "a device of the attacker takes part",
    asks((tables) => [counted(deviceIdOf(tables, H, K), R, M), att(K), att(kemKey("frodo", EPOCH.frodo))]),
  ),
];
