// Worker threads that hash leaves of large blobs, so that the thread that receives a blob only copies it. Node only;
// the digest is that of merkle.ts, bit for bit.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { LIMITS } from "../core/limits.ts";
import { GrowingTree, leafHash } from "./merkle.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** length: of the leaf at the start of buffer. */
export interface LeafRequest {
  readonly buffer: ArrayBuffer;
  readonly length: number;
}

export interface LeafAnswer {
  readonly buffer: ArrayBuffer;
  readonly hash: Bytes;
}

interface Waiting {
  resolve(answer: LeafAnswer): void;
  reject(error: unknown): void;
}

/** Leaves that a thread has at hand: one at work and one to come. */
const LEAVES_PER_THREAD = 2;

/** All processors but the one that receives, and at least one. */
export function hashThreads(): number {
  return Math.max(1, Math.min(LIMITS.hashThreadsMax, availableParallelism() - 1));
}

class LeafThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #failure: unknown;

  constructor() {
    const name = import.meta.url.endsWith(".ts") ? "leaf-worker.ts" : "leaf-worker.js";
    this.#worker = new Worker(new URL(name, import.meta.url));
    this.#worker.unref();
    this.#worker.on("message", (answer: LeafAnswer) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the thread has ended")));
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  get load(): number {
    return this.#waiting.length;
  }

  /** buffer is the thread's until the answer comes. An idle thread keeps no program running. */
  async hash(request: LeafRequest): Promise<LeafAnswer> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#worker.ref();
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        this.#worker.postMessage(request, [request.buffer]);
      });
    } finally {
      if (this.#waiting.length === 0) this.#worker.unref();
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

export class LeafPool {
  readonly #threadsMax: number;
  #threads: LeafThread[] = [];
  /** Leaf buffers that wait to be filled. */
  readonly #free: ArrayBuffer[] = [];

  /** Threads start with the first leaf. */
  constructor(threadsMax: number) {
    if (!Number.isInteger(threadsMax) || threadsMax < 1) throw new RangeError(`expected threads, got ${threadsMax}`);
    this.#threadsMax = threadsMax;
  }

  get leavesMax(): number {
    return LEAVES_PER_THREAD * this.#threadsMax;
  }

  takeBuffer(): ArrayBuffer {
    return this.#free.pop() ?? new ArrayBuffer(LIMITS.treeLeafBytes);
  }

  giveBack(buffer: ArrayBuffer): void {
    if (this.#free.length < this.leavesMax) this.#free.push(buffer);
  }

  /** Leaf hash of what stands at the start of a buffer that takeBuffer gave. */
  async hash(buffer: ArrayBuffer, length: number): Promise<Bytes> {
    const answer = await this.#thread().hash({ buffer, length });
    this.giveBack(answer.buffer);
    return answer.hash;
  }

  /** A thread that has failed is replaced; what it had at hand is lost, and its hashers reject. */
  #thread(): LeafThread {
    this.#threads = this.#threads.filter((thread) => !thread.hasFailed);
    if (this.#threads.length < this.#threadsMax) {
      const thread = new LeafThread();
      this.#threads.push(thread);
      return thread;
    }
    return this.#threads.reduce((least, thread) => (thread.load < least.load ? thread : least));
  }

  async close(): Promise<void> {
    const threads = this.#threads;
    this.#threads = [];
    await Promise.all(threads.map((thread) => thread.close()));
  }
}

/** BlobHasher over a pool: the same digest. Holds as many leaves as the pool's threads do, and the one being filled. */
export class PooledBlobHasher {
  readonly #pool: LeafPool;
  readonly #hashes: Promise<Bytes>[] = [];
  readonly #inFlight: Promise<unknown>[] = [];
  #buffer: ArrayBuffer;
  #filled = 0;
  #length = 0;

  constructor(pool: LeafPool) {
    this.#pool = pool;
    this.#buffer = pool.takeBuffer();
  }

  get length(): number {
    return this.#length;
  }

  /** Waits while the threads have enough to do. Rejects where a thread has ended. */
  async update(bytes: Uint8Array): Promise<void> {
    this.#length += bytes.length;
    for (let offset = 0; offset < bytes.length; ) {
      if (this.#filled === LIMITS.treeLeafBytes) await this.#send();
      const part = bytes.subarray(offset, offset + LIMITS.treeLeafBytes - this.#filled);
      new Uint8Array(this.#buffer).set(part, this.#filled);
      this.#filled += part.length;
      offset += part.length;
    }
  }

  async #send(): Promise<void> {
    const hash = this.#pool.hash(this.#buffer, this.#filled);
    hash.catch(() => undefined); // awaited below, and again by digest
    this.#hashes.push(hash);
    this.#inFlight.push(hash);
    if (this.#inFlight.length >= this.#pool.leavesMax) await this.#inFlight.shift();
    this.#buffer = this.#pool.takeBuffer();
    this.#filled = 0;
  }

  async digest(): Promise<Bytes> {
    const last =
      this.#filled > 0 || this.#length === 0 ? leafHash(new Uint8Array(this.#buffer, 0, this.#filled)) : undefined;
    this.#pool.giveBack(this.#buffer);
    const tree = new GrowingTree();
    for (const hash of this.#hashes) tree.append(await hash);
    if (last !== undefined) tree.append(last);
    return tree.root();
  }
}
