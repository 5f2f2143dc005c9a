// Resumption from the device's side: a session goes on under new keys.

import { equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { Clock, Random } from "../core/ports.ts";
import { exchangeKem, RESUME_KEM } from "../crypto/suite.ts";
import { NONCE_BYTES } from "../wire/challenge.ts";
import { deriveResumed, resumedConfirmation, serverConfirmation, wipeSession } from "../wire/handshake.ts";
import {
  resumeAnswer,
  resumeBinder,
  resumeChallengeAnswer,
  resumeHello,
  resumeRequest,
  resumeTranscript,
} from "../wire/resume.ts";
import { type DeviceTicket, Session } from "./session.ts";
import { CBOR_HEADERS, errorOf, type Transport } from "./transport.ts";

/**
 * A ticket is good once, whatever becomes of the answer; it stays the caller's to wipe. Throws session.refused where
 * the server has it no longer, server.identity where the answer is not of who gave it.
 */
export async function resumeSession(
  transport: Transport,
  ticket: DeviceTicket,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Session> {
  const exchange = exchangeKem(RESUME_KEM);
  const ephemeral = await exchange.generateKeyPair();
  try {
    const hello = resumeHello.encode({
      v: 1,
      ticket: ticket.id,
      nonce: random.bytes(NONCE_BYTES),
      ephemeral_public_key: ephemeral.publicKey,
    });
    const binder = resumeBinder(ticket.resumption, hello);
    const answer = await transport.call({
      method: "POST",
      path: "/api/resume",
      headers: CBOR_HEADERS,
      body: [resumeRequest.encode({ message: hello, binder })],
      bodyBytesMax: resumeChallengeAnswer.bytesMax,
    });
    if (answer.status !== 200) throw errorOf(answer);
    const outer = resumeChallengeAnswer.decode(answer.body);
    const inner = resumeAnswer.decode(outer.message);
    const th2 = resumeTranscript(hello, binder, outer.message, ticket.serverKey);
    const secret = await exchange.decapsulate(ephemeral.secretKey, inner.ephemeral_ciphertext);
    const keys = deriveResumed(th2, ticket.resumption, secret);
    if (!equal(serverConfirmation(keys, th2), outer.confirmation)) {
      wipeSession(keys);
      throw new QflareError("server.identity", "its confirmation of the resumption does not hold");
    }
    return new Session(transport, {
      id: inner.session_id,
      suite: ticket.suite,
      keys,
      confirmation: resumedConfirmation(keys, th2, outer.confirmation),
      expiresAtMs: Math.min(inner.expires_at, clock.nowMs() + LIMITS.sessionKeyAgeMsMax),
      fullUntilMs: ticket.fullUntilMs,
      serverKey: ticket.serverKey,
      hasPsk: ticket.hasPsk,
    });
  } finally {
    wipe(ephemeral.secretKey);
  }
}
