// A certificate authority for a simulation of QKD: names KMEs and SAEs. A real site brings certificates of its own.

import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { toHex } from "../core/bytes.ts";
import type { Random } from "../core/ports.ts";

/** PEM. */
export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const VALID_MS = 30 * 24 * 3_600_000;
const BACKDATED_MS = 3_600_000;
const SERIAL_BYTES = 16;

type KeyPair = Parameters<typeof X509CertificateGenerator.createSelfSigned>[0]["keys"];

export class Authority {
  readonly #keys: KeyPair;
  readonly #root: X509Certificate;
  readonly #random: Random;
  readonly #nowMs: number;

  private constructor(keys: KeyPair, root: X509Certificate, nowMs: number, random: Random) {
    this.#keys = keys;
    this.#root = root;
    this.#nowMs = nowMs;
    this.#random = random;
  }

  static async create(nowMs: number, random: Random): Promise<Authority> {
    cryptoProvider.set("default", webcrypto as unknown as Crypto);
    const keys = await generateKeys();
    const root = await X509CertificateGenerator.createSelfSigned({
      ...dates(nowMs),
      name: "CN=QKD simulation",
      serialNumber: serial(random),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new BasicConstraintsExtension(true)],
    });
    return new Authority(keys, root, nowMs, random);
  }

  get certificate(): string {
    return this.#root.toString("pem");
  }

  /** host: for a KME, where it listens. */
  async certify(name: string, host?: string): Promise<Certified> {
    const keys = await generateKeys();
    const names =
      host === undefined ? [] : [{ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host }];
    const certificate = await X509CertificateGenerator.create({
      ...dates(this.#nowMs),
      subject: `CN=${name}`,
      issuer: this.#root.subject,
      serialNumber: serial(this.#random),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false),
        ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
      ],
    });
    return { certificate: certificate.toString("pem"), key: await pemOf(keys) };
  }
}

async function generateKeys(): Promise<KeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as unknown as KeyPair;
}

async function pemOf(keys: KeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey as unknown as webcrypto.CryptoKey);
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n");
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

function dates(nowMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + VALID_MS) };
}

/** Positive, as RFC 5280 section 4.1.2.2 asks. */
function serial(random: Random): string {
  const bytes = random.bytes(SERIAL_BYTES);
  bytes[0] = (bytes[0]! & 0x7f) | 0x01;
  return toHex(bytes);
}
