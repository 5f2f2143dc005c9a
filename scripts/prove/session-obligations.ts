// What is asked about handshake and records.

import { att, later } from "./attacker.ts";
import { type Obligation, obligation, type Question } from "./obligation.ts";
import {
  deviceGot,
  deviceHolds,
  deviceKem,
  deviceReady,
  deviceSigner,
  down,
  helloOf,
  nonceFor,
  SERVER_KEY,
  type SessionModel,
  serverBegan,
  serverGot,
  sessionClauses,
  up,
  WEAK,
} from "./session.ts";
import { type Tables, without } from "./tables.ts";
import { type Term, term, variables } from "./term.ts";

const { I, J, S, Ns, Exp, Path, Q, H, M, H2 } = variables("I", "J", "S", "Ns", "Exp", "Path", "Q", "H", "M", "H2");
const { Other, Q2 } = variables("Other", "Q2");

const EVIL = term("c_evil");
const DEVICE_KEM = deviceKem(I);
const DEVICE_SIGNER = deviceSigner(I);
const ALL_KEYS = [DEVICE_KEM, DEVICE_SIGNER, SERVER_KEY];

const UP = up(I, S, Ns, Path, Q);
const DOWN = down(I, H, Path, Q);
const [READ_UP, READ_DOWN] = [[att(UP)], [att(DOWN)]];

type Damage = (tables: Tables) => Tables;

/** goal in the model as it is, or changed as said. */
const asks =
  (
    goal: readonly Term[],
    model: SessionModel = {},
    rest: Pick<Question, "leaks" | "leaksLater"> = {},
    damage?: Damage,
  ) =>
  (tables: Tables): Question => ({
    goal,
    protocol: sessionClauses(damage === undefined ? tables : damage(tables), model),
    ...rest,
  });

/** Name and claim twice, for requests and for answers. */
function bothWays(
  kind: "property" | "limit",
  name: string,
  claim: string,
  model: SessionModel,
  rest: Pick<Question, "leaks" | "leaksLater"> = {},
): Obligation[] {
  const knows = rest.leaksLater === undefined ? att : later;
  const fate = kind === "property" ? "stay secret" : "can be read";
  return [
    obligation(kind, `${name}-requests`, `requests ${fate} ${claim}`, asks([knows(UP)], model, rest)),
    obligation(kind, `${name}-answers`, `answers ${fate} ${claim}`, asks([knows(DOWN)], model, rest)),
  ];
}

const SECRECY: readonly Obligation[] = [
  ...bothWays("property", "secret", "on a network that the attacker owns", {}),
  ...bothWays("property", "forward-secret", "although every long-term key leaks later", {}, { leaksLater: ALL_KEYS }),
  ...bothWays("property", "ephemeral-broken", "although the ephemeral KEM is broken", { broken: ["ephemeral"] }),
  ...bothWays("property", "static-broken", "although the static KEM is broken", { broken: ["static"] }),
  ...bothWays("property", "psk", "although both KEMs are broken, under a key held beforehand", {
    broken: ["ephemeral", "static"],
    isPskSecret: true,
  }),
  ...bothWays(
    "property",
    "device-kem-leaked",
    "although the device's KEM key leaked before",
    {},
    { leaks: [DEVICE_KEM] },
  ),
  ...bothWays(
    "property",
    "device-signer-leaked",
    "although the device's signing key leaked before",
    {},
    { leaks: [DEVICE_SIGNER] },
  ),
  ...bothWays("property", "weak-suite", "although a suite that the device would take last is broken", {
    broken: ["weakSuite"],
  }),
  obligation(
    "property",
    "device-keys-leaked-requests",
    "requests of the real device stay secret although both its keys leaked before",
    asks(READ_UP, {}, { leaks: [DEVICE_KEM, DEVICE_SIGNER] }),
  ),
  obligation(
    "property",
    "server-signer-leaked-answers",
    "answers stay secret although the server's signing key leaked before",
    asks(READ_DOWN, {}, { leaks: [SERVER_KEY] }),
  ),
];

const RESUMPTION: readonly Obligation[] = [
  obligation(
    "property",
    "resumption-secret",
    "the resumption secret of a device's session stays secret",
    asks([deviceHolds(I, H), att(H)]),
  ),
  obligation(
    "property",
    "resumption-forward-secret",
    "the resumption secret of a device's session stays secret although every long-term key leaks later",
    asks([deviceHolds(I, H), later(H)], {}, { leaksLater: ALL_KEYS }),
  ),
];

const AUTHENTICITY: readonly Obligation[] = [
  obligation(
    "property",
    "server-alive",
    "no device completes a session without the server",
    asks([deviceReady(I, S, Ns, Exp)], { absent: "server" }),
  ),
  obligation(
    "property",
    "server-alive-device-keys-leaked",
    "no device completes a session without the server although both its keys leaked before",
    asks([deviceReady(I, S, Ns, Exp)], { absent: "server" }, { leaks: [DEVICE_KEM, DEVICE_SIGNER] }),
  ),
  obligation(
    "property",
    "device-alive",
    "the server takes no request of a device that never answered",
    asks([serverGot(I, H, Path, M)], { absent: "device" }),
  ),
  obligation(
    "property",
    "device-alive-kem-leaked",
    "the server takes no request of a silent device although its KEM key leaked before",
    asks([serverGot(I, H, Path, M)], { absent: "device" }, { leaks: [DEVICE_KEM] }),
  ),
  obligation(
    "property",
    "device-alive-signer-leaked",
    "the server takes no request of a silent device although its signing key leaked before",
    asks([serverGot(I, H, Path, M)], { absent: "device" }, { leaks: [DEVICE_SIGNER] }),
  ),
  obligation(
    "property",
    "same-hello",
    "a device completes with the answer to its own first message alone",
    (tables) => {
      const foreign = nonceFor(helloOf(tables, J, term("session_b")));
      return asks([deviceReady(I, term("session_a"), foreign, Exp)])(tables);
    },
  ),
  obligation(
    "property",
    "same-answer",
    "a device completes with an answer as the server wrote it",
    asks([deviceReady(I, S, Ns, EVIL)]),
  ),
  obligation(
    "property",
    "request-authentic",
    "the server takes no request that the attacker made",
    asks([serverGot(I, H, Path, EVIL)]),
  ),
  obligation(
    "property",
    "answer-authentic",
    "a device takes no answer that the attacker made",
    asks([deviceGot(I, S, Path, Q, EVIL)]),
  ),
  obligation(
    "property",
    "request-of-its-device",
    "a request counts for the device that sent it",
    asks([serverGot(term("device_a"), H, Path, up(term("device_b"), S, Ns, Path, Q))]),
  ),
  obligation("property", "request-of-its-session", "a request counts in the session that it was sent in", (tables) => {
    const hello = helloOf(tables, I, term("session_a"));
    return asks([serverGot(I, hello, Path, up(I, term("session_b"), Ns, Path, Q))])(tables);
  }),
  obligation(
    "property",
    "request-in-its-place",
    "a request opens at the path that it was sent to",
    asks([serverGot(I, H, term("c_path_a"), up(J, S, Ns, term("c_path_b"), Q))]),
  ),
  obligation(
    "property",
    "answer-to-its-request",
    "an answer opens as the answer to the request that it was given to",
    asks([deviceGot(I, S, Path, term("c_first"), down(J, H, Other, term("c_second")))]),
  ),
  obligation(
    "property",
    "no-reflection",
    "a device never takes its own request for an answer",
    asks([deviceGot(I, S, Path, Q, up(J, H, Ns, Other, Q2))]),
  ),
  obligation(
    "property",
    "no-downgrade",
    "cutting the list of suites gives no session in a weaker one",
    asks([serverBegan(I, WEAK)]),
  ),
];

const LIMITS: readonly Obligation[] = [
  ...bothWays("limit", "both-broken", "when both KEMs are broken and there is no other key", {
    broken: ["ephemeral", "static"],
  }),
  ...bothWays(
    "limit",
    "leaked-and-ephemeral-broken",
    "when every long-term key leaks later and the ephemeral KEM is broken",
    { broken: ["ephemeral"] },
    { leaksLater: ALL_KEYS },
  ),
  obligation(
    "limit",
    "device-keys-leaked-answers",
    "answers can be read when both keys of the device leaked before",
    asks(READ_DOWN, {}, { leaks: [DEVICE_KEM, DEVICE_SIGNER] }),
  ),
  obligation(
    "limit",
    "server-signer-leaked-requests",
    "requests can be read when the server's signing key leaked before",
    asks(READ_UP, {}, { leaks: [SERVER_KEY] }),
  ),
  obligation(
    "limit",
    "server-signer-leaked-alive",
    "a device completes without the server when the server's signing key leaked before",
    asks([deviceReady(I, S, Ns, Exp)], { absent: "server" }, { leaks: [SERVER_KEY] }),
  ),
];

const withoutAnswer: Damage = (tables) => ({
  ...tables,
  transcript: { ...tables.transcript, th2: without(tables.transcript.th2, "answer") },
});
const withoutInRecords =
  (part: string): Damage =>
  (tables) => ({
    ...tables,
    recordContext: without(tables.recordContext, part),
  });
const withoutSecret =
  (name: string): Damage =>
  (tables) => ({
    ...tables,
    secrets: tables.secrets.filter((secret) => secret !== name),
  });
const oneWay: Damage = (tables) => {
  const { clientKey, clientIv } = tables.keys;
  const keys = { ...tables.keys, serverKey: clientKey, serverIv: clientIv };
  return { ...withoutInRecords("direction")(tables), keys };
};

const CONTROLS: readonly Obligation[] = [
  obligation(
    "control",
    "unsigned-answer",
    "requests can be read if the device does not check the server's signature",
    asks(READ_UP, { unchecked: "answerSignature" }),
  ),
  obligation(
    "control",
    "unsigned-hello",
    "answers can be read if the server does not check the device's signature and its KEM key leaked",
    asks(READ_DOWN, { unchecked: "helloSignature" }, { leaks: [DEVICE_KEM] }),
  ),
  obligation(
    "control",
    "unsigned-wishes",
    "a session in a weaker suite begins if the server does not check the device's signature",
    asks([serverBegan(I, WEAK)], { unchecked: "helloSignature" }),
  ),
  obligation(
    "control",
    "unsigned-wishes-weak-suite",
    "answers can be read if the server does not check the device's signature and a weak suite is broken",
    asks(READ_DOWN, { unchecked: "helloSignature", broken: ["weakSuite"] }),
  ),
  obligation(
    "control",
    "answer-not-hashed",
    "a device takes an altered answer if the transcript leaves it out",
    asks([deviceReady(I, S, Ns, EVIL)], {}, {}, withoutAnswer),
  ),
  obligation(
    "control",
    "no-static-secret",
    "requests can be read if the schedule leaves out the static secret and the ephemeral KEM is broken",
    asks(READ_UP, { broken: ["ephemeral"] }, {}, withoutSecret("staticSecret")),
  ),
  obligation(
    "control",
    "no-ephemeral-secret",
    "requests can be read later if the schedule leaves out the ephemeral secret",
    asks([later(UP)], {}, { leaksLater: ALL_KEYS }, withoutSecret("ephemeralSecret")),
  ),
  obligation(
    "control",
    "no-psk",
    "requests can be read if the schedule leaves out the key held beforehand and both KEMs are broken",
    asks(READ_UP, { broken: ["ephemeral", "static"], isPskSecret: true }, {}, withoutSecret("psk")),
  ),
  obligation(
    "control",
    "record-without-path",
    "a request opens at another path if the record does not name its path",
    asks([serverGot(I, H, term("c_path_a"), up(J, S, Ns, term("c_path_b"), Q))], {}, {}, withoutInRecords("path")),
  ),
  obligation(
    "control",
    "record-without-answers",
    "an answer passes for that to another request if the record does not name its request",
    asks(
      [deviceGot(I, S, Path, term("c_first"), down(J, H, Other, term("c_second")))],
      {},
      {},
      withoutInRecords("answers"),
    ),
  ),
  obligation(
    "control",
    "one-key-both-ways",
    "a device takes its own request for an answer if both directions share keys and context",
    asks([deviceGot(I, S, Path, Q, up(J, H2, Ns, Other, Q2))], {}, {}, oneWay),
  ),
];

const SANITY: readonly Obligation[] = [
  obligation("sanity", "session-completes", "a device completes a session", asks([deviceReady(I, S, Ns, Exp)])),
  obligation("sanity", "request-arrives", "the server takes a device's request", asks([serverGot(I, H, Path, UP)])),
  obligation("sanity", "answer-arrives", "a device takes the server's answer", asks([deviceGot(I, S, Path, Q, DOWN)])),
];

export const SESSION_OBLIGATIONS: readonly Obligation[] = [
  ...SECRECY,
  ...RESUMPTION,
  ...AUTHENTICITY,
  ...LIMITS,
  ...CONTROLS,
  ...SANITY,
];
