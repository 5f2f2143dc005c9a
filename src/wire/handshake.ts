// Key schedule of a session. Both sides run the same function over the same bytes, which transcript.ts lists.
//
//   th1    = SHA-384(LP(label) LP(M1) LP(sig1))
//   th2    = SHA-384(th1 LP(M2) LP(server signature key))          the server signs th2
//   s0     = Extract(0, psk or 32 zero bytes)
//   s1     = Extract(Expand(s0, "derived"), ss_e)                  ss_e: ephemeral KEM
//   s2     = Extract(Expand(s1, "derived"), ss_d)                  ss_d: device's static FrodoKEM
//   master = Expand(s2, "master" th2)
//   keys   = Expand(master, label th2)                             HKDF-SHA-384 throughout
//   confirm_s = HMAC(kc_s, th2)[0:32]
//   confirm_d = HMAC(kc_d, SHA-384(th2 LP(sig2) LP(confirm_s)))[0:32]   rides on the first protected request
//
// A resumption (resume.ts) absorbs the resumption secret and ss_e instead, and confirm_d leaves sig2 out.
//
// Reading a recorded session needs ss_e and ss_d. Only the server's key signs th2; only the device's static key opens
// ss_d, so the confirmations prove both ends.

import { wipe } from "../core/bytes.ts";
import { AEAD_KEY_BYTES, AEAD_NONCE_BYTES } from "../crypto/aead-sizes.ts";
import { hmacSha384, SHA384_BYTES, sha384 } from "../crypto/hash.ts";
import { expand, extract } from "../crypto/hkdf.ts";
import { CONFIRMATION_BYTES } from "./challenge.ts";
import { CONFIRMATIONS, gather, KEY_SCHEDULE, RESUME_SECRETS, TRANSCRIPT } from "./transcript.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const PSK_BYTES = 32;

/** Key and IV of one direction of records. */
export interface RecordKeys {
  readonly key: Bytes;
  readonly iv: Bytes;
}

export interface SessionKeys {
  readonly client: RecordKeys;
  readonly server: RecordKeys;
  readonly confirmDevice: Bytes;
  readonly confirmServer: Bytes;
  readonly resumption: Bytes;
  readonly exporter: Bytes;
}

/** th2: what the server signs. */
export function transcriptHash(
  hello: Uint8Array,
  helloSignature: Uint8Array,
  answer: Uint8Array,
  serverPublicKey: Uint8Array,
): Bytes {
  const th1 = sha384(gather(TRANSCRIPT.th1, { hello, helloSignature }));
  return sha384(gather(TRANSCRIPT.th2, { th1, answer, serverKey: serverPublicKey }));
}

/** Wipes both shared secrets. psk: 32 bytes that both sides hold beforehand, if any; stays the caller's. */
export function deriveSession(
  th2: Uint8Array,
  ephemeralSecret: Uint8Array,
  staticSecret: Uint8Array,
  psk: Uint8Array = new Uint8Array(PSK_BYTES),
): SessionKeys {
  if (psk.length !== PSK_BYTES) throw new RangeError(`expected a key of ${PSK_BYTES} bytes, got ${psk.length}`);
  const keys = expandKeys(th2, absorb(KEY_SCHEDULE.secrets, { psk, ephemeralSecret, staticSecret }));
  wipe(ephemeralSecret, staticSecret);
  return keys;
}

/** Wipes the ephemeral secret; the resumption secret stays the caller's. */
export function deriveResumed(th2: Uint8Array, resumption: Uint8Array, ephemeralSecret: Uint8Array): SessionKeys {
  const keys = expandKeys(th2, absorb(RESUME_SECRETS, { resumption, ephemeralSecret }));
  wipe(ephemeralSecret);
  return keys;
}

/** Wipes root. */
function expandKeys(th2: Uint8Array, root: Bytes): SessionKeys {
  const { master: masterInfo, keys: infos } = KEY_SCHEDULE;
  const master = expand(root, gather(masterInfo, { th2 }), SHA384_BYTES);
  const derive = (name: keyof typeof infos, length: number): Bytes =>
    expand(master, gather(infos[name], { th2 }), length);
  const keys: SessionKeys = {
    client: { key: derive("clientKey", AEAD_KEY_BYTES), iv: derive("clientIv", AEAD_NONCE_BYTES) },
    server: { key: derive("serverKey", AEAD_KEY_BYTES), iv: derive("serverIv", AEAD_NONCE_BYTES) },
    confirmDevice: derive("confirmDevice", SHA384_BYTES),
    confirmServer: derive("confirmServer", SHA384_BYTES),
    resumption: derive("resumption", SHA384_BYTES),
    exporter: derive("exporter", SHA384_BYTES),
  };
  wipe(root, master);
  return keys;
}

/** Extract over all secrets in their order. */
function absorb<Name extends string>(names: readonly Name[], secrets: Readonly<Record<Name, Uint8Array>>): Bytes {
  let root: Bytes | undefined;
  for (const name of names) {
    const salt = root === undefined ? new Uint8Array(0) : expand(root, gather(KEY_SCHEDULE.step, {}), SHA384_BYTES);
    const next = extract(salt, secrets[name]);
    wipe(salt, root ?? salt);
    root = next;
  }
  return root!;
}

export function serverConfirmation(keys: SessionKeys, th2: Uint8Array): Bytes {
  return hmacSha384(keys.confirmServer, gather(CONFIRMATIONS.server, { th2 })).slice(0, CONFIRMATION_BYTES);
}

export function deviceConfirmation(
  keys: SessionKeys,
  th2: Uint8Array,
  answerSignature: Uint8Array,
  confirmation: Uint8Array,
): Bytes {
  const th3 = sha384(gather(TRANSCRIPT.th3, { th2, answerSignature, serverConfirmation: confirmation }));
  return hmacSha384(keys.confirmDevice, gather(CONFIRMATIONS.device, { th3 })).slice(0, CONFIRMATION_BYTES);
}

/** confirm_d of a resumption, which has no signature to confirm. */
export function resumedConfirmation(keys: SessionKeys, th2: Uint8Array, confirmation: Uint8Array): Bytes {
  const th3 = sha384(gather(TRANSCRIPT.resumeTh3, { th2, serverConfirmation: confirmation }));
  return hmacSha384(keys.confirmDevice, gather(CONFIRMATIONS.device, { th3 })).slice(0, CONFIRMATION_BYTES);
}

/** Once both confirmations are made nobody needs their keys any more; the exporter has no user yet. */
export function wipeConfirmationKeys(keys: SessionKeys): void {
  wipe(keys.confirmDevice, keys.confirmServer, keys.exporter);
}

export function wipeSession(keys: SessionKeys): void {
  wipe(keys.client.key, keys.client.iv, keys.server.key, keys.server.iv);
  wipeConfirmationKeys(keys);
  wipe(keys.resumption);
}
