// Gramine's /dev/attestation: user_report_data takes its value at close, filled up with zeros or cut to 64 bytes in
// silence; a quote is made when its file is opened; whatever goes wrong is EACCES.

import type { FileOperations } from "../../../src/enclave/attesters/device-files.ts";
import { deviceError } from "./device-error.ts";

const FOLDER = "/dev/attestation";

export class FakeGramine implements FileOperations {
  readonly #quote: (reportData: Uint8Array) => Uint8Array;
  readonly #files = new Map<number, { readonly path: string; content: Uint8Array; position: number }>();
  #reportData = new Uint8Array(64);
  #opened = 2;
  type = "dcap";
  isThere = true;
  isServiceUp = true;

  constructor(quote: (reportData: Uint8Array) => Uint8Array) {
    this.#quote = quote;
  }

  get filesOpen(): number {
    return this.#files.size;
  }

  makeFolder(): void {
    throw deviceError("EACCES", "mkdir");
  }

  removeFolder(): void {
    throw deviceError("EACCES", "rmdir");
  }

  open(path: string): number {
    if (!this.isThere) throw deviceError("ENOENT", "open");
    this.#opened++;
    this.#files.set(this.#opened, { path, content: this.#load(path), position: 0 });
    return this.#opened;
  }

  #load(path: string): Uint8Array {
    switch (path) {
      case `${FOLDER}/attestation_type`:
        return new TextEncoder().encode(`${this.type}\n`);
      case `${FOLDER}/user_report_data`:
        return this.#reportData.slice();
      case `${FOLDER}/quote`:
        if (!this.isServiceUp || this.type !== "dcap") throw deviceError("EACCES", "open");
        return this.#quote(this.#reportData);
      default:
        throw deviceError("ENOENT", "open");
    }
  }

  read(file: number, into: Uint8Array): number {
    const open = this.#files.get(file)!;
    const piece = open.content.subarray(open.position, open.position + into.length);
    into.set(piece);
    open.position += piece.length;
    return piece.length;
  }

  write(file: number, bytes: Uint8Array): number {
    this.#files.get(file)!.content = bytes.slice();
    return bytes.length;
  }

  close(file: number): void {
    const { path, content } = this.#files.get(file)!;
    this.#files.delete(file);
    if (path !== `${FOLDER}/user_report_data`) return;
    this.#reportData = new Uint8Array(64);
    this.#reportData.set(content.subarray(0, 64));
  }
}
