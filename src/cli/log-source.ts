// The audit log of a server as anybody reads it: over HTTPS, under any certificate, since every byte of it is held
// against a signed checkpoint.

import { setTimeout as sleep } from "node:timers/promises";
import { fromUtf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { HASH_BYTES, TILE_WIDTH } from "../crypto/log-tree.ts";
import { errorOf, Transport, Unreachable } from "../device/transport.ts";
import type { LogSource } from "../wire/log-verify.ts";
import { rotationsAnswer } from "../wire/rotation.ts";
import { BUNDLE_BYTES_MAX, LOG_PREFIX, tilePath } from "../wire/tile.ts";
import { UsageError } from "./output.ts";

const WAIT_MS = 5000;
const ERROR_BYTES_MAX = 4096;

export interface RemoteLog extends LogSource {
  /** Of the identities that follow one another at this server. */
  announcements(): Promise<readonly Uint8Array<ArrayBuffer>[]>;
  close(): void;
}

/** The log stands at one place of a server: nothing else that a URL may say would be looked at. Throws UsageError. */
export function requireServerUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === "https:" && parsed.href === `${parsed.origin}/`) return;
  throw new UsageError(`--url: expected such as https://host:8443, got ${JSON.stringify(url.slice(0, 80))}`);
}

export function remoteLog(url: string): RemoteLog {
  const transport = new Transport(url, "any");
  const get = (path: string, bytesMax: number): Promise<Uint8Array> =>
    read(transport, `${LOG_PREFIX}/${path}`, Math.max(bytesMax, ERROR_BYTES_MAX));
  return {
    announcements: async () =>
      rotationsAnswer.decode(await read(transport, "/api/rotations", rotationsAnswer.bytesMax)).announcements,
    checkpoint: async () => fromUtf8(await get("checkpoint", LIMITS.noteBytesMax)),
    tile: async (row, number, width) => await get(tilePath({ row, number, width }), TILE_WIDTH * HASH_BYTES),
    bundle: async (number, width) => await get(tilePath({ row: "entries", number, width }), BUNDLE_BYTES_MAX),
    close: () => transport.close(),
  };
}

/** Waits where the server asks for it; anything else that fails is told. */
async function read(transport: Transport, path: string, bodyBytesMax: number): Promise<Uint8Array> {
  for (;;) {
    const answer = await call(transport, path, bodyBytesMax);
    if (answer.status === 200) return answer.body;
    if (answer.status !== 429) throw errorOf(answer);
    const seconds = Number(answer.headers["retry-after"]);
    await sleep(seconds > 0 && seconds <= 3600 ? seconds * 1000 : WAIT_MS);
  }
}

async function call(transport: Transport, path: string, bodyBytesMax: number): ReturnType<Transport["call"]> {
  try {
    return await transport.call({ method: "GET", path, bodyBytesMax });
  } catch (cause) {
    if (!(cause instanceof Unreachable)) throw cause;
    throw new QflareError("server.unavailable", cause.message, { cause });
  }
}
