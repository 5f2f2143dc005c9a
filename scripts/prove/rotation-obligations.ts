// What is asked about the rotation of a server's identity.

import { att } from "./attacker.ts";
import { type Obligation, obligation, type Question } from "./obligation.ts";
import {
  foreignIdentity,
  identityOf,
  longtermOf,
  nextOf,
  pins,
  type RotationModel,
  rotationClauses,
  START,
  signerOf,
} from "./rotation.ts";
import type { Tables } from "./tables.ts";
import { type Term, variables } from "./term.ts";

const { N } = variables("N");

/** Whether a device comes to pin an identity of which the attacker holds both keys. */
const led =
  (model: RotationModel, leaks: readonly Term[] = []) =>
  (tables: Tables): Question => {
    const { identity, keys } = foreignIdentity(tables);
    return { goal: [pins(identity), ...keys.map(att)], protocol: rotationClauses(tables, model), leaks };
  };

const START_KEYS = [signerOf(START), longtermOf(START)];

export const ROTATION_OBLIGATIONS: readonly Obligation[] = [
  obligation("property", "rotation-own", "no device follows an announcement to an identity of the attacker", led({})),
  obligation(
    "property",
    "rotation-signer-leaked",
    "no device follows an announcement to the attacker although every ML-DSA-44 key of the server leaked",
    led({}, [signerOf(N)]),
  ),
  obligation(
    "property",
    "rotation-longterm-leaked",
    "no device follows an announcement to the attacker although every ML-DSA-65 key of the server leaked",
    led({}, [longtermOf(N)]),
  ),
  obligation(
    "property",
    "rotation-pinned",
    "a device that has pinned the next identity is led nowhere else although both keys of the one before leaked",
    led({ hasPinnedNext: true }, START_KEYS),
  ),
  obligation(
    "limit",
    "rotation-keys-leaked",
    "a device that has pinned no next identity follows the attacker when both keys of the server leaked before",
    led({}, START_KEYS),
  ),
  obligation(
    "control",
    "rotation-one-signature",
    "a device follows the attacker if it checks the ML-DSA-44 signature alone and that key leaked",
    led({ unchecked: "longtermSignature" }, [signerOf(N)]),
  ),
  obligation(
    "control",
    "rotation-longterm-alone",
    "a device follows the attacker if it checks the ML-DSA-65 signature alone and that key leaked",
    led({ unchecked: "signature" }, [longtermOf(N)]),
  ),
  obligation("sanity", "rotation-followed", "a device follows its server through two rotations", (tables) => ({
    goal: [pins(identityOf(tables, nextOf(nextOf(START))))],
    protocol: rotationClauses(tables, { start: START }),
  })),
  obligation(
    "sanity",
    "rotation-pinned-followed",
    "a device that has pinned the next identity follows its server through two rotations",
    (tables) => ({
      goal: [pins(identityOf(tables, nextOf(nextOf(START))))],
      protocol: rotationClauses(tables, { hasPinnedNext: true, start: START }),
    }),
  ),
];
