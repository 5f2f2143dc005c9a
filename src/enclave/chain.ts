// The enclave's own audit records: one an operation, each naming the one before by its hash. The head stands in every
// report and in the evidence, so a server cannot drop, alter or reorder a record unseen.

import type { Of } from "../core/shape.ts";
import { sha256 } from "../crypto/hash.ts";
import { type EnclaveRecord, enclaveRecord } from "../wire/audit.ts";

type Happening = Pick<EnclaveRecord, "at" | "operation" | "round" | "subject" | "outcome">;

export class AuditChain {
  #sequence: number;
  #head: Uint8Array<ArrayBuffer>;

  constructor(state: { audit_sequence: number; audit_head: Uint8Array } = { audit_sequence: 0, audit_head: new Uint8Array(32) }) {
    this.#sequence = state.audit_sequence;
    this.#head = new Uint8Array(state.audit_head);
  }

  get head(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#head);
  }

  /** Number of records so far. */
  get sequence(): number {
    return this.#sequence;
  }

  append(happening: Happening): Uint8Array<ArrayBuffer> {
    const record: Of<typeof enclaveRecord.shape> = {
      v: 1,
      sequence: this.#sequence,
      previous: this.#head,
      ...happening,
    };
    const encoded = enclaveRecord.encode(record);
    this.#head = sha256(encoded);
    this.#sequence += 1;
    return encoded;
  }
}
