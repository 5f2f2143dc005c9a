// What is asked about a device's re-key.

import { att } from "./attacker.ts";
import { type Obligation, obligation, type Question } from "./obligation.ts";
import { deviceReplaced, newSigner, type RekeyModel, rekeyClauses, replaced } from "./rekey.ts";
import { deviceKem, deviceSigner } from "./session.ts";
import type { Tables } from "./tables.ts";
import { type Term, variables } from "./term.ts";

const { I, D, K, D2, K2 } = variables("I", "D", "K", "D2", "K2");

/** Keys of the attacker in the place of a device's. */
const FOREIGN = [replaced(deviceKem(I), deviceSigner(I), D2, K2), att(K2)];
/** A device's new signing key in the place of the attacker's own. */
const BORROWED = [replaced(D, K, D2, newSigner(I)), att(K)];

const asks =
  (goal: readonly Term[], model: RekeyModel = {}, leaks: readonly Term[] = []) =>
  (tables: Tables): Question => ({ goal, protocol: rekeyClauses(tables, model), leaks });

export const REKEY_OBLIGATIONS: readonly Obligation[] = [
  obligation("property", "rekey-own", "no key of the attacker takes the place of a device's", asks(FOREIGN)),
  obligation(
    "property",
    "rekey-signer-leaked",
    "no key of the attacker takes the place of a device's although its signing key leaked before",
    asks(FOREIGN, {}, [deviceSigner(I)]),
  ),
  obligation(
    "property",
    "rekey-kem-leaked",
    "no key of the attacker takes the place of a device's although its KEM key leaked before",
    asks(FOREIGN, {}, [deviceKem(I)]),
  ),
  obligation(
    "property",
    "rekey-not-borrowed",
    "no device's new signing key takes the place of a key of the attacker",
    asks(BORROWED),
  ),
  obligation(
    "property",
    "rekey-by-server",
    "no device takes its keys for replaced without the server",
    asks([deviceReplaced(I)], { absent: "server" }),
  ),
  obligation(
    "limit",
    "rekey-keys-leaked",
    "a key of the attacker takes the place of a device's when both its keys leaked before",
    asks(FOREIGN, {}, [deviceKem(I), deviceSigner(I)]),
  ),
  obligation(
    "control",
    "rekey-outside-session",
    "a key of the attacker takes the place of a device's if no session is needed and its signing key leaked",
    asks(FOREIGN, { unchecked: ["session"] }, [deviceSigner(I)]),
  ),
  obligation(
    "control",
    "rekey-without-new-signature",
    "a device's new signing key takes the place of a key of the attacker if the server does not check its signature",
    asks(BORROWED, { unchecked: ["newSignature"] }),
  ),
  obligation(
    "control",
    "rekey-without-old-signature",
    "a key of the attacker takes the place of a device's if neither session nor old signature is needed",
    asks(FOREIGN, { unchecked: ["session", "oldSignature"] }),
  ),
  obligation(
    "control",
    "rekey-unsigned-answer",
    "a device takes its keys for replaced without the server if it does not check the signature",
    asks([deviceReplaced(I)], { absent: "server", unchecked: ["answer"] }),
  ),
  obligation(
    "sanity",
    "rekey-done",
    "the server puts a device's new keys in the place of the old",
    asks([replaced(deviceKem(I), deviceSigner(I), D2, newSigner(I))]),
  ),
  obligation("sanity", "rekey-known", "a device takes its keys for replaced", asks([deviceReplaced(I)])),
];
