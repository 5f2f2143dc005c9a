// The Nitro security module's device: one ioctl with a request and room for the answer (Linux: include/uapi/linux/nsm.h
// and drivers/misc/nsm.c). Node has no ioctl; node:ffi reaches libc's, without an add-on, where this Node has it and is
// allowed to.

import type * as Ffi from "node:ffi";
import { deviceOf } from "../../attestation/tee-device.ts";
import { QflareError } from "../../core/error.ts";
import { explain, type FileOperations, type Meanings, systemFiles } from "./device-files.ts";

export interface SecurityModule {
  /** Throws evidence.unavailable where there is no such device, evidence.failed where it does not answer. */
  exchange(request: Uint8Array): Uint8Array;
}

/** What is needed of libc. */
export interface Native {
  /** Of the first byte; holds as long as the bytes do, since they lie outside of the heap that moves. */
  addressOf(bytes: Uint8Array<ArrayBuffer>): bigint;
  /** 0, or the errno. argument: address of the call's structure. */
  ioctl(file: number, request: bigint, argument: bigint): number;
}

export const NSM_REQUEST_BYTES_MAX = 0x1000;
export const NSM_RESPONSE_BYTES_MAX = 0x3000;
const RAW_BYTES = 2 * 16; // struct nsm_raw: address and length of request, then of response, u64 each
const IOC_READ_WRITE = 3n;
/** _IOWR(0x0A, 0, struct nsm_raw) of asm-generic/ioctl.h. */
export const NSM_IOCTL_RAW = (IOC_READ_WRITE << 30n) | (BigInt(RAW_BYTES) << 16n) | (0x0an << 8n);

const NSM_ERRORS: Meanings = {
  ENOENT: { code: "evidence.unavailable", text: "there is no security module: this is no Nitro enclave" },
  EACCES: { code: "evidence.unavailable", text: "the enclave may not open the security module" },
  EPERM: { code: "evidence.unavailable", text: "the enclave may not open the security module" },
};

/** Those that the driver gives, by number on x64 and arm64 alike (asm-generic/errno-base.h, errno.h). */
const ERRNOS: Readonly<Record<number, string>> = {
  1: "EPERM, not permitted",
  4: "EINTR, interrupted",
  5: "EIO, it takes no request",
  14: "EFAULT, an address is not ours",
  22: "EINVAL, it does not know the call",
  25: "ENOTTY, it is no security module",
  61: "ENODATA, its answer is another one's",
  90: "EMSGSIZE, the request is too long",
  110: "ETIMEDOUT, it does not answer",
};

/** Bytes with an address: small typed arrays lie on the heap and would move. */
function fixedBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

export class NsmDevice implements SecurityModule {
  readonly #native: Native;
  readonly #files: FileOperations;
  readonly #path: string;
  readonly #request = fixedBytes(NSM_REQUEST_BYTES_MAX);
  readonly #response = fixedBytes(NSM_RESPONSE_BYTES_MAX);
  /** struct nsm_raw; both machines of Nitro are little-endian, as these are. */
  readonly #raw = new BigUint64Array(new ArrayBuffer(RAW_BYTES));
  readonly #addresses: { readonly request: bigint; readonly response: bigint; readonly raw: bigint };

  /**
   * path: where the device is seen; its own place by default. Addresses are asked for here: the process gives that
   * right up before it serves.
   */
  constructor(native: Native, files: FileOperations = systemFiles, path: string = deviceOf("nitro").interface) {
    this.#native = native;
    this.#files = files;
    this.#path = path;
    const raw = native.addressOf(new Uint8Array(this.#raw.buffer));
    this.#addresses = { request: native.addressOf(this.#request), response: native.addressOf(this.#response), raw };
  }

  exchange(request: Uint8Array): Uint8Array<ArrayBuffer> {
    if (request.length > NSM_REQUEST_BYTES_MAX) {
      throw new RangeError(`expected at most ${NSM_REQUEST_BYTES_MAX} bytes, got ${request.length}`);
    }
    const file = this.#open();
    try {
      return this.#call(file, request);
    } finally {
      this.#files.close(file);
    }
  }

  #open(): number {
    try {
      return this.#files.open(this.#path, "both");
    } catch (error) {
      throw explain(error, NSM_ERRORS);
    }
  }

  #call(file: number, request: Uint8Array): Uint8Array<ArrayBuffer> {
    const { request: from, response: to, raw } = this.#addresses;
    this.#request.set(request);
    this.#raw.set([from, BigInt(request.length), to, BigInt(NSM_RESPONSE_BYTES_MAX)]);
    const errno = this.#native.ioctl(file, NSM_IOCTL_RAW, raw);
    if (errno !== 0) {
      const fact = ERRNOS[errno] ?? `errno ${errno}`;
      throw new QflareError("evidence.failed", `the security module: ${fact}`);
    }
    const length = Number(this.#raw[3]);
    // The driver cuts what does not fit and says so nowhere: a full room counts as cut.
    if (length >= NSM_RESPONSE_BYTES_MAX) throw new QflareError("evidence.failed", "the module's answer is cut");
    return this.#response.slice(0, length);
  }
}

/** libc through node:ffi. Throws evidence.unavailable with what is missing. */
export async function openNative(): Promise<Native> {
  const ffi = await loadFfi();
  const { functions } = ffi.dlopen(null, {
    ioctl: { arguments: ["i32", "u64", "u64"], return: "i32" },
    __errno_location: { arguments: [], return: "u64" },
  });
  // This thread's, to be read when nothing may be asked of node:ffi any more.
  const errno = ffi.toBuffer(functions.__errno_location(), 4, false);
  return {
    addressOf: (bytes) => ffi.getRawPointer(bytes),
    ioctl: (file, request, argument) => (functions.ioctl(file, request, argument) === -1 ? errno.readInt32LE() : 0),
  };
}

async function loadFfi(): Promise<typeof Ffi> {
  if (process.platform !== "linux") {
    throw new QflareError("evidence.unavailable", `expected Linux for the security module, got ${process.platform}`);
  }
  const permission = process.permission as { has(scope: string): boolean } | undefined;
  if (permission !== undefined && !permission.has("ffi")) {
    throw new QflareError("evidence.unavailable", "expected --allow-ffi beside --permission for the security module");
  }
  try {
    return await import("node:ffi");
  } catch (cause) {
    const fact = `expected Node 26 with node:ffi for the security module, got ${process.version}`;
    throw new QflareError("evidence.unavailable", fact, { cause });
  }
}
