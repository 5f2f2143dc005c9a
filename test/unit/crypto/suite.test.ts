import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SIGNATURE_SIZES } from "../../../src/crypto/signature.ts";
import {
  DEFAULT_SUITE,
  exchangeKem,
  exchangeSizes,
  isSuiteName,
  SUITE_NAMES,
  SUITES,
} from "../../../src/crypto/suite.ts";
import { answerMessage, challengeAnswer, challengeRequest, helloMessage } from "../../../src/wire/challenge.ts";

/** First and second message of the handshake as they travel, kB. */
const HANDSHAKE_KB = { "QF2-HYBRID": 17.1, "QF1-FRODO": 34.2, "QF3-LONGTERM": 25.7 } as const;

describe("the table of suites", () => {
  it("names each suite after itself, prefers the first, and holds its own members alone", () => {
    assert.equal(SUITE_NAMES[0], DEFAULT_SUITE);
    for (const name of SUITE_NAMES) assert.equal(SUITES[name].name, name);
    assert.deepEqual(["QF2-HYBRID", "toString", "__proto__", ""].map(isSuiteName), [true, false, false, false]);
  });

  it("cannot be changed by who reads it", () => {
    assert.throws(() => Object.assign(SUITES, { "QF2-HYBRID": SUITES["QF1-FRODO"] }), TypeError);
    for (const suite of Object.values(SUITES)) assert.throws(() => Object.assign(suite, { static: "none" }), TypeError);
  });

  for (const name of SUITE_NAMES) {
    it(`knows the sizes of ${name} without starting an engine, and they are those of the engine`, () => {
      const { ephemeral, static: fixed, update } = SUITES[name];
      for (const kem of [ephemeral, fixed, update]) {
        const { publicKey, ciphertext, sharedSecret } = exchangeKem(kem).sizes;
        const known = exchangeSizes(kem);
        assert.deepEqual(
          [known.publicKey, known.ciphertext, known.sharedSecret],
          [publicKey, ciphertext, sharedSecret],
        );
        assert.equal(exchangeKem(kem).name, kem);
      }
    });

    it(`opens a session of ${name} with about ${HANDSHAKE_KB[name]} kB of messages, within their limits`, () => {
      const { publicKey, ciphertext } = exchangeSizes(SUITES[name].ephemeral);
      const hello = helloMessage.encode({
        v: 1,
        suites: [...SUITE_NAMES],
        suite: name,
        device_id: new Uint8Array(16),
        nonce: new Uint8Array(32),
        timestamp: 1_750_000_000_000,
        ephemeral_public_key: new Uint8Array(publicKey),
        psk_ids: [],
      });
      const answer = answerMessage.encode({
        v: 1,
        suite: name,
        session_id: new Uint8Array(16),
        nonce: new Uint8Array(32),
        expires_at: 1_750_000_000_000,
        ephemeral_ciphertext: new Uint8Array(ciphertext),
        static_ciphertext: new Uint8Array(exchangeSizes(SUITES[name].static).ciphertext),
        enclave_key_hash: new Uint8Array(32),
        psk_id: null,
      });
      const signature = new Uint8Array(SIGNATURE_SIZES[SUITES[name].signature].signature);
      const first = challengeRequest.encode({ message: hello, signature });
      const second = challengeAnswer.encode({ message: answer, signature, confirmation: new Uint8Array(32) });
      const kb = (first.length + second.length) / 1000;
      assert.ok(Math.abs(kb / HANDSHAKE_KB[name] - 1) < 0.03, `${kb} kB`);
      assert.ok(first.length <= challengeRequest.bytesMax && second.length <= challengeAnswer.bytesMax);
    });
  }
});
