// Evidence for devices: nonces that arrive while a quote is being made share the next one, since hardware may take
// seconds for each; every device gets the path of its own nonce. A new enclave's evidence is held against the server's
// own policy first: what the server would not take, it does not show to others.

import { appraise } from "../attestation/appraisal.ts";
import type { Evidence } from "../attestation/evidence.ts";
import { decodeEvidence } from "../attestation/evidence-message.ts";
import type { AppraisalPolicy } from "../attestation/policy.ts";
import { utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { inclusionPaths, leafHash } from "../crypto/merkle.ts";
import { type Policy, policyHash, policyMessage } from "../wire/policy.ts";
import type { EvidencePackage } from "../wire/work.ts";
import type { AuditLog } from "./audit.ts";
import type { EnclaveLink } from "./enclave-link.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Long enough for the devices of a round that starts to share one quote. */
const GATHER_MS = 5;
const NONCE_BYTES = 32;

/** Evidence without the proof that the log names the enclave. */
type Quote = Omit<EvidencePackage, "log_entry" | "log_index" | "log_proof">;

interface Asking {
  readonly nonce: Bytes;
  resolve(evidence: EvidencePackage): void;
  reject(error: unknown): void;
}

export interface EvidencePorts {
  readonly enclave: EnclaveLink;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly random: Random;
  /** The run's, encoded. */
  readonly policy: Bytes;
  /** What the enclave's own evidence has to meet. */
  readonly appraisal: AppraisalPolicy;
  /** What the vendor says about the platform, as JSON; null where there is none. Asked for each time. */
  collateral(): Bytes | null;
}

export class EvidenceDesk {
  readonly #ports: EvidencePorts;
  readonly #run: Policy;
  #asking: Asking[] = [];
  /** Of the enclave process whose evidence was found good. */
  #goodGeneration: number | undefined;

  constructor(ports: EvidencePorts) {
    this.#ports = ports;
    this.#run = policyMessage.decode(ports.policy);
  }

  get(nonce: Bytes): Promise<EvidencePackage> {
    return new Promise((resolve, reject) => {
      this.#asking.push({ nonce, resolve, reject });
      if (this.#asking.length === 1) setTimeout(() => void this.#serve(), GATHER_MS);
    });
  }

  /**
   * keep: told of the evidence before it is judged. Throws evidence.refused where it is not what the server's policy
   * wants.
   */
  async check(keep: (evidence: Evidence) => void): Promise<void> {
    const nonce = this.#ports.random.bytes(NONCE_BYTES);
    const [offer] = await this.#attest([nonce]);
    keep(decodeEvidence(offer!.evidence));
    this.#judge(offer!, nonce);
  }

  async #serve(): Promise<void> {
    const batch = this.#asking.slice(0, LIMITS.devicesPerRoundMax);
    try {
      const offers = await this.#attest(batch.map((asking) => asking.nonce));
      if (this.#goodGeneration !== this.#ports.enclave.generation) this.#judge(offers[0]!, batch[0]!.nonce);
      const entry = await this.#logEntry();
      for (const [i, asking] of batch.entries()) asking.resolve({ ...offers[i]!, ...entry });
    } catch (error) {
      for (const asking of batch) asking.reject(error);
    }
    this.#asking = this.#asking.slice(batch.length);
    if (this.#asking.length > 0) await this.#serve();
  }

  async #attest(nonces: readonly Bytes[]): Promise<Quote[]> {
    const { enclave, clock, policy, collateral } = this.#ports;
    await enclave.ready();
    const { answer } = await enclave.call("attest", { nonces: [...nonces], at: clock.nowMs() });
    const { evidence, binding } = answer;
    const shared = { evidence, binding, collateral: collateral(), policy, nonce_count: nonces.length };
    const paths = inclusionPaths(nonces.map((nonce) => leafHash(nonce)));
    return paths.map((nonce_path, nonce_index) => ({ ...shared, nonce_index, nonce_path }));
  }

  /** Throws log.witness where witnesses have yet to cosign the entry: devices ask again. */
  async #logEntry(): Promise<Omit<EvidencePackage, keyof Quote>> {
    const { enclave, audit } = this.#ports;
    const { index, entry } = enclave.facts.started;
    return { log_entry: entry, log_index: index, log_proof: utf8(await audit.prove(index, "served")) };
  }

  #judge(offer: Quote, nonce: Bytes): void {
    const { clock, appraisal, policy, enclave } = this.#ports;
    const { ok, reasons } = appraise(offer, {
      nowMs: clock.nowMs(),
      policy: appraisal,
      runId: this.#run.run_id,
      policyHash: policyHash(policy),
      nonce,
    });
    if (!ok) throw new QflareError("evidence.refused", `this server's own: ${reasons.join("; ")}`);
    this.#goodGeneration = enclave.generation;
  }
}
