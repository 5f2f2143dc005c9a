// Worked examples of docs/wire.md: small inputs, fixed randomness, the bytes that the sources make of them.

import { reportData } from "../../src/attestation/binding.ts";
import { concat, fromHex, lengthPrefixed, toHex, utf8 } from "../../src/core/bytes.ts";
import { encodeCbor } from "../../src/core/codec.ts";
import { seal } from "../../src/crypto/chunked-seal.ts";
import { sha256 } from "../../src/crypto/hash.ts";
import { kemSizes } from "../../src/crypto/kem-sizes.ts";
import { blobDigest, inclusionPath, leafHash, treeRoot } from "../../src/crypto/merkle.ts";
import { SIGNATURE_SIZES } from "../../src/crypto/signature.ts";
import { exchangeSizes, SUITES } from "../../src/crypto/suite.ts";
import { deviceId } from "../../src/wire/enroll.ts";
import { framesOf } from "../../src/wire/frame.ts";
import { deriveSession, deviceConfirmation, serverConfirmation } from "../../src/wire/handshake.ts";
import { associatedData, type RecordPlace, recordNonce, sealRecord } from "../../src/wire/record.ts";
import { formatToken } from "../../src/wire/token.ts";
import type { Block, Example } from "./page.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export function exampleBlocks(): Record<string, Block> {
  const examples = {
    lp: lp(),
    cbor: cbor(),
    tree: tree(),
    token: token(),
    "device id": device(),
    "key schedule": keySchedule(),
    record: record(),
    "report data": reportDataExample(),
    "chunked seal": chunkedSeal(),
    frame: frame(),
  };
  return Object.fromEntries(Object.entries(examples).map(([name, example]) => [`example ${name}`, { example }]));
}

function filled(length: number, value: number): Bytes {
  return new Uint8Array(length).fill(value);
}

/** first, first + 1, ... */
function counted(length: number, first = 0): Bytes {
  return Uint8Array.from({ length }, (_, i) => first + i);
}

function lp(): Example {
  const parts = [utf8("ab"), new Uint8Array(0), Uint8Array.of(1)];
  return [["LP(6162,,01)", toHex(lengthPrefixed(...parts))]];
}

function cbor(): Example {
  const value = { v: 1, aa: 0.5, b: Uint8Array.of(1, 2), n: null, list: ["x", 1e6] };
  return [["encoded", toHex(encodeCbor(value))]];
}

function tree(): Example {
  const leaves = ["a", "b", "c"].map((text) => leafHash(utf8(text)));
  return [
    ...leaves.map((leaf, i): [string, string] => [`leaf_${i}`, toHex(leaf)]),
    ["root", toHex(treeRoot(leaves))],
    ...leaves.map((_, i): [string, string] => [`path_${i}`, inclusionPath(leaves, i).map(toHex).join(",")]),
    ["blob_digest(616263)", toHex(blobDigest(utf8("abc")))],
  ];
}

function token(): Example {
  const [id, secret, fingerprint] = [counted(8), counted(24, 8), counted(32, 32)];
  const [name, url] = ["edge-1", "https://example.org:8443"];
  return [
    ["id", toHex(id)],
    ["secret", toHex(secret)],
    ["fingerprint", toHex(fingerprint)],
    ["name", name],
    ["url", url],
    ["token", formatToken({ id, secret, fingerprint, name, url })],
  ];
}

function device(): Example {
  const kemPublicKey = filled(kemSizes("FrodoKEM-640-AES").publicKey, 0x11);
  const signaturePublicKey = filled(SIGNATURE_SIZES["ML-DSA-44"].publicKey, 0x22);
  return [
    ["SHA-256(kem_public_key)", toHex(sha256(kemPublicKey))],
    ["SHA-256(signature_public_key)", toHex(sha256(signaturePublicKey))],
    ["device_id", toHex(deviceId(sha256(kemPublicKey), signaturePublicKey))],
  ];
}

function keySchedule(): Example {
  const th2 = filled(48, 1);
  const keys = deriveSession(th2, filled(32, 2), filled(16, 3));
  const confirmServer = serverConfirmation(keys, th2);
  const signature = filled(SIGNATURE_SIZES["ML-DSA-44"].signature, 4);
  return [
    ["c2s_key", toHex(keys.client.key)],
    ["c2s_iv", toHex(keys.client.iv)],
    ["s2c_key", toHex(keys.server.key)],
    ["s2c_iv", toHex(keys.server.iv)],
    ["confirm_s", toHex(confirmServer)],
    ["confirm_d", toHex(deviceConfirmation(keys, th2, signature, confirmServer))],
  ];
}

function record(): Example {
  const keys = { key: filled(32, 0x42), iv: counted(12) };
  const place: RecordPlace = {
    direction: "c2s",
    method: "GET",
    path: "/api/global_model",
    sessionId: counted(16),
    sequence: 258,
    answers: 258,
    contentType: "application/qflare-record",
    contentLength: 0,
  };
  return [
    ["key", toHex(keys.key)],
    ["iv", toHex(keys.iv)],
    ["nonce", toHex(recordNonce(keys.iv, place.sequence))],
    ["associated", toHex(associatedData(place))],
    ["plaintext", toHex(utf8("abc"))],
    ["record", toHex(sealRecord(keys, place, utf8("abc")))],
  ];
}

function reportDataExample(): Example {
  const data = reportData({
    tee: "simulated",
    nonce_root: filled(32, 1),
    kem_suite: "X25519+FrodoKEM-640-AES",
    kem_public_key: filled(exchangeSizes(SUITES["QF2-HYBRID"].update).publicKey, 2),
    signature_suite: "ML-DSA-44",
    signature_public_key: filled(SIGNATURE_SIZES["ML-DSA-44"].publicKey, 3),
    policy_hash: filled(32, 4),
    run_id: filled(32, 5),
    epoch: 1,
    not_before: 1000,
    not_after: 2000,
    code_log_entry: filled(32, 6),
    audit_head: filled(32, 7),
  });
  return [["report_data", toHex(data)]];
}

function chunkedSeal(): Example {
  const [secret, salt, context] = [filled(32, 1), filled(32, 2), lengthPrefixed(utf8("a context"))];
  const blob = seal(secret, context, utf8("abc"), { bytes: () => salt });
  return [
    ["secret", toHex(secret)],
    ["context", toHex(context)],
    ["plaintext", toHex(utf8("abc"))],
    ["magic", toHex(blob.slice(0, 4))],
    ["chunk_length", toHex(blob.slice(4, 8))],
    ["salt", toHex(blob.slice(8, 40))],
    ["commitment", toHex(blob.slice(40, 72))],
    ["chunk_0", toHex(blob.slice(72))],
  ];
}

function frame(): Example {
  const [message, ...piece] = framesOf(fromHex("a0")!, fromHex("0102")!);
  return [
    ["message", toHex(message!)],
    ["piece", toHex(concat(...piece))],
  ];
}
