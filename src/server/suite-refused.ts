// The refusal of a suite, with those that the device could have here. It is told to a device that has signed its
// request; the list is no promise, since the device's next offer is signed and judged anew.

import { QflareError } from "../core/error.ts";
import type { SuiteName } from "../crypto/suite.ts";

export class SuiteRefused extends QflareError {
  readonly suites: readonly SuiteName[];

  /** wanted: the one that this device should have brought a key for, if any. */
  constructor(suites: readonly SuiteName[], wanted: string | undefined) {
    const expected = wanted ?? suites.join(" or ");
    super("session.suite", expected === "" ? "none is for the device's keys" : `expected a key for ${expected}`);
    this.suites = suites;
  }
}
