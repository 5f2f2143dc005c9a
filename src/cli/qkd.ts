// Quantum keys for the sessions of this program: from the settings or flags to the ports that server and device take.

import type { DevicePsk, Log, ServerPsk } from "../core/ports.ts";
import { QkdClient } from "../qkd/client.ts";
import { readQkdLink } from "../qkd/link-file.ts";
import { QKD_POLICIES, QkdDevicePsk, type QkdPolicy, QkdServerPsk } from "../qkd/psk.ts";
import { readBytes } from "./files.ts";
import { UsageError } from "./output.ts";
import { choice } from "./parse.ts";

type QkdChoice = (typeof QKD_POLICIES)[number];

export interface QkdFlags {
  readonly qkd?: string;
  readonly qkdLink?: string;
}

/** undefined where it is off. Throws UsageError, config.invalid. */
export function serverPsk(policy: QkdChoice, file: string | undefined, log: Log): ServerPsk | undefined {
  const found = linkOf(policy, file);
  return found === undefined ? undefined : new QkdServerPsk(found.client, found.policy, log);
}

/** tell: why a session goes on without a quantum key. undefined where it is off. Throws UsageError, config.invalid. */
export function devicePsk({ qkd = "off", qkdLink }: QkdFlags, tell: (reason: string) => void): DevicePsk | undefined {
  const found = linkOf(choice(qkd, "--qkd", QKD_POLICIES), qkdLink);
  return found === undefined ? undefined : new QkdDevicePsk(found.client, found.link, found.policy, tell);
}

function linkOf(
  policy: QkdChoice,
  file: string | undefined,
): { policy: QkdPolicy; link: ReturnType<typeof readQkdLink>; client: QkdClient } | undefined {
  if (policy === "off" && file === undefined) return undefined;
  if (policy === "off" || file === undefined) throw new UsageError("--qkd and --qkd-link: expected both or none");
  const link = readQkdLink(file, (path) => readBytes(path, "--qkd-link"));
  return { policy, link, client: new QkdClient(link) };
}
