// The open round as the coordinator sees it: cohort, accepted updates, and what the enclave has been told so far.

import { concat, toHex, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { sha256 } from "../crypto/hash.ts";
import type { Task } from "../wire/work.ts";
import { allEnded } from "./all-ended.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import { cohortOf, type Ledger, type ModelRow, type RoundRow, type UpdateRow } from "./ledger.ts";
import type { ModelVault } from "./models.ts";
import type { Registry } from "./registry.ts";
import type { BlobStore } from "./store/blobs.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** On their way to the enclave at once. */
const FEED_MAX = 8;
const FEED_BYTES_MAX = 2 ** 23;

export interface OpenRoundPorts {
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly blobs: BlobStore;
  readonly models: ModelVault;
  readonly enclave: EnclaveLink;
  readonly clock: Clock;
}

/** There is no way left to this round's model: it fails, and the run goes on with the next. The message says why. */
export class RoundLost extends Error {
  override readonly name = "RoundLost";
}

export class OpenRound {
  base: ModelRow;
  row: RoundRow;
  readonly #ports: OpenRoundPorts;
  #cohort: ReadonlySet<string>;
  readonly #accepted = new Map<string, UpdateRow>();
  readonly #fed = new Set<string>();
  readonly #gone = new Set<string>();
  #generation: number | undefined;

  constructor(ports: OpenRoundPorts, row: RoundRow, base: ModelRow) {
    this.#ports = ports;
    this.row = row;
    this.base = base;
    this.#cohort = new Set(cohortOf(row).map(toHex));
  }

  collects(row: RoundRow): void {
    this.row = row;
    this.#cohort = new Set(cohortOf(row).map(toHex));
  }

  has(deviceId: string): boolean {
    return this.#cohort.has(deviceId);
  }

  hasAccepted(deviceId: string): boolean {
    return this.#accepted.has(deviceId);
  }

  get acceptedCount(): number {
    return this.#accepted.size;
  }

  get missing(): string[] {
    return [...this.#cohort].filter((id) => !this.#accepted.has(id));
  }

  /** Who has an update here, and is still there for the next round. */
  get staying(): string[] {
    return [...this.#accepted.keys()].filter((id) => !this.#gone.has(id));
  }

  /** Updates that are accepted or can still come. */
  get possibleCount(): number {
    return this.#cohort.size - [...this.#gone].filter((id) => !this.#accepted.has(id)).length;
  }

  /** The id stands for no device any more: where it has no update here yet, there will be none. */
  depart(deviceId: string): void {
    if (this.has(deviceId)) this.#gone.add(deviceId);
  }

  /** Finds the members that departed before this round could be told, be it in a process before. */
  async findGone(): Promise<void> {
    const { registry } = this.#ports;
    const find = async (id: Bytes): Promise<void> => {
      if ((await registry.findDevice(id)) === undefined) this.depart(toHex(id));
    };
    await allEnded(cohortOf(this.row).map(find));
  }

  add(update: UpdateRow): void {
    this.#accepted.set(toHex(update.device_id), update);
  }

  get hasUnfed(): boolean {
    return this.#fed.size < this.#accepted.size || this.#generation !== this.#ports.enclave.generation;
  }

  /** No device sees it any more. */
  close(): void {
    wipe(this.base.content_key);
  }

  /**
   * What a selected device gets, but for the time that is left and its view of the log. The content key in it is the
   * caller's to wipe.
   */
  task(plan: string, policyHash: Bytes): Omit<Task, "remaining_ms" | "log"> {
    return {
      round: this.row.round,
      model_blob: this.base.blob_digest,
      model_blob_length: this.base.blob_length,
      content_key: concat(this.base.content_key),
      statement: this.base.statement,
      statement_signature: this.base.signature,
      policy_hash: policyHash,
      enclave_key_hash: this.#ports.enclave.facts.kemKeyHash,
      plan,
    };
  }

  /** Of the base model: the successor of a lost enclave has signed it anew. */
  async readSignature(): Promise<void> {
    this.base = { ...this.base, ...(await this.#ports.ledger.signatureOf(this.base.round)) };
  }

  /**
   * Tells the enclave some of what it does not know yet: the round itself after its start, else accepted updates, a few
   * at once so that it finds the next when it is done with one. Settles when nothing of that is on its way any more.
   * Throws RoundLost where the enclave's keys, an accepted update or a device's keys are gone.
   */
  async feedSome(): Promise<void> {
    const { enclave } = this.#ports;
    await enclave.ready();
    if (!enclave.holdsKeyOf(this.row.round)) throw new RoundLost("the enclave's keys were lost; it has new ones");
    const { generation } = enclave;
    if (this.#generation !== generation) return await this.#begin(generation);
    await allEnded(
      this.#nextUnfed().map(async ([id, update]) => {
        if (await this.#feed(update, generation)) this.#fed.add(id);
      }),
    );
  }

  /** One, and more while they are short. */
  #nextUnfed(): [string, UpdateRow][] {
    const next: [string, UpdateRow][] = [];
    let length = 0;
    for (const [id, update] of this.#accepted) {
      if (this.#fed.has(id)) continue;
      length += update.blob_length;
      if (next.length > 0 && length > FEED_BYTES_MAX) break;
      if (next.push([id, update]) === FEED_MAX) break;
    }
    return next;
  }

  /** Leaves it to the next turn where the enclave was replaced while all this was read. */
  async #begin(generation: number): Promise<void> {
    const { enclave, models, clock, ledger } = this.#ports;
    const file = await models.read(this.base);
    const cohort = await Promise.all(cohortOf(this.row).map((id) => this.#member(id)));
    const report = await ledger.reportOf(this.base.round);
    await this.readSignature();
    if (generation !== enclave.generation) return;
    const { statement, signature } = this.base;
    const request = { round: this.row.round, statement, signature, report, cohort, at: clock.nowMs() };
    await enclave.call("begin", request, file);
    this.#fed.clear();
    this.#generation = generation;
  }

  /** Who has left since the choosing is still one: an update of before that has its receipt counts. */
  async #member(id: Bytes): Promise<{ device_id: Bytes; kem_key_hash: Bytes; signature_public_key: Bytes }> {
    const keys = await this.#ports.registry.findKeys(id);
    if (keys === undefined) throw new RoundLost(`device ${toHex(id)} is not in the registry`);
    const { kem_public_key, signature_public_key } = keys;
    return { device_id: id, kem_key_hash: sha256(kem_public_key), signature_public_key };
  }

  /** False where the enclave was replaced while the blob was read: the new one knows nothing of the round yet. */
  async #feed(update: UpdateRow, generation: number): Promise<boolean> {
    const { enclave, clock } = this.#ports;
    const blob = await this.#blobOf(update);
    if (generation !== enclave.generation) return false;
    const { manifest, signature } = update;
    await enclave.call("update", { manifest, signature, at: clock.nowMs() }, blob);
    return true;
  }

  /** An update that has a receipt may not be left out: where its blob is gone its round is lost, and the run is not. */
  async #blobOf({ blob_digest }: UpdateRow): Promise<Bytes> {
    try {
      return await this.#ports.blobs.read(blob_digest);
    } catch (error) {
      if (!(error instanceof QflareError) || error.code !== "store.corrupt") throw error;
      throw new RoundLost(error.message, { cause: error });
    }
  }
}
