// Whom a verifier of an audit log believes: the key or the device's key file that it was given, and the identities that
// these have announced to follow them.

import { loadKeystore } from "../device/keystore.ts";
import { identitiesEver, logTrustOf } from "../device/pins.ts";
import type { LogTrust } from "../wire/checkpoint.ts";
import { type Identity, identityMessage } from "../wire/identity.ts";
import { type NoteKey, noteKey, parseVkey } from "../wire/note.ts";
import { announcedAfter, announcedAfterKey } from "../wire/rotation.ts";
import { NO_WITNESSES, parseWitnessPolicy, type WitnessPolicy } from "../wire/witness-policy.ts";
import { readText } from "./files.ts";
import { UsageError } from "./output.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface TrustFlags {
  /** Each of another type; all must have signed. */
  readonly key?: readonly string[];
  readonly keystore?: string;
  readonly witnessPolicy?: string;
}

export interface Pinned {
  readonly trust: LogTrust;
  /** What may have signed a receipt. */
  readonly receiptKeys: readonly Bytes[];
  /** The same trust, and in those that these announcements lead to. */
  follow(announcements: readonly Bytes[]): LogTrust;
}

const ORIGIN = /^qflare\/([0-9a-f]{64})$/;

/** The run of a log, hexadecimal. */
export function runIdOf({ origin }: LogTrust): string {
  return ORIGIN.exec(origin)?.[1] ?? "";
}

/** What --key or --keystore names. */
export function pinnedBy({ key, keystore, witnessPolicy }: TrustFlags): Pinned {
  if ((key === undefined) === (keystore === undefined)) throw new UsageError("expected --key or --keystore");
  const policy =
    witnessPolicy === undefined ? NO_WITNESSES : parseWitnessPolicy(readText(witnessPolicy, "--witness-policy"));
  return key === undefined ? pinnedByKeystore(keystore!, policy) : pinnedByKeys(key.map(parseKey), policy);
}

function pinnedByKeystore(path: string, policy: WitnessPolicy): Pinned {
  const keystore = loadKeystore(path);
  if (keystore === undefined) throw new UsageError(`--keystore: there is no ${path}`);
  const ever = identitiesEver(keystore);
  const { identity, next_identity: next } = keystore;
  return {
    trust: logTrustOf(keystore, ever, policy),
    receiptKeys: ever.flatMap((one) => [one.signature_public_key, one.longterm_public_key]),
    follow: (announcements) => {
      const after = announcedAfter({ identity, next }, announcements).map(identityMessage.decode);
      return logTrustOf(keystore, [...ever, ...after], policy);
    },
  };
}

function pinnedByKeys(pinned: readonly NoteKey[], policy: WitnessPolicy): Pinned {
  const origin = requireOneLog(pinned);
  const trust = { origin, logKeys: pinned, policy, needsEachType: pinned.length > 1 };
  const lasting = pinned.filter(({ type }) => type === "ml-dsa-44").map(({ publicKey }) => publicKey);
  return {
    trust,
    receiptKeys: lasting,
    follow: (announcements) => {
      const after = lasting.flatMap((key) => announcedAfterKey(key, announcements)).map(identityMessage.decode);
      return { ...trust, logKeys: [...pinned, ...after.map((one) => logKeyOf(origin, one))] };
    },
  };
}

/** The log that all are keys of, each of a type of its own: of one type only the key in force has signed. */
function requireOneLog(keys: readonly NoteKey[]): string {
  const origin = keys[0]!.name;
  if (!ORIGIN.test(origin)) throw new UsageError(`--key: expected a key of a run's log, got one of ${origin}`);
  for (const [i, { name, type }] of keys.entries()) {
    if (name !== origin)
      throw new UsageError(`--key: expected keys of one log, got one of ${origin} and one of ${name}`);
    const isTwice = keys.slice(0, i).some((other) => other.type === type);
    if (isTwice) throw new UsageError(`--key: expected one key of a type, got two of ${type}`);
  }
  return origin;
}

function logKeyOf(origin: string, { signature_public_key }: Identity): NoteKey {
  return noteKey(origin, "ml-dsa-44", signature_public_key);
}

function parseKey(text: string): NoteKey {
  const key = parseVkey(text);
  if (key === undefined) throw new UsageError(`--key: expected a verifier key, got ${text.slice(0, 80)}`);
  return key;
}
