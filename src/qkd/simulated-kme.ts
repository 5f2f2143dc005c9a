// A key management entity for trying things out: the doors of ETSI GS QKD 014 in front of one end of a simulated link.
// An SAE is who its certificate says.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { QflareError } from "../core/error.ts";
import type { CertifiedKey } from "../crypto/certificate.ts";
import { BODY_BYTES_MAX, KEYS_MAX, keyIdsShape, keyRequestShape, readJson, SAE_PATTERN } from "./etsi014.ts";
import type { QuantumLink } from "./quantum-link.ts";

interface KmeTls extends CertifiedKey {
  /** PEM. */
  readonly authority: string;
}

interface KmeOptions {
  readonly id: string;
  readonly peerId: string;
  readonly link: QuantumLink;
  readonly tls: KmeTls;
}

/** An answer other than 200 (sections 5.2 to 5.4). */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const KEY_BITS = 256;
const ENC_KEYS_DEFAULTS = { number: 1, size: KEY_BITS };
const KEY_BITS_MAX = 1024;
const PATH = /^\/api\/v1\/keys\/([^/]+)\/(status|enc_keys|dec_keys)$/;

export class SimulatedKme {
  readonly #options: KmeOptions;
  readonly #server: Server;

  constructor(options: KmeOptions) {
    this.#options = options;
    const { authority, certificate, key } = options.tls;
    const tls = { ca: authority, cert: certificate, key, requestCert: true, rejectUnauthorized: true };
    this.#server = createServer({ ...tls, minVersion: "TLSv1.3" }, (request, response) => {
      void this.#answer(request, response);
    });
  }

  /** Listens; the URL. port: 0 takes a free one. */
  async listen(host: string, port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
    return `https://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    try {
      send(200, this.#serve(callerOf(request), request, await bodyOf(request)));
    } catch (error) {
      if (error instanceof Refusal) send(error.status, { message: error.message });
      else if (error instanceof QflareError) send(400, { message: error.message });
      // What is left is a caller that went away in the middle of its request.
      else response.destroy();
    }
  }

  #serve(caller: string, request: IncomingMessage, body: string): object {
    const url = new URL(request.url ?? "/", "https://kme");
    const [, peer, what] = PATH.exec(url.pathname) ?? [];
    if (peer === undefined || !SAE_PATTERN.test(peer)) throw new Refusal(404, "there is no such door");
    if (what === "status") return this.#status(caller, peer);
    const read = request.method === "POST" ? body : JSON.stringify(queryOf(url));
    return what === "enc_keys" ? this.#encKeys(caller, peer, read) : this.#decKeys(caller, peer, read);
  }

  /** Section 5.2. */
  #status(master: string, slave: string): object {
    const { id, peerId, link } = this.#options;
    return {
      source_KME_ID: id,
      target_KME_ID: peerId,
      master_SAE_ID: master,
      slave_SAE_ID: slave,
      key_size: KEY_BITS,
      stored_key_count: link.storedCount,
      max_key_count: link.settings.keyCountMax,
      max_key_per_request: KEYS_MAX,
      max_key_size: KEY_BITS_MAX,
      min_key_size: 8,
      max_SAE_ID_count: 0,
    };
  }

  /** Section 5.3. */
  #encKeys(master: string, slave: string, body: string): object {
    const { number, size } = readJson(keyRequestShape, body === "" ? "{}" : body, "enc_keys", ENC_KEYS_DEFAULTS);
    if (size % 8 !== 0 || size > KEY_BITS_MAX) throw new Refusal(400, "size shall be a multiple of 8");
    const keys = this.#options.link.take(master, slave, number, size / 8);
    if (keys === undefined) throw new Refusal(503, "not enough keys are stored");
    return { keys: keys.map(({ id, key }) => ({ key_ID: id, key: Buffer.from(key).toString("base64") })) };
  }

  /** Section 5.4. */
  #decKeys(slave: string, master: string, body: string): object {
    const ids = readJson(keyIdsShape, body, "dec_keys").key_IDs.map(({ key_ID }) => key_ID);
    const keys = this.#options.link.fetch(master, slave, ids);
    if (keys === undefined) throw new Refusal(400, "one or more keys specified are not found on KME");
    return { keys: keys.map((key, i) => ({ key_ID: ids[i], key: Buffer.from(key).toString("base64") })) };
  }
}

function callerOf(request: IncomingMessage): string {
  const { subject } = (request.socket as TLSSocket).getPeerCertificate();
  const name = String(subject?.CN);
  if (!SAE_PATTERN.test(name)) throw new Refusal(401, "the certificate names no SAE");
  return name;
}

/** The forms of sections 5.3 and 5.4 without a body: ?number=&size= and ?key_ID=. */
function queryOf(url: URL): object {
  const id = url.searchParams.get("key_ID");
  if (id !== null) return { key_IDs: [{ key_ID: id }] };
  const pairs = ["number", "size"].filter((name) => url.searchParams.has(name));
  return Object.fromEntries(pairs.map((name) => [name, Number(url.searchParams.get(name))]));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  request.setEncoding("utf8");
  for await (const piece of request) {
    body += piece;
    if (body.length > BODY_BYTES_MAX) throw new Refusal(400, `expected at most ${BODY_BYTES_MAX} bytes`);
  }
  return body;
}
