import assert from "node:assert/strict";
import { createHash, createHmac, hkdfSync } from "node:crypto";
import { describe, it } from "node:test";
import { equal } from "../../../src/core/bytes.ts";
import {
  deriveSession,
  deviceConfirmation,
  type SessionKeys,
  serverConfirmation,
  transcriptHash,
  wipeSession,
} from "../../../src/wire/handshake.ts";
import { seededRandom } from "../../support/clock.ts";
import { hex } from "../crypto/hex.ts";

const random = seededRandom("handshake");
const INPUTS = {
  hello: random.bytes(1300),
  helloSignature: random.bytes(2420),
  answer: random.bytes(11_000),
  serverKey: random.bytes(1312),
  ephemeralSecret: random.bytes(32),
  staticSecret: random.bytes(16),
  psk: random.bytes(32),
};
type Inputs = Record<keyof typeof INPUTS, Uint8Array>;

function keysOf(inputs: Inputs): SessionKeys {
  const th2 = transcriptHash(inputs.hello, inputs.helloSignature, inputs.answer, inputs.serverKey);
  return deriveSession(th2, inputs.ephemeralSecret.slice(), inputs.staticSecret.slice(), inputs.psk);
}

function flat(keys: SessionKeys): Record<string, string> {
  const { client, server, ...rest } = keys;
  const all = { clientKey: client.key, clientIv: client.iv, serverKey: server.key, serverIv: server.iv, ...rest };
  return Object.fromEntries(Object.entries(all).map(([name, bytes]) => [name, hex(bytes)]));
}

// The key schedule once more, from its description, on node's hash, HMAC and HKDF alone.
const sha384 = (...parts: Uint8Array[]): Buffer => createHash("sha384").update(Buffer.concat(parts)).digest();
const hmac = (key: Uint8Array, data: Uint8Array): Buffer => createHmac("sha384", key).update(data).digest();

function lp(...parts: Uint8Array[]): Buffer {
  const length = (part: Uint8Array): Buffer => Buffer.from(part.length.toString(16).padStart(8, "0"), "hex");
  return Buffer.concat(parts.flatMap((part) => [length(part), part]));
}

/** One block of HKDF-Expand, cut. */
function expand(key: Uint8Array, info: Uint8Array, length: number): string {
  return hex(hmac(key, Buffer.concat([info, Uint8Array.of(1)])).subarray(0, length));
}

function twin(inputs: Inputs): Record<string, string> {
  const text = (label: string): Buffer => Buffer.from(`qflare/v1 ${label}`);
  const th1 = sha384(lp(text("m1"), inputs.hello, inputs.helloSignature));
  const th2 = sha384(th1, lp(inputs.answer, inputs.serverKey));
  const s0 = hmac(new Uint8Array(48), inputs.psk);
  const s1 = hmac(hmac(s0, Buffer.concat([text("derived"), Uint8Array.of(1)])), inputs.ephemeralSecret);
  const s2 = hmac(hmac(s1, Buffer.concat([text("derived"), Uint8Array.of(1)])), inputs.staticSecret);
  const master = hmac(s2, Buffer.concat([text("master"), th2, Uint8Array.of(1)]));
  const key = (label: string, length: number): string => expand(master, Buffer.concat([text(label), th2]), length);
  return {
    clientKey: key("c2s key", 32),
    clientIv: key("c2s iv", 12),
    serverKey: key("s2c key", 32),
    serverIv: key("s2c iv", 12),
    confirmDevice: key("confirm device", 48),
    confirmServer: key("confirm server", 48),
    resumption: key("resumption", 48),
    exporter: key("exporter", 48),
  };
}

describe("the key schedule", () => {
  it("is what the description says", () => {
    assert.deepEqual(flat(keysOf(INPUTS)), twin(INPUTS));
  });

  it("extracts with HKDF's own extract where it starts: node agrees on the first two steps", () => {
    const derived = new Uint8Array(hkdfSync("sha384", INPUTS.psk, new Uint8Array(0), "qflare/v1 derived", 48));
    const s0 = hmac(new Uint8Array(48), INPUTS.psk);
    assert.equal(hex(derived), expand(s0, Buffer.from("qflare/v1 derived"), 48));
  });

  it("takes 32 zero bytes for no shared secret beforehand", () => {
    const th2 = random.bytes(48);
    const derive = (...psk: Uint8Array[]) =>
      flat(deriveSession(th2, INPUTS.ephemeralSecret.slice(), INPUTS.staticSecret.slice(), ...(psk as [Uint8Array?])));
    assert.deepEqual(derive(), derive(new Uint8Array(32)));
    assert.notDeepEqual(derive(), derive(INPUTS.psk));
  });

  for (const name of Object.keys(INPUTS) as (keyof Inputs)[]) {
    it(`gives other keys throughout for one bit of another ${name}`, () => {
      const before = flat(keysOf(INPUTS));
      for (const at of [0, INPUTS[name].length >> 1, INPUTS[name].length - 1]) {
        const altered = INPUTS[name].slice();
        altered[at] ^= 0x20;
        const after = flat(keysOf({ ...INPUTS, [name]: altered }));
        for (const key of Object.keys(before)) assert.notEqual(after[key], before[key], `${key}, byte ${at}`);
      }
    });
  }

  it("moves nothing from one field of the transcript to the next", () => {
    const move = (from: keyof Inputs, to: keyof Inputs): Inputs => ({
      ...INPUTS,
      [from]: INPUTS[from].slice(0, -1),
      [to]: Buffer.concat([INPUTS[from].slice(-1), INPUTS[to]]),
    });
    const before = flat(keysOf(INPUTS)).clientKey;
    for (const moved of [
      move("hello", "helloSignature"),
      move("helloSignature", "answer"),
      move("answer", "serverKey"),
    ]) {
      assert.notEqual(flat(keysOf(moved)).clientKey, before);
    }
  });

  it("has no two keys alike", () => {
    const keys = Object.values(flat(keysOf(INPUTS)));
    assert.equal(new Set(keys.map((key) => key.slice(0, 24))).size, keys.length);
  });

  it("wipes both shared secrets, and a closed session all its keys", () => {
    const [ephemeral, fixed, psk] = [random.bytes(32), random.bytes(16), random.bytes(32)];
    const pskBefore = hex(psk);
    const keys = deriveSession(random.bytes(48), ephemeral, fixed, psk);
    assert.ok(equal(ephemeral, new Uint8Array(32)) && equal(fixed, new Uint8Array(16)));
    assert.equal(hex(psk), pskBefore);
    wipeSession(keys);
    assert.match(Object.values(flat(keys)).join(""), /^0+$/);
  });
});

describe("the confirmations", () => {
  const th2 = random.bytes(48);
  const keys = () => deriveSession(th2, INPUTS.ephemeralSecret.slice(), INPUTS.staticSecret.slice());
  const [signature, confirmation] = [random.bytes(2420), random.bytes(32)];

  it("are 32 bytes of HMAC-SHA-384 over what each side has seen", () => {
    const { confirmServer, confirmDevice } = keys();
    assert.equal(hex(serverConfirmation(keys(), th2)), hex(hmac(confirmServer, th2).subarray(0, 32)));
    const expected = hmac(confirmDevice, sha384(th2, lp(signature, confirmation))).subarray(0, 32);
    assert.equal(hex(deviceConfirmation(keys(), th2, signature, confirmation)), hex(expected));
  });

  it("of the device covers the server's signature and confirmation", () => {
    const whole = hex(deviceConfirmation(keys(), th2, signature, confirmation));
    const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 9 ? byte ^ 1 : byte));
    assert.notEqual(hex(deviceConfirmation(keys(), th2, flipped(signature), confirmation)), whole);
    assert.notEqual(hex(deviceConfirmation(keys(), th2, signature, flipped(confirmation))), whole);
    assert.notEqual(hex(deviceConfirmation(keys(), flipped(th2), signature, confirmation)), whole);
  });
});
