// What is asked about resumption.

import { att, later } from "./attacker.ts";
import { type Obligation, obligation, type Question } from "./obligation.ts";
import {
  deviceResumed,
  type ResumeModel,
  resumeClauses,
  resumedDeviceGot,
  resumedDown,
  resumedGot,
  resumedUp,
  resumptionOf,
  serverResumed,
} from "./resume.ts";
import { type Tables, without } from "./tables.ts";
import { type Term, term, variables } from "./term.ts";

const { I, J, S, Ns, Exp, Q, Nd } = variables("I", "J", "S", "Ns", "Exp", "Q", "Nd");
const EVIL = term("c_evil");
const SECRET = resumptionOf(I, S);
const UP = resumedUp(I, S, Ns, Q);
/** Of an honest device: the attacker reads what is answered to his own. */
const DOWN = resumedDown(term("device_a"), Nd, Q);

const asks =
  (
    goal: readonly Term[],
    model: ResumeModel = {},
    rest: Pick<Question, "leaks" | "leaksLater"> = {},
    damage: (tables: Tables) => Tables = (tables) => tables,
  ) =>
  (tables: Tables): Question => ({ goal, protocol: resumeClauses(damage(tables), model), ...rest });

const withoutSecret =
  (name: string) =>
  (tables: Tables): Tables => ({ ...tables, resumeSecrets: tables.resumeSecrets.filter((one) => one !== name) });
const withoutAnswer = (tables: Tables): Tables => ({
  ...tables,
  transcript: { ...tables.transcript, th2: without(tables.transcript.th2, "answer") },
});

export const RESUME_OBLIGATIONS: readonly Obligation[] = [
  obligation("property", "resumed-secret-requests", "requests of a resumed session stay secret", asks([att(UP)])),
  obligation("property", "resumed-secret-answers", "answers of a resumed session stay secret", asks([att(DOWN)])),
  obligation(
    "property",
    "resumed-forward-secret",
    "requests of a resumed session stay secret although its resumption secret leaks later",
    asks([later(UP)], {}, { leaksLater: [SECRET] }),
  ),
  obligation(
    "property",
    "resumed-ephemeral-broken",
    "requests of a resumed session stay secret although its fresh KEM is broken",
    asks([att(UP)], { isEphemeralBroken: true }),
  ),
  obligation(
    "property",
    "resumed-server-alive",
    "no device goes on with a session without the server",
    asks([deviceResumed(I, S, Ns, Exp)], { absent: "server" }),
  ),
  obligation(
    "property",
    "resumed-device-alive",
    "the server takes no request of a device that never answered its resumption",
    asks([resumedGot(term("device_a"), Q)], { absent: "device" }),
  ),
  obligation(
    "property",
    "resumed-ticket-of-its-device",
    "the server spends no ticket for somebody else than the device of its session",
    asks([serverResumed(term("device_a"))], { absent: "deviceHello" }),
  ),
  obligation(
    "property",
    "resumed-same-answer",
    "a device goes on with an answer as the server wrote it",
    asks([deviceResumed(I, S, Ns, EVIL)]),
  ),
  obligation(
    "property",
    "resumed-request-authentic",
    "the server takes no request that the attacker made in a resumed session of a device",
    asks([resumedGot(term("device_a"), EVIL)]),
  ),
  obligation(
    "property",
    "resumed-answer-authentic",
    "a device takes no answer that the attacker made in a resumed session",
    asks([resumedDeviceGot(I, S, EVIL)]),
  ),
  obligation(
    "property",
    "resumed-request-of-its-device",
    "a request in a resumed session counts for the device that sent it",
    asks([resumedGot(term("device_a"), resumedUp(term("device_b"), S, Ns, Q))]),
  ),
  obligation(
    "limit",
    "resumption-leaked",
    "requests of a resumed session can be read by who took part with its resumption secret leaked before",
    asks([att(UP)], {}, { leaks: [SECRET] }),
  ),
  obligation(
    "limit",
    "resumption-leaked-and-ephemeral-broken",
    "requests of a resumed session can be read when its resumption secret leaks later and its fresh KEM is broken",
    asks([later(UP)], { isEphemeralBroken: true }, { leaksLater: [SECRET] }),
  ),
  obligation(
    "control",
    "resume-without-binder",
    "the server spends a device's ticket for anybody if it does not check the binder",
    asks([serverResumed(term("device_a"))], { absent: "deviceHello", unchecked: "binder" }),
  ),
  obligation(
    "control",
    "resume-without-resumption-secret",
    "requests of a resumed session can be read if the schedule leaves out the resumption secret",
    asks([att(UP)], {}, {}, withoutSecret("resumption")),
  ),
  obligation(
    "control",
    "resume-without-ephemeral-secret",
    "requests of a resumed session can be read later if the schedule leaves out the ephemeral secret",
    asks([later(UP)], {}, { leaksLater: [SECRET] }, withoutSecret("ephemeralSecret")),
  ),
  obligation(
    "control",
    "resume-answer-not-hashed",
    "a device goes on with an altered answer if the transcript leaves it out",
    asks([deviceResumed(I, S, Ns, EVIL)], {}, {}, withoutAnswer),
  ),
  obligation("sanity", "resume-completes", "a device goes on with a session", asks([deviceResumed(I, S, Ns, Exp)])),
  obligation(
    "sanity",
    "resumed-request-arrives",
    "the server takes a device's request in a resumed session",
    asks([resumedGot(J, resumedUp(J, S, Ns, Q))]),
  ),
];
