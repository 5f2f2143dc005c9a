// One table a message: member, what its shape takes, and (the page's own words) what it means.

import { bindingMessage } from "../../src/attestation/binding.ts";
import { evidenceMessage } from "../../src/attestation/evidence-message.ts";
import { referenceValues } from "../../src/attestation/reference-values.ts";
import { simulatedEvidence, simulatedReport } from "../../src/attestation/simulated.ts";
import type { Message, ObjectShape, Shape } from "../../src/core/shape.ts";
import { auditEntry, enclaveRecord } from "../../src/wire/audit.ts";
import { answerMessage, challengeAnswer, challengeRequest, helloMessage } from "../../src/wire/challenge.ts";
import { ENCLAVE_OPERATIONS, enclaveCall, enclaveReply } from "../../src/wire/enclave.ts";
import { enclaveIdentityMessage } from "../../src/wire/enclave-identity.ts";
import { enrollAnswer, enrolledMessage, enrollMessage, enrollRequest } from "../../src/wire/enroll.ts";
import { identityMessage } from "../../src/wire/identity.ts";
import { modelStatement } from "../../src/wire/model.ts";
import { policyMessage } from "../../src/wire/policy.ts";
import { receiptAnswer, receiptMessage } from "../../src/wire/receipt.ts";
import { rekeyAnswer, rekeyedMessage, rekeyMessage, rekeyRequest } from "../../src/wire/rekey.ts";
import { reportMessage } from "../../src/wire/report.ts";
import { resumeAnswer, resumeChallengeAnswer, resumeHello, resumeRequest } from "../../src/wire/resume.ts";
import { rotationAnnouncement, rotationMessage, rotationsAnswer } from "../../src/wire/rotation.ts";
import { manifestMessage, submitMessage } from "../../src/wire/update.ts";
import { workAnswer, workRequest } from "../../src/wire/work.ts";
import type { Block } from "./page.ts";

type AnyMessage = Pick<Message<unknown>, "name" | "bytesMax"> & { readonly shape: ObjectShape<unknown> };

/** Every message of the protocol. */
export const MESSAGES: readonly AnyMessage[] = [
  identityMessage,
  enrollRequest,
  enrollMessage,
  enrollAnswer,
  enrolledMessage,
  challengeRequest,
  helloMessage,
  challengeAnswer,
  answerMessage,
  resumeRequest,
  resumeHello,
  resumeChallengeAnswer,
  resumeAnswer,
  rotationsAnswer,
  rotationAnnouncement,
  rotationMessage,
  rekeyRequest,
  rekeyMessage,
  rekeyAnswer,
  rekeyedMessage,
  workRequest,
  workAnswer,
  policyMessage,
  bindingMessage,
  evidenceMessage,
  simulatedEvidence,
  simulatedReport,
  enclaveIdentityMessage,
  referenceValues,
  modelStatement,
  submitMessage,
  manifestMessage,
  receiptAnswer,
  receiptMessage,
  reportMessage,
  auditEntry,
  enclaveRecord,
  enclaveCall,
  enclaveReply,
  ...Object.values(ENCLAVE_OPERATIONS).flatMap(({ request, answer }) => [request, answer]),
];

export function messageBlocks(): Record<string, Block> {
  return Object.fromEntries(MESSAGES.map((message) => [`message ${message.name}`, { table: tableOf(message) }]));
}

function tableOf({ name, bytesMax, shape }: AnyMessage) {
  return {
    title: `${name}: at most ${bytesMax} bytes`,
    columns: ["member", "value", "meaning"],
    rows: rowsOf(shape, ""),
    isExplained: true,
  };
}

/** Members of a map inside a message stand below it: `task.round`, and `cohort[].device_id` for a list of maps. */
function rowsOf(shape: ObjectShape<unknown>, prefix: string): string[][] {
  return Object.entries(shape.fields).flatMap(([name, member]) => {
    const leaf = leafOf(member);
    const row = [`\`${prefix}${name}\``, wordsOf(member, leaf)];
    const isList = member.inner !== undefined && member.words.startsWith("list");
    return isMap(leaf) ? [row, ...rowsOf(leaf, `${prefix}${name}${isList ? "[]" : ""}.`)] : [row];
  });
}

function leafOf(shape: Shape<unknown>): Shape<unknown> {
  return shape.inner === undefined ? shape : leafOf(shape.inner);
}

function isMap(shape: Shape<unknown>): shape is ObjectShape<unknown> {
  return "fields" in shape;
}

function wordsOf(shape: Shape<unknown>, leaf: Shape<unknown>): string {
  const words = isMap(leaf) ? shape.words.replace(leaf.words, "map") : shape.words;
  return words.replace(/matching (.*)$/, "matching `$1`").replace(` to ${Number.MAX_VALUE}`, "");
}
