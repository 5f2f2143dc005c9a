// Brings each new checkpoint of the audit log to its witnesses and serves it once enough of them have cosigned it
// (C2SP tlog-witness). An update never waits for them: its receipt stands under the log's own signature.

import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import { type Checkpoint, cosigners } from "../wire/checkpoint.ts";
import { formatSignature, type NoteSignature, parseSignatures } from "../wire/note.ts";
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
    const { audit, log } = this.#ports;
    while (!this.#stop.signal.aborted) {
      const newest = audit.newest;
      const isNew = newest !== undefined && newest.size > (audit.served?.size ?? -1);
      const isDone = isNew && (await this.#publish(newest));
      if (isNew && !isDone) log.warn({ size: newest.size }, "too few witnesses have cosigned the audit log");
      if (!isDone) await audit.changes.wait(isNew ? RETRY_MS : undefined, this.#stop.signal);
    }
  }

  /** False where too few have cosigned. */
  async #publish(checkpoint: SignedCheckpoint): Promise<boolean> {
    const { audit, writer, policy, log } = this.#ports;
    const answers = await Promise.all(policy.witnesses.map((witness) => this.#tryAsk(witness, checkpoint)));
    const lines = answers.flat();
    if (!isWitnessed(policy, cosigners(lines, checkpoint, policy))) return false;
    const cosigned = { ...checkpoint, note: checkpoint.note + lines.map(formatSignature).join("") };
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

  /** Its lines that hold; none where it is away or refuses. */
  async #tryAsk(witness: PolicyWitness, checkpoint: SignedCheckpoint): Promise<NoteSignature[]> {
    try {
      return await this.#ask(witness, checkpoint);
    } catch (error) {
      if (!this.#stop.signal.aborted) {
        this.#ports.log.warn({ witness: witness.name, error: String(error) }, "a witness has not cosigned");
      }
      return [];
    }
  }

  async #ask(witness: PolicyWitness, checkpoint: SignedCheckpoint): Promise<NoteSignature[]> {
    const first = await this.#post(witness, checkpoint);
    const size = first.status === HTTP_CONFLICT ? sizeOf(first) : undefined;
    if (size !== undefined) this.#sizes.set(witness.name, size);
    const answer = size === undefined ? first : await this.#post(witness, checkpoint);
    if (answer.status !== HTTP_OK) {
      throw new QflareError("log.witness", `${witness.name} answered ${answer.status}`);
    }
    this.#sizes.set(witness.name, checkpoint.size);
    return ownLines(witness, checkpoint, answer.text);
  }

  async #post(witness: PolicyWitness, { size, note }: SignedCheckpoint): Promise<WitnessAnswer> {
    const oldSize = this.#sizes.get(witness.name) ?? 0;
    if (oldSize > size)
      throw new QflareError("log.fork", `${witness.name} has seen ${oldSize} entries, there are ${size}`);
    const proof = await this.#ports.audit.proveConsistency(oldSize, size);
    const response = await fetch(`${witness.url!.replace(/\/$/, "")}${ADD_CHECKPOINT_PATH}`, {
      method: "POST",
      body: formatAddCheckpoint({ oldSize, proof, note }),
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    const type = response.headers.get("content-type") ?? "";
    return { status: response.status, type, text: await textOf(response) };
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

/** Lines of other keys are read over; a line of its own that does not hold throws log.signature. */
function ownLines(witness: PolicyWitness, checkpoint: Checkpoint, text: string): NoteSignature[] {
  const { key } = witness;
  const lines = parseSignatures(text).filter((line) => line.name === key.name);
  const policy = { witnesses: [witness], quorum: undefined };
  return lines.filter((line) => cosigners([line], checkpoint, policy).size > 0);
}
