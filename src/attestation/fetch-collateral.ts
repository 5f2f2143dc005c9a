// Public entry "qflare/attestation/collateral": asks Intel or AMD for the collateral of evidence, with a cache. No
// verifier reaches this file: verifiers have no network, and what is fetched here is not trusted before it verifies.

import { toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import type { QuoteCollateral } from "./collateral.ts";
import type { Evidence } from "./evidence.ts";
import { textOf } from "./pem.ts";
import { readPlatformCertificate } from "./platform-certificate.ts";
import { readQuote } from "./quote.ts";
import type { SevSnpCollateral } from "./verify-sev-snp.ts";
import { lastNameOf, readCertificate } from "./x509.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What of the global fetch is needed here. */
export type Fetch = (url: string) => Promise<{
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  arrayBuffer(): Promise<ArrayBuffer>;
}>;

/** Keeps answers by URL. A Map does. */
export interface CollateralCache {
  get(url: string): CachedAnswer | undefined;
  set(url: string, answer: CachedAnswer): unknown;
}

export interface CachedAnswer {
  readonly fetchedMs: number;
  readonly body: Bytes;
  /** PEM chain of the answer's signer; "" where the answer carries none. */
  readonly issuerChain: string;
}

export interface FetchOptions {
  readonly fetch: Fetch;
  readonly nowMs: number;
  readonly cache?: CollateralCache;
  /** How long an answer serves; a day by default. Intel's are valid for 30 days, AMD's for longer. */
  readonly cacheMs?: number;
}

const INTEL = "https://api.trustedservices.intel.com";
const INTEL_ROOT_LIST = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
const AMD = "https://kdsintf.amd.com";
const DAY_MS = 24 * 3_600_000;

function refuse(url: string, fact: string, cause?: unknown): never {
  throw new QflareError("collateral.unavailable", `${url}: ${fact}`, cause === undefined ? {} : { cause });
}

/** The chain comes URL-encoded in a header. */
function readChain(header: string | null, url: string): string {
  if (header === null) refuse(url, "expected the issuer's chain in its header");
  try {
    return decodeURIComponent(header);
  } catch (cause) {
    return refuse(url, "expected the issuer's chain URL-encoded", cause);
  }
}

async function ask(url: string, chainHeader: string | undefined, options: FetchOptions): Promise<CachedAnswer> {
  const { fetch, cache, nowMs, cacheMs = DAY_MS } = options;
  const known = cache?.get(url);
  if (known !== undefined && nowMs - known.fetchedMs < cacheMs && nowMs >= known.fetchedMs) return known;
  const answer = await fetch(url).catch((cause: unknown) => refuse(url, "no answer", cause));
  if (!answer.ok) refuse(url, `expected status 200, got ${answer.status}`);
  const body = new Uint8Array(await answer.arrayBuffer());
  if (body.length > LIMITS.collateralBytesMax) refuse(url, `expected at most ${LIMITS.collateralBytesMax} bytes`);
  const issuerChain = chainHeader === undefined ? "" : readChain(answer.headers.get(chainHeader), url);
  const fetched = { fetchedMs: nowMs, body, issuerChain };
  cache?.set(url, fetched);
  return fetched;
}

/** {"<member>":{...},"signature":"<hex>"}: the text of the member to the byte, since its signature covers that. */
function splitSigned({ body }: CachedAnswer, member: string, url: string): { text: string; signature: string } {
  const answer = textOf(body, url).trim();
  const match = new RegExp(`^\\{"${member}":(\\{.*\\}),"signature":"([0-9a-f]{128})"\\}$`, "s").exec(answer);
  return match === null ? refuse(url, `expected a signed ${member}`) : { text: match[1]!, signature: match[2]! };
}

/** Throws evidence.malformed for a quote that cannot be read, collateral.unavailable where Intel does not answer. */
async function fetchForQuote(quote: Bytes, options: FetchOptions): Promise<QuoteCollateral> {
  const { tee, certificates } = readQuote(quote);
  const leaf = readCertificate(certificates[0] ?? new Uint8Array(0), "PCK certificate");
  const { fmspc } = readPlatformCertificate(leaf);
  const isPlatform = toHex(leaf.issuer).includes(toHex(utf8("PCK Platform CA")));
  const ca = isPlatform ? "platform" : "processor";
  const urls = {
    list: `${INTEL}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`,
    tcb: `${INTEL}/${tee}/certification/v4/tcb?fmspc=${fmspc}`,
    identity: `${INTEL}/${tee}/certification/v4/qe/identity`,
  };
  const list = await ask(urls.list, "SGX-PCK-CRL-Issuer-Chain", options);
  const rootList = await ask(INTEL_ROOT_LIST, undefined, options);
  const tcb = await ask(urls.tcb, "TCB-Info-Issuer-Chain", options);
  const identity = await ask(urls.identity, "SGX-Enclave-Identity-Issuer-Chain", options);
  const tcbInfo = splitSigned(tcb, "tcbInfo", urls.tcb);
  const qeIdentity = splitSigned(identity, "enclaveIdentity", urls.identity);
  return {
    pck_crl_issuer_chain: list.issuerChain,
    root_ca_crl: toHex(rootList.body),
    pck_crl: toHex(list.body),
    tcb_info_issuer_chain: tcb.issuerChain,
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: identity.issuerChain,
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
  };
}

async function fetchForChip(leafDer: Bytes, options: FetchOptions): Promise<SevSnpCollateral> {
  const issuer = lastNameOf(readCertificate(leafDer, "certificate 0").issuer);
  const match = /^SEV-(VLEK-)?([A-Z][a-z]{2,15})$/.exec(issuer);
  if (match === null) throw new QflareError("evidence.malformed", `certificate 0: its issuer ${issuer} is not AMD's`);
  const url = `${AMD}/${match[1] === undefined ? "vcek" : "vlek"}/v1/${match[2]}/crl`;
  return { ark_crl: toHex((await ask(url, undefined, options)).body) };
}

/**
 * undefined where the evidence needs none. Throws evidence.malformed for evidence that cannot be read, and
 * collateral.unavailable where the vendor does not answer as documented.
 */
export async function fetchCollateral(
  evidence: Evidence,
  options: FetchOptions,
): Promise<QuoteCollateral | SevSnpCollateral | undefined> {
  if (evidence.tee === "sev-snp") return fetchForChip(new Uint8Array(evidence.certificates[0] ?? []), options);
  if (evidence.tee === "tdx" || evidence.tee === "sgx") return fetchForQuote(new Uint8Array(evidence.quote), options);
  return undefined;
}
