// Quantum keys as keys held beforehand of a full handshake. The device offers the name of its SAE; the server takes a
// fresh key for it and names that in its answer; the device fetches it from its own KME.
//
//   hello    psk_ids  "qkd:<SAE of the device>"
//   answer   psk_id   "qkd:<key_ID>"

import { fromUtf8, toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { DevicePsk, Log, ServerPsk } from "../core/ports.ts";
import type { QkdClient } from "./client.ts";
import { keyIdShape, SAE_PATTERN } from "./etsi014.ts";
import type { QkdLink } from "./link-file.ts";

/** prefer: goes on without a quantum key where there is none. require: does not. */
export type QkdPolicy = "prefer" | "require";

export const QKD_POLICIES = ["off", "prefer", "require"] as const;
const PREFIX = "qkd:";

/** What another try may mend passes with its own code; anything else is that no key can be agreed on. */
function pskError(error: unknown): QflareError {
  if (error instanceof QflareError && ["qkd.unavailable", "session.psk"].includes(error.code)) return error;
  return new QflareError("session.psk", (error as Error).message, { cause: error });
}

function nameOf(id: Uint8Array): string | undefined {
  try {
    const text = fromUtf8(id);
    return text.startsWith(PREFIX) ? text.slice(PREFIX.length) : undefined;
  } catch {
    // Not text, so it is an id of some other kind of key.
    return undefined;
  }
}

export class QkdDevicePsk implements DevicePsk {
  readonly #client: QkdClient;
  readonly #link: QkdLink & { readonly peer: string };
  readonly #policy: QkdPolicy;
  readonly #log: (text: string) => void;

  constructor(client: QkdClient, link: QkdLink, policy: QkdPolicy, log: (text: string) => void) {
    const { peer } = link;
    if (peer === undefined) throw new QflareError("config.invalid", "a device's QKD file names its peer");
    this.#client = client;
    this.#link = { ...link, peer };
    this.#policy = policy;
    this.#log = log;
  }

  /** Throws qkd.unavailable where a key is required and the KME is away, session.psk where it gives none. */
  async offer(): Promise<Uint8Array<ArrayBuffer>[]> {
    try {
      await this.#client.status(this.#link.peer);
    } catch (error) {
      this.#doWithout(error);
      return [];
    }
    return [utf8(PREFIX + this.#link.sae)];
  }

  /** Throws as offer does; also under "prefer" where the server mixed a key in that this KME does not give. */
  async take(id: Uint8Array<ArrayBuffer> | null): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (id === null) {
      this.#doWithout(new Error("the server has mixed in no quantum key"));
      return undefined;
    }
    const name = nameOf(id);
    if (name === undefined) throw new QflareError("session.psk", "the server names no quantum key");
    try {
      return (await this.#client.keyOf(this.#link.peer, keyIdShape.read(name, "psk_id"))).key;
    } catch (error) {
      throw pskError(error);
    }
  }

  #doWithout(error: unknown): void {
    if (this.#policy === "require") throw pskError(error);
    this.#log((error as Error).message);
  }
}

export class QkdServerPsk implements ServerPsk {
  readonly #client: QkdClient;
  readonly #policy: QkdPolicy;
  readonly #log: Log;

  constructor(client: QkdClient, policy: QkdPolicy, log: Log) {
    this.#client = client;
    this.#policy = policy;
    this.#log = log;
  }

  /** Where a key is required, throws qkd.unavailable while the KME is away, else session.psk. */
  async choose(
    deviceId: Uint8Array,
    offered: readonly Uint8Array[],
  ): Promise<{ id: Uint8Array<ArrayBuffer>; key: Uint8Array<ArrayBuffer> } | undefined> {
    const sae = offered.map(nameOf).find((name) => name !== undefined && SAE_PATTERN.test(name));
    try {
      if (sae === undefined) throw new QflareError("session.psk", "the device offers no quantum key");
      const { id, key } = await this.#client.freshKey(sae);
      this.#log.info({ device_id: toHex(deviceId), sae, key_id: id }, "a quantum key goes into the session");
      return { id: utf8(PREFIX + id), key };
    } catch (error) {
      if (!(error instanceof QflareError)) throw error;
      this.#log.warn({ device_id: toHex(deviceId), reason: error.message }, "no quantum key goes into the session");
      if (this.#policy === "require") throw towardsDevice(error);
      return undefined;
    }
  }
}

/** Where a KME listens and how it fails is not the device's to know. */
function towardsDevice(error: QflareError): QflareError {
  if (error.code === "session.psk") return error;
  const code = error.code === "qkd.unavailable" ? error.code : "session.psk";
  return new QflareError(code, "the KME of the server's site gives none", { cause: error });
}
