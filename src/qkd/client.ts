// The side of an application: asks the KME of its site for keys, over TLS with certificates on both ends.

import { Agent, request } from "node:https";
import { fromBase64, takeOver, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Shape } from "../core/shape.ts";
import { BODY_BYTES_MAX, type KmeStatus, keysPath, keysShape, readJson, refusalShape, statusShape } from "./etsi014.ts";
import type { QkdLink } from "./link-file.ts";

export interface QkdKey {
  readonly id: string;
  readonly key: Uint8Array<ArrayBuffer>;
}

const KEY_BYTES = 32;
const ANSWER_MS = 5000;
/** Statuses of a KME that is busy, or of what stands before one that is away: their bodies are anybody's. */
const NOT_NOW: readonly number[] = [429, 502, 503, 504];
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export class QkdClient {
  readonly #link: QkdLink;
  readonly #agent: Agent;

  constructor(link: QkdLink) {
    this.#link = link;
    this.#agent = new Agent({
      keepAlive: true,
      ca: link.authority,
      cert: link.certificate,
      key: link.key,
      ...(link.tls === "any"
        ? { minVersion: "TLSv1.2" as const }
        : { minVersion: "TLSv1.3" as const, ecdhCurve: "X25519MLKEM768" }),
    });
  }

  /**
   * How many keys wait for this SAE and the slave. Throws qkd.unavailable where another try may end better, qkd.refused
   * and qkd.malformed.
   */
  async status(slave: string): Promise<KmeStatus> {
    return await this.#call("GET", keysPath(slave, "status"), undefined, statusShape);
  }

  /** A fresh key of 32 bytes, which the slave finds at its own KME under the same name. Errors as of status. */
  async freshKey(slave: string): Promise<QkdKey> {
    const wanted = { number: 1, size: 8 * KEY_BYTES };
    return this.#onlyKey(await this.#call("POST", keysPath(slave, "enc_keys"), wanted, keysShape));
  }

  /** The key that the master took under this name; a KME gives it once. Errors as of status. */
  async keyOf(master: string, id: string): Promise<QkdKey> {
    const wanted = { key_IDs: [{ key_ID: id }] };
    const found = this.#onlyKey(await this.#call("POST", keysPath(master, "dec_keys"), wanted, keysShape));
    if (found.id === id) return found;
    wipe(found.key);
    throw new QflareError("qkd.malformed", `expected key ${id}, got ${found.id}`);
  }

  close(): void {
    this.#agent.destroy();
  }

  #onlyKey({ keys }: { keys: { key_ID: string; key: string }[] }): QkdKey {
    const [first] = keys;
    if (keys.length !== 1 || first === undefined || !BASE64.test(first.key)) {
      throw new QflareError("qkd.malformed", `expected 1 key in base64, got ${keys.length}`);
    }
    const key = takeOver(fromBase64(first.key));
    if (key.length !== KEY_BYTES) {
      throw new QflareError("qkd.malformed", `expected a key of ${KEY_BYTES} bytes, got ${key.length}`);
    }
    return { id: first.key_ID, key };
  }

  async #call<T>(method: "GET" | "POST", path: string, body: object | undefined, shape: Shape<T>): Promise<T> {
    const { status, text } = await this.#send(method, path, body === undefined ? "" : JSON.stringify(body));
    if (status === 200) return readJson(shape, text, path);
    if (NOT_NOW.includes(status)) throw new QflareError("qkd.unavailable", `status ${status}`);
    const { message } = readJson(refusalShape, text, path);
    throw new QflareError("qkd.refused", `${status}: ${message}`);
  }

  #send(method: "GET" | "POST", path: string, body: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => {
        const code = error.code?.startsWith("HPE_") ? "qkd.malformed" : "qkd.unavailable";
        reject(new QflareError(code, error.message, { cause: error }));
      };
      const headers = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
      // The whole answer has this long: a timeout of the socket alone would let it trickle for ever.
      const signal = AbortSignal.timeout(ANSWER_MS);
      const call = request(new URL(path, this.#link.url), { method, headers, agent: this.#agent, signal });
      call.on("error", fail);
      call.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          text += piece;
          if (text.length <= BODY_BYTES_MAX) return;
          reject(new QflareError("qkd.malformed", `expected at most ${BODY_BYTES_MAX} bytes`));
          call.destroy();
        });
        response.on("error", fail);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      call.end(body);
    });
  }
}
