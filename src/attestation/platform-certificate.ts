// What a PCK certificate says about its platform: "Intel SGX PCK Certificate and CRL Profile Specification",
// section 1.3.5.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { DerReader, enterDer, smallInteger, TAG } from "./der.ts";
import type { Certificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface PlatformCertificate {
  /** Hexadecimal. */
  readonly fmspc: string;
  readonly pceId: string;
  /** 16 security versions. */
  readonly componentSvns: readonly number[];
  readonly pceSvn: number;
}

const SGX = "1.2.840.113741.1.13.1";
const TCB = `${SGX}.2`;
const PCE_ID = `${SGX}.3`;
const FMSPC = `${SGX}.4`;
const COMPONENTS = 16;

function refuse(fact: string): never {
  throw new QflareError("evidence.malformed", `PCK certificate: ${fact}`);
}

/** SEQUENCE OF SEQUENCE { name, value }: raw values by name. */
function readPairs(list: DerReader): Map<string, Bytes> {
  const found = new Map<string, Bytes>();
  while (!list.isAtEnd) {
    const pair = list.enter();
    const name = pair.objectIdentifier();
    if (found.has(name)) refuse(`${name} stands twice`);
    found.set(name, pair.readAny().raw);
    pair.end();
  }
  return found;
}

function readInteger(raw: Bytes | undefined, name: string): number {
  if (raw === undefined) refuse(`expected ${name}`);
  return smallInteger(new DerReader(raw, name).integer(), name);
}

function readOctets(raw: Bytes | undefined, length: number, name: string): string {
  if (raw === undefined) refuse(`expected ${name}`);
  const { body } = new DerReader(raw, name).read(TAG.octetString);
  return body.length === length ? toHex(body) : refuse(`${name}: expected ${length} bytes, got ${body.length}`);
}

/** Throws evidence.malformed. */
export function readPlatformCertificate({ extensions }: Certificate): PlatformCertificate {
  const value = extensions.get(SGX) ?? refuse(`expected extension ${SGX}`);
  const fields = readPairs(enterDer(value, "PCK certificate"));
  const tcb = readPairs(enterDer(fields.get(TCB) ?? refuse(`expected ${TCB}`), "PCK certificate"));
  return {
    fmspc: readOctets(fields.get(FMSPC), 6, "FMSPC"),
    pceId: readOctets(fields.get(PCE_ID), 2, "PCE id"),
    componentSvns: Array.from({ length: COMPONENTS }, (_, i) =>
      readInteger(tcb.get(`${TCB}.${i + 1}`), `SVN ${i + 1}`),
    ),
    pceSvn: readInteger(tcb.get(`${TCB}.${COMPONENTS + 1}`), "PCE SVN"),
  };
}
