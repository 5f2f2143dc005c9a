// All obligations, in the order in which they are printed.

import { ENROLMENT_OBLIGATIONS } from "./enrolment-obligations.ts";
import type { Obligation } from "./obligation.ts";
import { SESSION_OBLIGATIONS } from "./session-obligations.ts";
import { UPDATE_OBLIGATIONS } from "./update-obligations.ts";

export const OBLIGATIONS: Readonly<Record<"session" | "enrolment" | "update", readonly Obligation[]>> = {
  session: SESSION_OBLIGATIONS,
  enrolment: ENROLMENT_OBLIGATIONS,
  update: UPDATE_OBLIGATIONS,
};

export function allObligations(): Obligation[] {
  return Object.values(OBLIGATIONS).flat();
}
