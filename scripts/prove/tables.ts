// What the models take from the product: fields of messages from their shapes, inputs of hashes and key schedule from
// src/wire/transcript.ts, contexts of signatures from src/wire/labels.ts. A negative control hands in a damaged copy.

import type { Message } from "../../src/core/shape.ts";
import { answerMessage, helloMessage } from "../../src/wire/challenge.ts";
import { enrolledMessage, enrollMessage } from "../../src/wire/enroll.ts";
import { identityMessage } from "../../src/wire/identity.ts";
import { CONTEXTS } from "../../src/wire/labels.ts";
import { rekeyedMessage, rekeyMessage } from "../../src/wire/rekey.ts";
import { resumeAnswer, resumeHello } from "../../src/wire/resume.ts";
import { rotationMessage } from "../../src/wire/rotation.ts";
import {
  CONFIRMATIONS,
  DEVICE_ID,
  ENROLL_MAC,
  type Input,
  isLabel,
  KEY_SCHEDULE,
  RECORD_CONTEXT,
  RESUME_BINDER,
  RESUME_SECRETS,
  TRANSCRIPT,
  UPDATE_CONTEXT,
} from "../../src/wire/transcript.ts";
import { manifestMessage } from "../../src/wire/update.ts";
import { expand, extract } from "./attacker.ts";
import { type Term, term } from "./term.ts";

export type MessageName =
  | ("hello" | "answer" | "resumeHello" | "resumeAnswer")
  | ("enroll" | "enrolled" | "rekey" | "rekeyed" | "identity" | "rotation" | "manifest");
export type Values = Readonly<Record<string, Term>>;

export interface Tables {
  readonly fields: Readonly<Record<MessageName, readonly string[]>>;
  readonly contexts: Readonly<Record<keyof typeof CONTEXTS, string>>;
  readonly transcript: Readonly<Record<keyof typeof TRANSCRIPT, Input>>;
  readonly confirmations: Readonly<Record<keyof typeof CONFIRMATIONS, Input>>;
  readonly secrets: readonly string[];
  readonly resumeSecrets: readonly string[];
  readonly binderKey: Input;
  readonly binderMac: Input;
  readonly step: Input;
  readonly master: Input;
  readonly keys: Readonly<Record<keyof (typeof KEY_SCHEDULE)["keys"], Input>>;
  readonly enrollMac: Input;
  readonly deviceId: Input;
  readonly recordContext: Input;
  readonly updateContext: Input;
}

export function productTables(): Tables {
  const { secrets, step, master, keys } = KEY_SCHEDULE;
  return {
    fields: {
      hello: fieldsOf(helloMessage),
      answer: fieldsOf(answerMessage),
      resumeHello: fieldsOf(resumeHello),
      resumeAnswer: fieldsOf(resumeAnswer),
      enroll: fieldsOf(enrollMessage),
      enrolled: fieldsOf(enrolledMessage),
      rekey: fieldsOf(rekeyMessage),
      rekeyed: fieldsOf(rekeyedMessage),
      identity: fieldsOf(identityMessage),
      rotation: fieldsOf(rotationMessage),
      manifest: fieldsOf(manifestMessage),
    },
    contexts: CONTEXTS,
    transcript: TRANSCRIPT,
    confirmations: CONFIRMATIONS,
    ...{ secrets, step, master, keys },
    resumeSecrets: RESUME_SECRETS,
    binderKey: RESUME_BINDER.key,
    binderMac: RESUME_BINDER.mac,
    enrollMac: ENROLL_MAC,
    deviceId: DEVICE_ID,
    recordContext: RECORD_CONTEXT,
    updateContext: UPDATE_CONTEXT,
  };
}

function fieldsOf<T>({ shape }: Message<T>): string[] {
  return Object.keys(shape.fields);
}

/** The input without the named part. Throws RangeError where it has no such part. */
export function without(input: Input, name: string): Input {
  const rest: (string | readonly string[])[] = [];
  for (const part of input) {
    if (typeof part !== "string") rest.push(part.filter((inner) => inner !== name));
    else if (part !== name) rest.push(part);
  }
  if (rest.flat().length === input.flat().length) throw new RangeError(`expected a part ${name} in ${input.flat()}`);
  return rest;
}

/** Throws RangeError where the message has a field that the model does not know, or lacks one that the model needs. */
export function messageTerm(tables: Tables, name: MessageName, values: Values, needed: readonly string[] = []): Term {
  const fields = tables.fields[name];
  const missing = needed.find((field) => !fields.includes(field));
  if (missing !== undefined) throw new RangeError(`Cannot model ${name}: expected a field ${missing}`);
  return term(`m_${name}`, ...fields.map((field) => termOf(values, field, name)));
}

/** What a hash, MAC or seal reads. Throws RangeError where the input names a value that the model does not know. */
export function partsOf(input: Input, values: Values): Term[] {
  return input.flat().map((part) => (isLabel(part) ? labelTerm(part) : termOf(values, part, "an input")));
}

function termOf(values: Values, name: string, where: string): Term {
  const value = values[name];
  if (value === undefined) throw new RangeError(`Cannot model ${where}: the model does not know ${name}`);
  return value;
}

/** A label or a signature's context. */
export function labelTerm(label: string): Term {
  return term(`l_${label.replaceAll(/[^a-zA-Z0-9]+/g, "_")}`);
}

export type SessionKeyTerms = Readonly<Record<keyof Tables["keys"], Term>>;

/** secrets: a term for each secret of the key schedule. */
export function scheduleTerms(tables: Tables, secrets: Values, th2: Term): SessionKeyTerms {
  let root: Term | undefined;
  for (const name of tables.secrets) {
    const salt = root === undefined ? term("c_empty") : expand(root, partsOf(tables.step, {}));
    root = extract(salt, termOf(secrets, name, "the key schedule"));
  }
  if (root === undefined) throw new RangeError("Cannot model the key schedule: expected a secret, got none");
  const master = expand(root, partsOf(tables.master, { th2 }));
  const keys = Object.entries(tables.keys).map(([name, info]) => [name, expand(master, partsOf(info, { th2 }))]);
  return Object.fromEntries(keys) as SessionKeyTerms;
}
