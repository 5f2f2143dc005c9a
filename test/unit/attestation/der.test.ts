import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DerReader, enterDer, fixedInteger, smallInteger, TAG } from "../../../src/attestation/der.ts";
import { certificatesFromPem } from "../../../src/attestation/pem.ts";
import { readTime } from "../../../src/attestation/x509.ts";
import { utf8 } from "../../../src/core/bytes.ts";
import { coded } from "../../support/errors.ts";
import { pem } from "../../support/tee/authority.ts";
import { element, integer, objectIdentifier, sequence } from "../../support/tee/der-writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const hex = (text: string): Bytes => Uint8Array.from(Buffer.from(text, "hex"));
const malformed = coded("evidence.malformed");

describe("DER", () => {
  it("of every length is read to the byte", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535]) {
      const body = new Uint8Array(length).fill(7);
      assert.deepEqual(new DerReader(element(0x04, body), "test").read(TAG.octetString).body, body);
    }
  });

  it("with a length that is longer than needed, indefinite, too large or cut off is refused", () => {
    for (const text of [
      "048100",
      "04810100",
      "04820001ff",
      "0480ff",
      "0484000000010a",
      "04",
      "0481",
      "0482ff",
      "0402ff",
    ]) {
      assert.throws(() => new DerReader(hex(text), "test").read(TAG.octetString), malformed, text);
    }
  });

  it("with another tag, with nothing more or with more than expected is refused", () => {
    const body = sequence(integer(5));
    assert.throws(() => new DerReader(body, "test").integer(), malformed);
    assert.throws(() => new DerReader(new Uint8Array(0), "test").readAny(), malformed);
    assert.throws(() => enterDer(Uint8Array.of(...body, 0), "test"), coded("evidence.malformed", /1 trailing bytes/));
    assert.throws(() => enterDer(body, "test").end(), malformed);
  });

  it("integers are in their shortest form and of the expected size", () => {
    const read = (text: string): Bytes => new DerReader(hex(text), "test").integer();
    assert.equal(smallInteger(read("020100"), "test"), 0);
    assert.equal(smallInteger(read("020200ff"), "test"), 255);
    for (const text of ["0200", "02020001", "0202ff80"]) assert.throws(() => read(text), malformed, text);
    for (const text of ["0201ff", "020700ffffffffffff"])
      assert.throws(() => smallInteger(read(text), "test"), malformed);
    assert.deepEqual(fixedInteger(read("0203008001"), 4, "test"), hex("00008001"));
    for (const text of ["0201ff", "02050100000000"])
      assert.throws(() => fixedInteger(read(text), 4, "test"), malformed);
  });

  it("object identifiers go there and back, and are refused cut off or padded", () => {
    const read = (bytes: Bytes): string => new DerReader(bytes, "test").objectIdentifier();
    for (const dotted of ["1.2.840.113741.1.13.1", "2.5.29.15", "0.9.2342", "2.999.3"]) {
      if (dotted.startsWith("2.999")) assert.equal(read(hex("0603883703")), dotted);
      else assert.equal(read(objectIdentifier(dotted)), dotted);
    }
    for (const text of ["0600", "060188", "06032a8001", "06062a9fffffff7f"]) {
      assert.throws(() => read(hex(text)), malformed, text);
    }
  });

  it("bit strings with unused bits are refused", () => {
    assert.throws(() => new DerReader(hex("03020780"), "test").bitString(), malformed);
    assert.throws(() => new DerReader(hex("0300"), "test").bitString(), malformed);
  });

  it("times are in UTC to the second, two digits from 1950 to 2049", () => {
    const read = (tag: number, text: string): number =>
      readTime(new DerReader(element(tag, utf8(text)), "test"), "test");
    assert.equal(read(TAG.utcTime, "491231235959Z"), Date.UTC(2049, 11, 31, 23, 59, 59));
    assert.equal(read(TAG.utcTime, "500101000000Z"), Date.UTC(1950, 0, 1));
    assert.equal(read(TAG.generalizedTime, "20500101000000Z"), Date.UTC(2050, 0, 1));
    for (const text of [
      "4912312359Z",
      "491231235959",
      "491231235959+0000",
      "20491231235959Z",
      "491331000000Z",
      "490001000000Z",
    ]) {
      assert.throws(() => read(TAG.utcTime, text), malformed, text);
    }
  });
});

describe("PEM", () => {
  it("gives each certificate's bytes, of every length", () => {
    for (const length of [1, 2, 3, 47, 48, 49, 96, 1000]) {
      const der = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
      assert.deepEqual(certificatesFromPem(pem(der, der), "test"), [der, der]);
      assert.deepEqual(certificatesFromPem(pem(der).trimEnd(), "test"), [der]);
    }
    assert.deepEqual(certificatesFromPem("", "test"), []);
  });

  it("in any other form is refused", () => {
    const text = pem(new Uint8Array(49));
    const wrong = [
      ...[` ${text}`, `${text}\n`, `${text}x`, text.replaceAll("\n", "\r\n"), text.replace("BEGIN", "begin")],
      ...[
        text.replace("AA\n", "A\n"),
        text.replace("AA==", "AB=="),
        text.replace("AA==", "AA="),
        text.replace("A", "*"),
      ],
      ...[text.replace("A\nA", "\nAA"), text.replace("A\nA", "AA\n"), text.replace("CERTIFICATE", "KEY")],
    ];
    for (const other of wrong) {
      assert.notEqual(other, text);
      assert.throws(() => certificatesFromPem(other, "test"), malformed, other);
    }
  });
});
