// Brings each new checkpoint of the audit log to its witnesses and serves it once enough of them have cosigned it
// (C2SP tlog-witness). An update never waits for them: its receipt stands under the log's own signature. Nor does what
// is served wait for more than are enough: lines that come later are added to it, and those that were away are asked
// again, since a device may want more of them than the server does.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import { type Checkpoint, cosigners } from "../wire/checkpoint.ts";
import { formatSignature, isBy, type NoteSignature, parseNote, parseSignatures } from "../wire/note.ts";
import { ADD_CHECKPOINT_PATH, formatAddCheckpoint, SIZE_TYPE } from "../wire/witness.ts";
import { isWitnessed, type PolicyWitness, type WitnessPolicy } from "../wire/witness-policy.ts";
import type { AuditLog, SignedCheckpoint } from "./audit.ts";
import type { Writer } from "./store/writer.ts";

export interface WitnessesPorts {
  readonly audit: AuditLog;
  readonly writer: Writer;
  readonly log: Log;
  readonly policy: WitnessPolicy;
  /** A checkpoint is served that was not before: who has seen as much may go on. */
  onCosigned(): void;
}

const ANSWER_MS = 5000;
const RETRY_MS = 1000;
/** For lines that the server can do without, each pause is twice the one before up to here. */
const RETRY_MS_MAX = 30_000;
const HTTP_OK = 200;
const HTTP_CONFLICT = 409;

export class Witnesses {
  readonly #ports: WitnessesPorts;
  /** Size that each witness cosigned last, as far as is known. */
  readonly #sizes = new Map<string, number>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(ports: WitnessesPorts) {
    this.#ports = ports;
  }

  /** Works until close(). */
  start(): void {
    if (this.#ports.policy.quorum !== undefined) this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let pauseMs = RETRY_MS;
    while (!this.#stop.signal.aborted) {
      const { newest, served } = this.#ports.audit;
      if (newest !== undefined && newest.size > (served?.size ?? -1)) {
        pauseMs = RETRY_MS;
        await this.#publish(newest);
      } else if (await this.#isQuiet(served, pauseMs)) {
        await this.#gather(served!);
        pauseMs = Math.min(2 * pauseMs, RETRY_MS_MAX);
      }
    }
  }

  /** The checkpoint is served, or too few have cosigned it and some time is over. */
  async #publish(newest: SignedCheckpoint): Promise<void> {
    if (await this.#gather(newest)) return;
    this.#ports.log.warn({ size: newest.size }, "too few witnesses have cosigned the audit log");
    await this.#ports.audit.changes.wait(RETRY_MS, this.#stop.signal);
  }

  /** Waits until the log grows; true where lines are missing on what is served, and it has not grown for so long. */
  async #isQuiet(served: SignedCheckpoint | undefined, ms: number): Promise<boolean> {
    const { audit } = this.#ports;
    const isWhole = served === undefined || this.#missing(served).length === 0;
    const { newest } = audit;
    await audit.changes.wait(isWhole ? undefined : ms, this.#stop.signal);
    return !isWhole && audit.newest === newest && !this.#stop.signal.aborted;
  }

  /** Who could add a line, as many of them as a reader takes lines. */
  #missing({ note }: SignedCheckpoint): PolicyWitness[] {
    const { signatures } = parseNote(note);
    const missing = this.#ports.policy.witnesses.filter(({ key }) => !signatures.some((line) => isBy(line, key)));
    return missing.filter(({ url }) => url !== undefined).slice(0, LIMITS.noteSignaturesMax - signatures.length);
  }

  /**
   * Asks for the lines that are missing, and serves the checkpoint with each that comes once they are enough. From then
   * on the late ones have time until the log grows: what is new comes first. False where it is not served.
   */
  async #gather(checkpoint: SignedCheckpoint): Promise<boolean> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, over.signal]);
    const endWhenGrown = (): Promise<void> => this.#grown(checkpoint, signal).then(() => over.abort());
    let ending = this.#ports.audit.served === checkpoint ? endWhenGrown() : undefined;
    let cosigned = checkpoint;
    const asked = this.#missing(checkpoint).map((witness) => this.#tryAsk(witness, checkpoint, signal));
    for await (const lines of asTheyCome(asked)) {
      cosigned = { ...cosigned, note: cosigned.note + lines.map(formatSignature).join("") };
      if (lines.length > 0 && (await this.#serve(cosigned))) ending ??= endWhenGrown();
    }
    over.abort();
    await ending;
    return ending !== undefined;
  }

  /** Resolves once there is a newer checkpoint, or the signal aborts. */
  async #grown({ size }: SignedCheckpoint, signal: AbortSignal): Promise<void> {
    const { audit } = this.#ports;
    while (audit.newest?.size === size && !signal.aborted) await audit.changes.wait(undefined, signal);
  }

  /** False where its lines are not enough, or the disk refuses it. */
  async #serve(cosigned: SignedCheckpoint): Promise<boolean> {
    const { audit, writer, policy, log } = this.#ports;
    const { signatures } = parseNote(cosigned.note);
    if (!isWitnessed(policy, cosigners(signatures, cosigned, policy))) return false;
    try {
      await writer.write((tx) => audit.storeCosigned(tx, cosigned));
    } catch (error) {
      log.warn({ error: String(error) }, "the cosigned checkpoint cannot be stored");
      return false;
    }
    audit.cosigned(cosigned);
    this.#ports.onCosigned();
    return true;
  }

  /** Its line; none where it is away or refuses. */
  async #tryAsk(witness: PolicyWitness, checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<NoteSignature[]> {
    try {
      return await this.#ask(witness, checkpoint, signal);
    } catch (error) {
      if (!signal.aborted) {
        this.#ports.log.warn({ witness: witness.name, error: String(error) }, "a witness has not cosigned");
      }
      return [];
    }
  }

  async #ask(witness: PolicyWitness, checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<NoteSignature[]> {
    const first = await this.#post(witness, checkpoint, signal);
    const size = first.status === HTTP_CONFLICT ? sizeOf(first) : undefined;
    if (size !== undefined) this.#sizes.set(witness.name, size);
    const answer = size === undefined ? first : await this.#post(witness, checkpoint, signal);
    if (answer.status !== HTTP_OK) {
      throw new QflareError("log.witness", `${witness.name} answered ${answer.status}`);
    }
    this.#sizes.set(witness.name, checkpoint.size);
    return ownLines(witness, checkpoint, answer.text);
  }

  async #post(witness: PolicyWitness, { size, note }: SignedCheckpoint, stop: AbortSignal): Promise<WitnessAnswer> {
    const oldSize = this.#sizes.get(witness.name) ?? 0;
    if (oldSize > size)
      throw new QflareError("log.fork", `${witness.name} has seen ${oldSize} entries, there are ${size}`);
    const proof = await this.#ports.audit.proveConsistency(oldSize, size);
    const response = await fetch(`${witness.url!.replace(/\/$/, "")}${ADD_CHECKPOINT_PATH}`, {
      method: "POST",
      body: formatAddCheckpoint({ oldSize, proof, note }),
      signal: AbortSignal.any([stop, AbortSignal.timeout(ANSWER_MS)]),
    });
    const type = response.headers.get("content-type") ?? "";
    return { status: response.status, type, text: await textOf(response) };
  }
}

/** What works resolve with, in the order in which they do. */
async function* asTheyCome<T>(works: readonly Promise<T>[]): AsyncGenerator<T> {
  const left = new Map(works.map((work, i) => [i, work.then((result) => ({ i, result }))]));
  while (left.size > 0) {
    const { i, result } = await Promise.race(left.values());
    left.delete(i);
    yield result;
  }
}

interface WitnessAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function textOf(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > LIMITS.noteBytesMax) throw new QflareError("message.too_large");
  }
  return text;
}

/** Where the witness has seen another size than was thought. */
function sizeOf({ type, text }: WitnessAnswer): number | undefined {
  return type.startsWith(SIZE_TYPE) && /^\d{1,15}\n$/.test(text) ? Number(text) : undefined;
}

/**
 * Its line, once however often it stands there; lines of other keys are read over. One of its own that does not hold
 * throws log.signature.
 */
function ownLines(witness: PolicyWitness, checkpoint: Checkpoint, text: string): NoteSignature[] {
  const { key } = witness;
  const lines = parseSignatures(text).filter((line) => line.name === key.name);
  const policy = { witnesses: [witness], quorum: undefined };
  return lines.filter((line) => cosigners([line], checkpoint, policy).size > 0).slice(0, 1);
}
