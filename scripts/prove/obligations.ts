// All obligations, in the order in which they are printed.

import { ENROLMENT_OBLIGATIONS } from "./enrolment-obligations.ts";
import type { Obligation } from "./obligation.ts";
import { REKEY_OBLIGATIONS } from "./rekey-obligations.ts";
import { RESUME_OBLIGATIONS } from "./resume-obligations.ts";
import { ROTATION_OBLIGATIONS } from "./rotation-obligations.ts";
import { SESSION_OBLIGATIONS } from "./session-obligations.ts";
import { UPDATE_OBLIGATIONS } from "./update-obligations.ts";

export const OBLIGATIONS: Readonly<
  Record<"session" | "resumption" | "enrolment" | "rekey" | "rotation" | "update", readonly Obligation[]>
> = {
  session: SESSION_OBLIGATIONS,
  resumption: RESUME_OBLIGATIONS,
  enrolment: ENROLMENT_OBLIGATIONS,
  rekey: REKEY_OBLIGATIONS,
  rotation: ROTATION_OBLIGATIONS,
  update: UPDATE_OBLIGATIONS,
};

export function allObligations(): Obligation[] {
  return Object.values(OBLIGATIONS).flat();
}
