// SGX and TDX evidence with collateral, of every version and state, under an Intel of our own.

import type { QuoteCollateral } from "../../../src/attestation/collateral.ts";
import { ROOTS, type Roots } from "../../../src/attestation/roots.ts";
import { concat, utf8 } from "../../../src/core/bytes.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import {
  CERT_AND_CRL_SIGN,
  type CertificateOptions,
  extension,
  type KeyPair,
  makeCertificate,
  makeKey,
  makeRevocationList,
  pem,
  signRaw,
} from "./authority.ts";
import { type Bytes, integer, objectIdentifier, octets, sequence } from "./der-writer.ts";
import { DAY_MS, NOW } from "./fake-sev-snp.ts";

const SGX = "1.2.840.113741.1.13.1";
const ROOT = "Intel SGX Root CA";
const PLATFORM_CA = "Intel SGX PCK Platform CA";
const TCB_SIGNER = "Intel SGX TCB Signing";
export const PCK_SERIAL = 77;
export const PLATFORM_CA_SERIAL = 7;
export const TCB_SIGNER_SERIAL = 8;
const FMSPC = Uint8Array.of(0x50, 0x80, 0x6f, 0, 0, 0);
const VENDOR = Buffer.from("939a7233f79c4ca9940a0db3957f0607", "hex");

export type QuoteKind = "sgx3" | "sgx4" | "sgx5" | "tdx4" | "tdx5" | "tdx5-late";

export interface QuoteOptions {
  readonly kind?: QuoteKind;
  /** Changes the body before it is signed. */
  readonly body?: (body: Bytes) => void;
  readonly qeReport?: (report: Bytes) => void;
  readonly qeAuthenticationData?: Uint8Array;
  readonly chain?: string;
  /** Zeros inside the certificates, inside the signature data, or behind the end. */
  readonly filling?: { readonly chain?: number; readonly certification?: number; readonly end?: number };
  readonly attestationKey?: KeyPair;
}

export interface CollateralOptions {
  readonly tee?: "sgx" | "tdx";
  readonly tcbInfo?: (info: Record<string, unknown>) => void;
  readonly qeIdentity?: (identity: Record<string, unknown>) => void;
  readonly pckSerials?: readonly number[];
  readonly rootSerials?: readonly number[];
  readonly listTimes?: { readonly thisUpdateMs: number; readonly nextUpdateMs: number };
}

function u16(value: number): Bytes {
  return Uint8Array.of(value & 0xff, value >> 8);
}

function u32(value: number): Bytes {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
}

const isoSeconds = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");

/** Component i of the platform is at 5, PCE at 13. */
function platformExtension(): Bytes {
  const svns = Array.from({ length: 16 }, (_, i) => sequence(objectIdentifier(`${SGX}.2.${i + 1}`), integer(5)));
  const tcb = sequence(
    ...svns,
    sequence(objectIdentifier(`${SGX}.2.17`), integer(13)),
    sequence(objectIdentifier(`${SGX}.2.18`), octets(new Uint8Array(16).fill(5))),
  );
  return extension(
    SGX,
    sequence(
      sequence(objectIdentifier(`${SGX}.1`), octets(new Uint8Array(16))),
      sequence(objectIdentifier(`${SGX}.2`), tcb),
      sequence(objectIdentifier(`${SGX}.3`), octets(new Uint8Array(2))),
      sequence(objectIdentifier(`${SGX}.4`), octets(FMSPC)),
    ),
  );
}

export class FakeIntel {
  readonly rootKey = makeKey("P-256");
  readonly caKey = makeKey("P-256");
  readonly tcbKey = makeKey("P-256");
  readonly pckKey = makeKey("P-256");
  readonly attestationKey = makeKey("P-256");
  readonly root: Bytes;
  readonly roots: Roots;

  constructor() {
    this.root = this.#ca(ROOT, ROOT, this.rootKey, this.rootKey, 1);
    this.roots = { ...ROOTS, intel: Buffer.from(this.root).toString("base64") };
  }

  #ca(subject: string, issuer: string, key: KeyPair, issuerKey: KeyPair, serial: number): Bytes {
    const isCa = subject !== TCB_SIGNER;
    const usage = isCa ? { isCa, keyUsage: CERT_AND_CRL_SIGN } : { keyUsage: 0x80 };
    return makeCertificate({ subject, issuer, key, issuerKey, serial, ...usage, ...LONG });
  }

  platformCa(): Bytes {
    return this.#ca(PLATFORM_CA, ROOT, this.caKey, this.rootKey, PLATFORM_CA_SERIAL);
  }

  pck(changes: Partial<CertificateOptions> = {}): Bytes {
    return makeCertificate({
      ...{ subject: "Intel SGX PCK Certificate", issuer: PLATFORM_CA, serial: PCK_SERIAL },
      ...{ key: this.pckKey, issuerKey: this.caKey, extensions: [platformExtension()], ...LONG },
      ...changes,
    });
  }

  chain(changes: Partial<CertificateOptions> = {}): string {
    return pem(this.pck(changes), this.platformCa(), this.root);
  }

  quote(options: QuoteOptions = {}): Bytes {
    const { kind = "tdx4", filling = {} } = options;
    const version = Number(kind[3]);
    const isTdx = kind.startsWith("tdx");
    const body = isTdx ? tdBody(kind === "tdx5-late") : sgxBody(0x3c);
    options.body?.(body);
    const type = isTdx ? (kind === "tdx5-late" ? 3 : 2) : 1;
    const header = concat(u16(version), u16(2), u32(isTdx ? 0x81 : 0), u32(0), VENDOR, new Uint8Array(20));
    const signed = concat(header, ...(version === 5 ? [u16(type), u32(body.length)] : []), body);

    const key = options.attestationKey ?? this.attestationKey;
    const point = key.publicKey.subarray(-64);
    const authentication = options.qeAuthenticationData ?? Uint8Array.from({ length: 32 }, (_, i) => i);
    const qeReport = sgxBody(isTdx ? 0xdc : 0x8c);
    qeReport[256] = isTdx ? 2 : 1;
    qeReport[258] = 8;
    qeReport.fill(0, 320);
    qeReport.set(
      sha256(
        point,
        Uint8Array.from({ length: 32 }, (_, i) => i),
      ),
      320,
    );
    options.qeReport?.(qeReport);
    const closed = concat(utf8(options.chain ?? this.chain()), new Uint8Array(1 + (filling.chain ?? 0)));
    const qe = concat(
      ...[qeReport, signRaw(this.pckKey, qeReport), u16(authentication.length), authentication],
      ...[u16(5), u32(closed.length), closed],
    );
    const certification = version === 3 ? qe : concat(u16(6), u32(qe.length), qe);
    const data = concat(signRaw(key, signed), point, certification, new Uint8Array(filling.certification ?? 0));
    return concat(signed, u32(data.length), data, new Uint8Array(filling.end ?? 0));
  }

  collateral(options: CollateralOptions = {}): QuoteCollateral {
    const tee = options.tee ?? "tdx";
    const tcbInfo = tcbInfoOf(tee);
    options.tcbInfo?.(tcbInfo);
    const identity = identityOf(tee);
    options.qeIdentity?.(identity);
    const times = options.listTimes ?? { thisUpdateMs: NOW.getTime() - DAY_MS, nextUpdateMs: NOW.getTime() + DAY_MS };
    const list = (issuer: string, issuerKey: KeyPair, serials: readonly number[] = []): string =>
      Buffer.from(makeRevocationList({ issuer, issuerKey, serials, ...times })).toString("hex");
    const signer = pem(this.#ca(TCB_SIGNER, ROOT, this.tcbKey, this.rootKey, TCB_SIGNER_SERIAL), this.root);
    const sign = (text: string): string => Buffer.from(signRaw(this.tcbKey, utf8(text))).toString("hex");
    const [tcbText, identityText] = [JSON.stringify(tcbInfo), JSON.stringify(identity)];
    return {
      pck_crl_issuer_chain: pem(this.platformCa(), this.root),
      root_ca_crl: list(ROOT, this.rootKey, options.rootSerials),
      pck_crl: list(PLATFORM_CA, this.caKey, options.pckSerials),
      tcb_info_issuer_chain: signer,
      tcb_info: tcbText,
      tcb_info_signature: sign(tcbText),
      qe_identity_issuer_chain: signer,
      qe_identity: identityText,
      qe_identity_signature: sign(identityText),
    };
  }
}

const LONG = { notBeforeMs: NOW.getTime() - 1000 * DAY_MS, notAfterMs: NOW.getTime() + 1000 * DAY_MS } as const;

/** signer: every byte of MRSIGNER. */
function sgxBody(signer: number): Bytes {
  const body = new Uint8Array(384);
  body[48] = 0x05; // INIT, MODE64BIT
  body.fill(0xab, 64, 96);
  body.fill(signer, 128, 160);
  body.fill(0x77, 320, 384);
  return body;
}

/** Module version 1 at 5: tee_tcb_svn begins 05 01. */
function tdBody(isLate: boolean): Bytes {
  const body = new Uint8Array(584 + (isLate ? 64 : 0));
  body.fill(3, 0, 16);
  body.set([5, 1], 0);
  body[120 + 3] = 0x10; // SEPT_VE_DISABLE
  body.fill(0xcd, 136, 184);
  for (let i = 0; i < 4; i++) body.fill(0xa0 + i, 328 + 48 * i, 376 + 48 * i);
  body.fill(0x77, 520, 584);
  return body;
}

export interface LevelOptions {
  readonly sgx?: number;
  readonly tdx?: number;
  readonly pce?: number;
  readonly status?: string;
  readonly advisories?: readonly string[];
  readonly date?: string;
}

export function level(tee: "sgx" | "tdx", options: LevelOptions = {}): Record<string, unknown> {
  const { sgx = 5, tdx = 3, pce = 13, status = "UpToDate", advisories, date = "2026-01-01T00:00:00Z" } = options;
  const components = (svn: number): object[] => Array.from({ length: 16 }, () => ({ svn }));
  return {
    tcb: {
      sgxtcbcomponents: components(sgx),
      pcesvn: pce,
      ...(tee === "tdx" ? { tdxtcbcomponents: components(tdx) } : {}),
    },
    tcbDate: date,
    tcbStatus: status,
    ...(advisories === undefined ? {} : { advisoryIDs: advisories }),
  };
}

function tcbInfoOf(tee: "sgx" | "tdx"): Record<string, unknown> {
  const module = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
  const levels = [{ tcb: { isvsvn: 4 }, tcbDate: "2026-01-01T00:00:00Z", tcbStatus: "UpToDate" }];
  return {
    ...{ id: tee === "tdx" ? "TDX" : "SGX", version: 3 },
    issueDate: isoSeconds(NOW.getTime() - DAY_MS),
    nextUpdate: isoSeconds(NOW.getTime() + DAY_MS),
    ...{ fmspc: "50806F000000", pceId: "0000", tcbType: 0, tcbEvaluationDataNumber: 20 },
    ...(tee === "tdx"
      ? { tdxModule: module, tdxModuleIdentities: [{ id: "TDX_01", ...module, tcbLevels: levels }] }
      : {}),
    tcbLevels: [level(tee)],
  };
}

function identityOf(tee: "sgx" | "tdx"): Record<string, unknown> {
  return {
    ...{ id: tee === "tdx" ? "TD_QE" : "QE", version: 2 },
    issueDate: isoSeconds(NOW.getTime() - DAY_MS),
    nextUpdate: isoSeconds(NOW.getTime() + DAY_MS),
    tcbEvaluationDataNumber: 20,
    ...{ miscselect: "00000000", miscselectMask: "FFFFFFFF" },
    ...{ attributes: `05${"00".repeat(15)}`, attributesMask: `FB${"FF".repeat(7)}${"00".repeat(8)}` },
    ...{ mrsigner: (tee === "tdx" ? "DC" : "8C").repeat(32), isvprodid: tee === "tdx" ? 2 : 1 },
    tcbLevels: [{ tcb: { isvsvn: 8 }, tcbDate: "2026-01-01T00:00:00Z", tcbStatus: "UpToDate" }],
  };
}
