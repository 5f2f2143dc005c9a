// Evidence for devices: nonces that arrive within one turn share a quote, and each device gets the path of its own
// nonce.

import type { Clock } from "../core/ports.ts";
import { inclusionPaths, leafHash } from "../crypto/merkle.ts";
import type { EvidencePackage } from "../wire/work.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { Epochs } from "./epochs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Long enough for the devices of a round that starts to share one quote. */
const GATHER_MS = 5;

interface Asking {
  readonly nonce: Bytes;
  resolve(evidence: EvidencePackage): void;
  reject(error: unknown): void;
}

export class EvidenceDesk {
  readonly #enclave: EnclaveLink;
  readonly #epochs: Epochs;
  readonly #clock: Clock;
  readonly #policy: Bytes;
  #asking: Asking[] = [];

  constructor(enclave: EnclaveLink, epochs: Epochs, clock: Clock, policy: Bytes) {
    this.#enclave = enclave;
    this.#epochs = epochs;
    this.#clock = clock;
    this.#policy = policy;
  }

  /** Grows with every new key. */
  get epoch(): number {
    return this.#enclave.facts.epoch;
  }

  /** Whether what a device seals for this round will open. */
  isFor(round: number): boolean {
    return this.#enclave.holdsKeyOf(round);
  }

  get(nonce: Bytes): Promise<EvidencePackage> {
    return new Promise((resolve, reject) => {
      this.#asking.push({ nonce, resolve, reject });
      if (this.#asking.length === 1) setTimeout(() => void this.#serve(), GATHER_MS);
    });
  }

  async #serve(): Promise<void> {
    const batch = this.#asking;
    this.#asking = [];
    try {
      await this.#epochs.beforeEvidence();
      const nonces = batch.map((asking) => asking.nonce);
      const { answer } = await this.#enclave.call("attest", { nonces, at: this.#clock.nowMs() });
      const paths = inclusionPaths(nonces.map((nonce) => leafHash(nonce)));
      batch.forEach((asking, i) => {
        asking.resolve({
          evidence: answer.evidence,
          policy: this.#policy,
          nonce_index: i,
          nonce_count: nonces.length,
          nonce_path: paths[i]!,
        });
      });
    } catch (error) {
      for (const asking of batch) asking.reject(error);
    }
  }
}
