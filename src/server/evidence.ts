// Evidence for devices: nonces that arrive while a quote is being made share the next one, since hardware may take
// seconds for each; every device gets the path of its own nonce.

import { bindingMessage } from "../attestation/binding.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock } from "../core/ports.ts";
import { inclusionPaths, leafHash } from "../crypto/merkle.ts";
import type { Announcement, EvidencePackage } from "../wire/work.ts";
import type { OwnEvidence } from "./enclave-examination.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { Epochs } from "./epochs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Long enough for the devices of a round that starts to share one quote. */
const GATHER_MS = 5;

/** Evidence, and where the log names the enclave; the proofs of that come with the log's checkpoint. */
export type LoggedEvidence = Omit<EvidencePackage, "log_path" | "announcement" | "first"> & {
  readonly announcement: Omit<Announcement, "log_path"> | null;
  readonly first: { readonly log_entry: Bytes } | null;
};

type Quote = Omit<LoggedEvidence, "log_entry" | "log_index" | "announcement" | "first">;

interface Asking {
  readonly nonce: Bytes;
  resolve(evidence: LoggedEvidence): void;
  reject(error: unknown): void;
}

export interface EvidencePorts {
  readonly enclave: EnclaveLink;
  readonly epochs: Epochs;
  readonly clock: Clock;
  /** The run's, encoded. */
  readonly policy: Bytes;
  readonly own: Pick<OwnEvidence, "collateral">;
}

export class EvidenceDesk {
  readonly #ports: EvidencePorts;
  #asking: Asking[] = [];

  constructor(ports: EvidencePorts) {
    this.#ports = ports;
  }

  /** Grows with every new key. */
  get epoch(): number {
    return this.#ports.enclave.facts.epoch;
  }

  /** Where the log names that key. */
  get logIndex(): number {
    return this.#ports.enclave.facts.started.index;
  }

  /** Whether what a device seals for this round will open. */
  isFor(round: number): boolean {
    return this.#ports.enclave.holdsKeyOf(round);
  }

  get(nonce: Bytes): Promise<LoggedEvidence> {
    return new Promise((resolve, reject) => {
      this.#asking.push({ nonce, resolve, reject });
      if (this.#asking.length === 1) setTimeout(() => void this.#serve(), GATHER_MS);
    });
  }

  async #serve(): Promise<void> {
    const batch = this.#asking.slice(0, LIMITS.devicesPerRoundMax);
    const nonces = batch.map((asking) => asking.nonce);
    try {
      const packages = await this.#ports.epochs.forEvidence(() => this.#make(nonces));
      for (const [i, asking] of batch.entries()) asking.resolve(packages[i]!);
    } catch (error) {
      for (const asking of batch) asking.reject(error);
    }
    this.#asking = this.#asking.slice(batch.length);
    if (this.#asking.length > 0) await this.#serve();
  }

  async #make(nonces: readonly Bytes[]): Promise<LoggedEvidence[]> {
    const offers = await this.#attest(nonces);
    const entry = this.#logEntry(bindingMessage.decode(offers[0]!.binding).epoch);
    return offers.map((offer) => ({ ...offer, ...entry }));
  }

  async #attest(nonces: readonly Bytes[]): Promise<Quote[]> {
    const { enclave, clock, policy, own } = this.#ports;
    const { answer } = await enclave.call("attest", { nonces: [...nonces], at: clock.nowMs() });
    const { evidence, binding } = answer;
    const shared = { evidence, binding, collateral: own.collateral(), policy, nonce_count: nonces.length };
    const paths = inclusionPaths(nonces.map((nonce) => leafHash(nonce)));
    return paths.map((nonce_path, nonce_index) => ({ ...shared, nonce_index, nonce_path }));
  }

  #logEntry(epoch: number): Omit<LoggedEvidence, keyof Quote> {
    const { epoch: current, started } = this.#ports.enclave.facts;
    // A lost enclave may have been replaced meanwhile: a device would take the two for a lie and stop.
    if (current !== epoch) throw new QflareError("enclave.unavailable", "its evidence is of an epoch that has ended");
    const { index, entry, announcement, first } = started;
    const named = { log_entry: entry, log_index: index };
    if (announcement === undefined) return { ...named, announcement: null, first: { log_entry: first } };
    const { reference, entry: log_entry, index: log_index } = announcement;
    return { ...named, announcement: { reference, log_entry, log_index }, first: null };
  }
}
