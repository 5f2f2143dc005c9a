// What is asked about enrolment.

import { att } from "./attacker.ts";
import {
  ATTACKERS_TOKEN,
  deviceEnrolled,
  type EnrolmentModel,
  enrolled,
  enrolmentClauses,
  honestToken,
  PEPPER,
  signerUnder,
  tokenSecretOf,
} from "./enrolment.ts";
import { type Obligation, obligation, type Question } from "./obligation.ts";
import { SERVER_KEY } from "./session.ts";
import type { Tables } from "./tables.ts";
import { type Term, term, variables } from "./term.ts";

const { T, P, K } = variables("T", "P", "K");

const TOKEN = honestToken(T);
const FOREIGN = [enrolled(TOKEN, P, K), att(K)];
const UNSERVED = honestToken(term("unserved"));

const asks =
  (goal: readonly Term[], model: EnrolmentModel = {}, leaks: readonly Term[] = [], dropped: readonly string[] = []) =>
  (tables: Tables): Question => {
    const fields = { ...tables.fields, enrolled: tables.fields.enrolled.filter((name) => !dropped.includes(name)) };
    return { goal, protocol: enrolmentClauses({ ...tables, fields }, model), leaks };
  };

export const ENROLMENT_OBLIGATIONS: readonly Obligation[] = [
  obligation("property", "token-secret", "a token's secret stays secret", asks([att(tokenSecretOf(TOKEN))])),
  obligation(
    "property",
    "no-foreign-key",
    "no key of the attacker is enrolled under a device's token and name",
    asks(FOREIGN),
  ),
  obligation(
    "property",
    "no-borrowed-key",
    "no device's signing key is enrolled under a token of the attacker",
    asks([enrolled(ATTACKERS_TOKEN, P, signerUnder(TOKEN))]),
  ),
  obligation(
    "property",
    "server-signer-leaked-enrolment",
    "no key of the attacker is enrolled although the server's signing key leaked before",
    asks(FOREIGN, {}, [SERVER_KEY]),
  ),
  obligation(
    "property",
    "enrolled-by-server",
    "no device takes itself for enrolled without the server",
    asks([deviceEnrolled(TOKEN, K)], { absent: "server" }),
  ),
  obligation(
    "property",
    "enrolled-itself",
    "no device takes another's enrolment for its own",
    asks([deviceEnrolled(UNSERVED, K)], { refused: UNSERVED }),
  ),
  obligation(
    "property",
    "server-pinned",
    "no device pins a server of the attacker",
    asks([deviceEnrolled(TOKEN, K), att(K)]),
  ),
  obligation(
    "limit",
    "token-stolen",
    "a key of the attacker is enrolled when the token's secret was stolen",
    asks(FOREIGN, {}, [tokenSecretOf(TOKEN)]),
  ),
  obligation(
    "limit",
    "pepper-leaked",
    "a key of the attacker is enrolled when the server's token key leaked",
    asks(FOREIGN, {}, [PEPPER]),
  ),
  obligation(
    "control",
    "no-mac",
    "a key of the attacker is enrolled if the server does not check the MAC",
    asks(FOREIGN, { unchecked: "mac" }),
  ),
  obligation(
    "control",
    "no-own-signature",
    "a device's signing key is enrolled under another token if the server does not check the signature",
    asks([enrolled(ATTACKERS_TOKEN, P, signerUnder(TOKEN))], { unchecked: "signature" }),
  ),
  obligation(
    "control",
    "no-fingerprint",
    "a device pins a server of the attacker if it does not compare the fingerprint",
    asks([deviceEnrolled(TOKEN, K), att(K)], { unchecked: "fingerprint" }),
  ),
  obligation(
    "control",
    "unsigned-enrolment",
    "a device takes itself for enrolled without the server if it does not check the signature",
    asks([deviceEnrolled(TOKEN, K)], { unchecked: "answer", absent: "server" }),
  ),
  obligation(
    "control",
    "enrolled-anyone",
    "a device takes another's enrolment for its own if the answer names neither request nor device",
    asks([deviceEnrolled(UNSERVED, K)], { refused: UNSERVED }, [], ["request_digest", "device_id"]),
  ),
  obligation(
    "sanity",
    "server-enrols",
    "the server enrols a device's own keys",
    asks([enrolled(TOKEN, P, signerUnder(TOKEN))]),
  ),
  obligation(
    "sanity",
    "device-enrols",
    "a device takes itself for enrolled",
    asks([deviceEnrolled(TOKEN, SERVER_KEY)]),
  ),
];
