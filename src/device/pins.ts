// Who the server is and who it will be: what a device pins, and how it follows a rotation.

import { equal } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { type LogTrust, logOrigin } from "../wire/checkpoint.ts";
import { type Identity, identityMessage } from "../wire/identity.ts";
import { noteKey } from "../wire/note.ts";
import { followRotations, rotationsAnswer } from "../wire/rotation.ts";
import type { WitnessPolicy } from "../wire/witness-policy.ts";
import type { Keystore, OpenKeystore } from "./keystore.ts";
import { errorOf, type Transport } from "./transport.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Follows the server to the identity that it shows now. False where that is the pinned one, or no way leads to it. */
export async function followServer(transport: Transport, keystore: OpenKeystore): Promise<boolean> {
  const pins = pinsOf(keystore.current);
  const inForce = await get(transport, "/api/identity", identityMessage.bytesMax);
  if (equal(inForce, pins.identity)) return false;
  const reached = followRotations(pins, await readAnnouncements(transport), inForce);
  if (reached === undefined) return false;
  const former = [...keystore.current.former_identities, pins.identity].slice(-LIMITS.formerIdentitiesMax);
  keystore.replace({ identity: reached.identity, next_identity: reached.next, former_identities: former });
  return true;
}

/**
 * The identity that this server announces as its next. Throws server.identity where there is none that it has signed.
 */
export async function readNextIdentity(transport: Transport, identity: Bytes): Promise<Bytes> {
  const pins = { identity, next: null };
  const next = followRotations(pins, await readAnnouncements(transport), identity)?.next;
  if (next === undefined || next === null) throw new QflareError("server.identity", "it announces no next identity");
  return next;
}

/** Who may sign for the server now: the pinned identity and the one that it has announced. */
export function identitiesNow({ identity, next_identity }: Keystore): Identity[] {
  return [identity, next_identity].filter((one) => one !== null).map(identityMessage.decode);
}

/** Who may have signed what this device keeps: those that were in force, too. */
export function identitiesEver(keystore: Keystore): Identity[] {
  return [...keystore.former_identities.map(identityMessage.decode), ...identitiesNow(keystore)];
}

/** The log of the device's own run, signed by one of these. */
export function logTrustOf({ run_id }: Keystore, identities: readonly Identity[], policy: WitnessPolicy): LogTrust {
  const origin = logOrigin(run_id);
  const logKeys = identities.map((one) => noteKey(origin, "ml-dsa-44", one.signature_public_key));
  return { origin, logKeys, policy };
}

function pinsOf({ identity, next_identity }: Keystore): { identity: Bytes; next: Bytes | null } {
  return { identity, next: next_identity };
}

async function readAnnouncements(transport: Transport): Promise<Bytes[]> {
  return rotationsAnswer.decode(await get(transport, "/api/rotations", rotationsAnswer.bytesMax)).announcements;
}

async function get(transport: Transport, path: string, bodyBytesMax: number): Promise<Bytes> {
  const answer = await transport.call({ method: "GET", path, bodyBytesMax });
  if (answer.status !== 200) throw errorOf(answer);
  return answer.body;
}
