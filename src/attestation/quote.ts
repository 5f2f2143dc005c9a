// Quotes of Intel's quoting enclaves: "Intel SGX ECDSA QuoteLibraryReference DCAP API", appendix A.3 (version 3), and
// "Intel TDX DCAP Quoting Library API", appendix A.3 (versions 4 and 5). ECDSA-P256 alone; the certificate chain of
// the platform (PCK) must be inside.

import { equal, fromHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { isZero, LayoutReader } from "./layout.ts";
import { certificatesFromPem, textOf } from "./pem.ts";
import { SGX_REPORT_BYTES } from "./sgx-report.ts";
import { TD10_BYTES, TD15_BYTES } from "./td-report.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Quote {
  readonly version: number;
  readonly tee: "sgx" | "tdx";
  readonly body: Bytes;
  /** Header and body: what the attestation key signs. */
  readonly signed: Bytes;
  readonly signature: Bytes;
  /** x, then y on P-256. */
  readonly attestationKey: Bytes;
  /** Report of the quoting enclave, signed by the platform's key. */
  readonly qeReport: Bytes;
  readonly qeReportSignature: Bytes;
  readonly qeAuthenticationData: Bytes;
  /** DER, leaf first. */
  readonly certificates: readonly Bytes[];
  /** Behind the declared end; zeros that fill up a buffer are left out. */
  readonly trailing: Bytes;
}

const INTEL_QE_VENDOR = "939a7233f79c4ca9940a0db3957f0607";
const ECDSA_P256 = 2;
const TEE_TYPES: Readonly<Record<number, Quote["tee"]>> = { 0: "sgx", 129: "tdx" };

/** Certification data types. */
const PCK_CHAIN = 5;
const QE_REPORT_CERTIFICATION = 6;

/** The quoting service hands out TDX quotes of version 4 in a buffer of this length and fills it up with zeros. */
const TDX_BUFFER_BYTES = 5006;

function refuse(fact: string): never {
  throw new QflareError("evidence.malformed", `quote: ${fact}`);
}

interface Header {
  readonly version: number;
  readonly tee: Quote["tee"];
}

/** Of 48 bytes. */
function readHeader(reader: LayoutReader): Header {
  const version = reader.u16();
  if (version < 3 || version > 5) refuse(`expected version 3 to 5, got ${version}`);
  const keyType = reader.u16();
  if (keyType !== ECDSA_P256) refuse(`expected attestation key type 2 (ECDSA P-256), got ${keyType}`);
  const type = reader.u32();
  const tee = version === 3 ? "sgx" : (TEE_TYPES[type] ?? refuse(`expected TEE type 0 or 129, got ${type}`));
  reader.take(4);
  if (!equal(reader.take(16), fromHex(INTEL_QE_VENDOR)!)) refuse("its quoting enclave is not Intel's");
  reader.take(20);
  return { version, tee };
}

const BODY_TYPES: Readonly<Record<number, { readonly tee: Quote["tee"]; readonly bytes: number }>> = {
  1: { tee: "sgx", bytes: SGX_REPORT_BYTES },
  2: { tee: "tdx", bytes: TD10_BYTES },
  3: { tee: "tdx", bytes: TD15_BYTES },
};

/** Version 5 says which body comes; before, the header's TEE type implies it. */
function readBody(reader: LayoutReader, { version, tee }: Header): Bytes {
  if (version < 5) return reader.take(tee === "sgx" ? SGX_REPORT_BYTES : TD10_BYTES);
  const type = reader.u16();
  const length = reader.u32();
  const expected = BODY_TYPES[type];
  if (expected?.tee !== tee || expected.bytes !== length) refuse(`body type ${type} of ${length} bytes does not fit`);
  return reader.take(length);
}

interface Certification {
  readonly qeReport: Bytes;
  readonly qeReportSignature: Bytes;
  readonly qeAuthenticationData: Bytes;
  readonly chain: Bytes;
  readonly filling: Bytes;
}

/** Type, length, content. */
function readCertificationData(reader: LayoutReader, expectedType: number): Bytes {
  const type = reader.u16();
  if (type !== expectedType) refuse(`expected certification data of type ${expectedType}, got ${type}`);
  return reader.take(reader.u32());
}

function readQeReport(reader: LayoutReader): Certification {
  const qeReport = reader.take(SGX_REPORT_BYTES);
  const qeReportSignature = reader.take(64);
  const qeAuthenticationData = reader.take(reader.u16());
  const chain = readCertificationData(reader, PCK_CHAIN);
  return { qeReport, qeReportSignature, qeAuthenticationData, chain, filling: reader.rest() };
}

function readCertification(reader: LayoutReader, version: number): Certification {
  if (version === 3) return readQeReport(reader);
  const inner = new LayoutReader(readCertificationData(reader, QE_REPORT_CERTIFICATION), "quote certification");
  const certification = readQeReport(inner);
  return { ...certification, filling: joinFilling(certification.filling, reader.rest()) };
}

/** At most one of the nested structures may be filled up: then no length can move bytes from one into the other. */
function joinFilling(inner: Bytes, outer: Bytes): Bytes {
  if (inner.length > 0 && outer.length > 0) refuse("bytes behind its certification data");
  return inner.length > 0 ? inner : outer;
}

/** Certificates, closed by a zero byte where filling follows; only version 5 counts filling in. */
function readChain(chain: Bytes, filling: Bytes, version: number): Bytes[] {
  const end = chain.lastIndexOf(0x0a) + 1;
  const tail = joinFilling(chain.subarray(Math.min(end + 1, chain.length)), filling);
  const isClosed = chain[end] === 0 || (end === chain.length && filling.length === 0);
  if (!isZero(chain.subarray(end)) || !isZero(tail) || (tail.length > 0 && version < 5)) {
    refuse("bytes behind its certificates");
  }
  if (!isClosed) refuse("its certificates are cut off");
  return certificatesFromPem(textOf(chain.subarray(0, end), "quote certificates"), "quote certificates");
}

/** Zeros of the known buffer are nobody's; all else behind the end is a finding. */
function trailingOf(rest: Bytes, quote: Bytes, { version, tee }: Header): Bytes {
  const isBuffer = version === 4 && tee === "tdx" && quote.length === TDX_BUFFER_BYTES && isZero(rest);
  return isBuffer ? rest.subarray(0, 0) : rest;
}

/** Throws evidence.malformed. */
export function readQuote(bytes: Bytes): Quote {
  const reader = new LayoutReader(bytes, "quote");
  const header = readHeader(reader);
  const body = readBody(reader, header);
  const signed = bytes.subarray(0, reader.offset);
  const inner = new LayoutReader(reader.take(reader.u32()), "quote signature data");
  const signature = inner.take(64);
  const attestationKey = inner.take(64);
  const { chain, filling, ...qe } = readCertification(inner, header.version);
  const certificates = readChain(chain, filling, header.version);
  const trailing = trailingOf(reader.rest(), bytes, header);
  return { ...header, body, signed, signature, attestationKey, ...qe, certificates, trailing };
}
