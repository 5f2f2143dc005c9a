// Calls to one enclave process over its standard streams.

import { isErrorCode, QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Log } from "../core/ports.ts";
import type { Of } from "../core/shape.ts";
import {
  ENCLAVE_OPERATIONS,
  type EnclaveAnswer,
  type EnclaveOperation,
  type EnclaveRequest,
  enclaveCall,
  enclaveReply,
} from "../wire/enclave.ts";
import { FrameReader, framesOf } from "../wire/frame.ts";
import type { EnclaveChannel } from "./enclave-host.ts";

const EMPTY = new Uint8Array(0);
const LOG_LINE_LENGTH_MAX = 500;
const CLOSE_MS = 5000;

/** Longest that a call of each kind may take. */
export type Patience = Readonly<Record<EnclaveOperation, number>>;

const PATIENCE: Patience = {
  open: LIMITS.enclaveCallMsMax,
  rotate: LIMITS.enclaveCallMsMax,
  attest: LIMITS.enclaveCallMsMax,
  genesis: LIMITS.enclaveCallMsMax,
  adopt: LIMITS.enclaveCallMsMax,
  begin: LIMITS.enclaveCallMsMax,
  update: LIMITS.enclaveCallMsMax,
  aggregate: LIMITS.enclaveAggregateMsMax,
};

export interface Reply {
  readonly body: Uint8Array;
  readonly blob: Uint8Array;
}

interface Waiting {
  readonly patienceMs: number;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

export class EnclaveProcess {
  readonly #child: EnclaveChannel;
  readonly #log: Log;
  readonly #reader = new FrameReader(enclaveReply.decode);
  /** Calls without their answer, in order; the enclave works on the first. */
  readonly #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sent: Promise<void> = Promise.resolve();
  readonly #patience: Patience;
  #isAlive = true;
  /** Why the enclave ended, where it said so itself. */
  #lastWords: string | undefined;

  constructor(child: EnclaveChannel, log: Log, patience: Patience = PATIENCE) {
    this.#child = child;
    this.#log = log;
    this.#patience = patience;
    child.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    child.stderr.on("data", (chunk: Buffer) => this.#hear(chunk.toString().trim().slice(0, LOG_LINE_LENGTH_MAX)));
    // It may still run, but can be told nothing any more. Its end, and why, come with "close".
    child.stdin.on("error", () => child.kill("SIGKILL"));
    child.on("error", (error) => this.#end(error.message));
    child.on("close", (code, signal) => this.#end(this.#lastWords ?? `it ended with ${signal ?? code}`));
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Throws the enclave's coded error, or enclave.unavailable where it dies before it answers. */
  async call<K extends EnclaveOperation>(
    operation: K,
    request: EnclaveRequest<K>,
    blob: Uint8Array = EMPTY,
  ): Promise<{ answer: EnclaveAnswer<K>; blob: Uint8Array }> {
    const { request: requestMessage, answer: answerMessage } = ENCLAVE_OPERATIONS[operation];
    const encode = requestMessage.encode as (value: EnclaveRequest<K>) => Uint8Array<ArrayBuffer>;
    const body = encode(request);
    const message = enclaveCall.encode({ operation, body, blob_length: blob.length });
    const reply = await this.#exchange(message, blob, this.#patience[operation]);
    return { answer: answerMessage.decode(reply.body) as EnclaveAnswer<K>, blob: reply.blob };
  }

  #exchange(message: Uint8Array, blob: Uint8Array, patienceMs: number): Promise<Reply> {
    if (!this.#isAlive) return Promise.reject(new QflareError("enclave.unavailable"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ patienceMs, resolve, reject });
      if (this.#waiting.length === 1) this.#startTimer();
      this.#sent = this.#sent.then(() => this.#send(message, blob));
    });
  }

  /** A process that hangs, or was stopped, holds up the round like a dead one, and is replaced like one. */
  #startTimer(): void {
    clearTimeout(this.#timer);
    const first = this.#waiting[0];
    this.#timer = first === undefined ? undefined : setTimeout(() => this.kill(), first.patienceMs);
  }

  /** One part after the other: what the pipe does not take yet is not copied into memory beside the blob. */
  async #send(message: Uint8Array, blob: Uint8Array): Promise<void> {
    for (const part of framesOf(message, blob)) {
      if (!this.#isAlive) return;
      await new Promise<void>((resolve) => this.#child.stdin.write(part, () => resolve()));
    }
  }

  /** Ends the process: it leaves at the end of its input, or is made to. */
  async close(): Promise<void> {
    // Between its exit and the end of its streams it still counts as alive, but no other exit will come.
    if (!this.#isAlive || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MS);
    this.#child.stdin.end();
    await gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
    this.#end("it was stopped");
  }

  #hear(text: string): void {
    this.#log.warn({}, text);
    this.#lastWords = /^enclave: (.+)$/m.exec(text)?.[1] ?? this.#lastWords;
  }

  #receive(chunk: Uint8Array): void {
    if (!this.#isAlive) return;
    try {
      for (const { message, blob } of this.#reader.read(chunk)) this.#take(message, blob);
    } catch (error) {
      this.#log.error({ error: String(error) }, "the enclave's output cannot be read");
      this.kill();
    }
  }

  #take({ error, body }: Of<typeof enclaveReply.shape>, blob: Uint8Array): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) throw new QflareError("message.malformed", "nothing was asked");
    this.#startTimer();
    if (error === null) waiting.resolve({ body, blob });
    else waiting.reject(remoteError(error));
  }

  #end(reason: string): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    clearTimeout(this.#timer);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new QflareError("enclave.unavailable", reason));
  }
}

function remoteError(error: { code: string; detail: string }): QflareError {
  if (!isErrorCode(error.code)) return new QflareError("enclave.unavailable", `unknown code ${error.code}`);
  const coded = new QflareError(error.code);
  // The whole message already, as the enclave wrote it.
  coded.message = error.detail;
  return coded;
}
