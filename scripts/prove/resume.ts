// Model of resumption: any number of devices and sessions, each of which is gone on with once.
//
//   device I, session S    resumption secret res(I,S), ticket tk(I,S); per resumption rk(I,S), rn(I,S)
//   server                 knows each ticket's secret and owner; what it makes fresh is a function of the first message
//   up(...), down(...)     what a record carries, as in session.ts
//
// That the resumption secret of a session is known to its two ends alone is an obligation of session.ts.

import { att, broken, expand, hash, kemCiphertext, kemKey, kemSecret, mac, verifyKey } from "./attacker.ts";
import { recordTerm, SERVER_KEY } from "./session.ts";
import { messageTerm, partsOf, type SessionKeyTerms, scheduleTerms, type Tables } from "./tables.ts";
import { type Clause, clause, clauses, type Term, term, variables } from "./term.ts";

export interface ResumeModel {
  readonly isEphemeralBroken?: boolean;
  readonly unchecked?: "binder";
  /** Who never speaks: the server, the device after its first message, or the device at all. */
  readonly absent?: "server" | "device" | "deviceHello";
}

const { I, S, E, Tid, Held, Owner, B } = variables("I", "S", "E", "Tid", "Held", "Owner", "B");
const { Sid, Ns, Exp, Ekh, R, Nd, Path, Q, Q2, M } = variables(
  ...(["Sid", "Ns", "Exp", "Ekh", "R", "Nd", "Path", "Q", "Q2", "M"] as const),
);
const ONE = term("c_one");

export const resumptionOf = (i: Term, s: Term): Term => term("res", i, s);
const ticketOf = (i: Term, s: Term): Term => term("tk", i, s);
const ephemeralOf = (i: Term, s: Term): Term => kemKey("ephemeral", term("rk", i, s));

export const deviceResumed = (i: Term, s: Term, ns: Term, exp: Term): Term => term("device_resumed", i, s, ns, exp);
export const serverResumed = (owner: Term): Term => term("server_resumed", owner);
export const resumedGot = (owner: Term, m: Term): Term => term("resumed_got", owner, m);
export const resumedDeviceGot = (i: Term, s: Term, m: Term): Term => term("resumed_device_got", i, s, m);
export const resumedUp = (i: Term, s: Term, ns: Term, q: Term): Term => term("rup", i, s, ns, q);
export const resumedDown = (owner: Term, nonce: Term, q: Term): Term => term("rdown", owner, nonce, q);

interface View {
  readonly keys: SessionKeyTerms;
  readonly serverConfirmation: Term;
  readonly deviceConfirmation: Term;
}

function binderOf(tables: Tables, resumption: Term, hello: Term): Term {
  const key = expand(resumption, partsOf(tables.binderKey, {}));
  return mac(key, partsOf(tables.binderMac, { hello }));
}

function viewOf(
  tables: Tables,
  exchanged: { hello: Term; binder: Term; answer: Term; resumption: Term; ephemeralSecret: Term },
): View {
  const { hello, binder, answer, resumption, ephemeralSecret } = exchanged;
  const { transcript, confirmations } = tables;
  const th1 = hash(...partsOf(transcript.resumeTh1, { hello, binder }));
  const th2 = hash(...partsOf(transcript.th2, { th1, answer, serverKey: verifyKey(SERVER_KEY) }));
  const keys = scheduleTerms({ ...tables, secrets: tables.resumeSecrets }, { resumption, ephemeralSecret }, th2);
  const serverConfirmation = mac(keys.confirmServer, partsOf(confirmations.server, { th2 }));
  const th3 = hash(...partsOf(transcript.resumeTh3, { th2, serverConfirmation }));
  return {
    keys,
    serverConfirmation,
    deviceConfirmation: mac(keys.confirmDevice, partsOf(confirmations.device, { th3 })),
  };
}

function helloOf(tables: Tables, ticket: Term, nonce: Term, ephemeralKey: Term): Term {
  const fields = { v: ONE, ticket, nonce, ephemeral_public_key: ephemeralKey };
  return messageTerm(tables, "resumeHello", fields, ["ticket", "nonce", "ephemeral_public_key"]);
}

function deviceClauses(tables: Tables, model: ResumeModel): Clause[] {
  const hello = helloOf(tables, ticketOf(I, S), term("rn", I, S), ephemeralOf(I, S));
  const resumption = resumptionOf(I, S);
  const binder = binderOf(tables, resumption, hello);
  const answer = messageTerm(
    tables,
    "resumeAnswer",
    {
      ...{ v: ONE, session_id: Sid, nonce: Ns, expires_at: Exp, enclave_key_hash: Ekh },
      ephemeral_ciphertext: kemCiphertext("ephemeral", ephemeralOf(I, S), R),
    },
    ["ephemeral_ciphertext"],
  );
  const ephemeralSecret = kemSecret("ephemeral", ephemeralOf(I, S), R);
  const view = viewOf(tables, { hello, binder, answer, resumption, ephemeralSecret });
  const ready = term("resume_ready", I, S, Sid, Ns, Exp, Ekh, R);
  const own = { direction: "client", sid: Sid, sequence: Q, answers: Q } as const;
  const theirs = { direction: "server", sid: Sid, sequence: Q2, answers: Q } as const;
  const request = recordTerm(tables, view.keys, own, resumedUp(I, S, Ns, Q));
  return [
    ...clauses([att(hello), att(binder)]),
    clause(ready, att(answer), att(view.serverConfirmation)),
    clause(deviceResumed(I, S, Ns, Exp), ready),
    ...(model.absent === "device"
      ? []
      : [clause(att(view.deviceConfirmation), ready), clause(att(request), ready, att(Path), att(Q))]),
    clause(resumedDeviceGot(I, S, M), ready, att(recordTerm(tables, view.keys, theirs, M))),
  ];
}

function serverClauses(tables: Tables, model: ResumeModel): Clause[] {
  const hello = helloOf(tables, Tid, Nd, E);
  const binder = model.unchecked === "binder" ? B : binderOf(tables, Held, hello);
  const [r, sid, ns] = ["rr", "rsid", "rns"].map((name) => term(name, hello)) as [Term, Term, Term];
  const answer = messageTerm(tables, "resumeAnswer", {
    ...{ v: ONE, session_id: sid, nonce: ns, expires_at: term("c_now") },
    enclave_key_hash: term("c_enclave_key_hash"),
    ephemeral_ciphertext: kemCiphertext("ephemeral", E, r),
  });
  const ephemeralSecret = kemSecret("ephemeral", E, r);
  const view = viewOf(tables, { hello, binder, answer, resumption: Held, ephemeralSecret });
  const accepted = term("resume_accepted", Tid, Held, Owner, Nd, E, binder);
  const own = { direction: "client", sid, sequence: Q, answers: Q } as const;
  const theirs = { direction: "server", sid, sequence: term("c_next"), answers: Q } as const;
  const opened = [accepted, att(view.deviceConfirmation), att(recordTerm(tables, view.keys, own, M))];
  return [
    clause(accepted, att(hello), att(binder), term("ticket", Tid, Held, Owner)),
    clause(serverResumed(Owner), accepted),
    ...clauses([att(answer), att(view.serverConfirmation)], accepted),
    clause(resumedGot(Owner, M), ...opened),
    clause(att(recordTerm(tables, view.keys, theirs, resumedDown(Owner, Nd, Q))), ...opened),
  ];
}

/** A device of the attacker's own has sessions too. */
const TICKETS: readonly Clause[] = [
  clause(term("ticket", ticketOf(I, S), resumptionOf(I, S), I)),
  clause(term("ticket", term("c_evil_ticket"), term("c_evil_resumption"), term("c_evil_device"))),
  ...clauses([att(ticketOf(I, S)), att(term("c_evil_ticket")), att(term("c_evil_resumption"))]),
  clause(att(verifyKey(SERVER_KEY))),
];

export function resumeClauses(tables: Tables, model: ResumeModel = {}): Clause[] {
  return [
    ...TICKETS,
    ...(model.absent === "deviceHello" ? [] : deviceClauses(tables, model)),
    ...(model.absent === "server" ? [] : serverClauses(tables, model)),
    ...(model.isEphemeralBroken === true ? [broken("ephemeral")] : []),
  ];
}
