// Rotation of a server's identity: who it is now announces who it will be next, signed by every key of the identity in
// force, so that a device pins the next one long before it is used, and a forger needs all of them.
//
//   GET /api/rotations -> rotationsAnswer: the newest announcements, oldest first, the last of them of what comes next

import { equal } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";
import { bytes, list, message, uint } from "../core/shape.ts";
import { SIGNATURE_SIZES, verifyUnderKey } from "../crypto/signature.ts";
import { identityFingerprint, identityMessage } from "./identity.ts";
import { CONTEXTS } from "./labels.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** fingerprint: of the identity that signs. next: the encoded identity that follows it. */
export const rotationMessage = message("rotation", 4608, {
  v: uint(1, 1),
  fingerprint: bytes(32),
  next: bytes(1, identityMessage.bytesMax),
});

export const rotationAnnouncement = message("rotation announcement", 10_752, {
  message: bytes(1, rotationMessage.bytesMax),
  signature: bytes(SIGNATURE_SIZES["ML-DSA-44"].signature),
  longterm_signature: bytes(SIGNATURE_SIZES["ML-DSA-65"].signature),
});

export const rotationsAnswer = message("rotations answer", 98_304, {
  announcements: list(bytes(1, rotationAnnouncement.bytesMax), 1, LIMITS.identityRotationsMax + 1),
});

/** What a device holds for its server: encoded identities; next null until it has seen an announcement. */
export interface IdentityPins {
  readonly identity: Bytes;
  readonly next: Bytes | null;
}

/**
 * The pins of a device that follows the announcements from its own identity to the one in force. A next identity that
 * was pinned before is the only one it follows: who stole a key after its successor was announced leads nobody away.
 * undefined where no such way leads there.
 */
export function followRotations(
  pins: IdentityPins,
  announcements: readonly Bytes[],
  inForce: Uint8Array,
): IdentityPins | undefined {
  let at = pins;
  for (let step = 0; step <= announcements.length; step++) {
    const announced = nextOf(at.identity, announcements);
    if (announced !== undefined && at.next !== null && !equal(announced, at.next)) return undefined;
    const next = announced ?? at.next;
    if (equal(at.identity, inForce)) return { identity: at.identity, next };
    if (next === null) return undefined;
    at = { identity: next, next: null };
  }
  return undefined;
}

/** The identities that follow the pinned one, as far as they are announced: each announced by the one before. */
export function announcedAfter(pins: IdentityPins, announcements: readonly Bytes[]): Bytes[] {
  const after: Bytes[] = [];
  let next = pins.next ?? nextOf(pins.identity, announcements);
  while (next !== undefined && after.length <= announcements.length) {
    after.push(next);
    next = nextOf(next, announcements);
  }
  return after;
}

/**
 * Like announcedAfter, for who has pinned an identity's ML-DSA-44 key alone. None where that key has announced two: it
 * was stolen.
 */
export function announcedAfterKey(publicKey: Uint8Array, announcements: readonly Bytes[]): Bytes[] {
  const announced = announcements.flatMap((encoded) => {
    const { message: signed, signature } = rotationAnnouncement.decode(encoded);
    return verifyUnderKey(publicKey, signed, signature, CONTEXTS.rotation) ? [rotationMessage.decode(signed).next] : [];
  });
  const [first] = announced;
  if (first === undefined || !announced.every((next) => equal(next, first))) return [];
  return [first, ...announcedAfter({ identity: first, next: null }, announcements)];
}

/** The identity that this one announces as its next, if a valid announcement is among them. */
function nextOf(identity: Bytes, announcements: readonly Bytes[]): Bytes | undefined {
  const keys = identityMessage.decode(identity);
  const fingerprint = identityFingerprint(identity);
  for (const encoded of announcements) {
    const { message: signed, signature, longterm_signature } = rotationAnnouncement.decode(encoded);
    const rotation = rotationMessage.decode(signed);
    if (!equal(rotation.fingerprint, fingerprint)) continue;
    const isSigned =
      verifyUnderKey(keys.signature_public_key, signed, signature, CONTEXTS.rotation) &&
      verifyUnderKey(keys.longterm_public_key, signed, longterm_signature, CONTEXTS.rotation);
    if (isSigned) return rotation.next;
  }
  return undefined;
}
