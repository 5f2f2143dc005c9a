// The Nitro driver behind its ioctl: reads request and response room by the addresses in struct nsm_raw, answers as the
// security module does, and cuts without a word what does not fit.

import { decodeForeignCbor, encodeCbor } from "../../../src/core/codec.ts";
import type { FileOperations } from "../../../src/enclave/attesters/device-files.ts";
import { type Native, NSM_IOCTL_RAW } from "../../../src/enclave/attesters/nsm.ts";
import { deviceError } from "./device-error.ts";

const EFAULT = 14;
const EINVAL = 22;
const EMSGSIZE = 90;
const RAW_BYTES = 32;
const REQUEST_BYTES_MAX = 0x1000;

export class FakeNsm implements Native {
  readonly #memory = new Map<bigint, Uint8Array>();
  readonly #answer: (request: Map<unknown, unknown>) => unknown;
  #opened = 0;
  isThere = true;
  /** The next call fails with it. */
  errno = 0;
  /** Bytes instead of what the answer would be. */
  raw: Uint8Array | undefined;

  /** answer: the module's, for a decoded request. */
  constructor(answer: (request: Map<unknown, unknown>) => unknown) {
    this.#answer = answer;
  }

  get filesOpen(): number {
    return this.#opened;
  }

  readonly files: FileOperations = {
    open: () => {
      if (!this.isThere) throw deviceError("ENOENT", "open");
      this.#opened++;
      return 9;
    },
    close: () => {
      this.#opened--;
    },
    read: () => 0,
    write: () => 0,
    makeFolder: () => undefined,
    removeFolder: () => undefined,
  };

  addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
    const address = 0x7f00_0000_0000n + BigInt(this.#memory.size) * 0x10_000n;
    this.#memory.set(address, bytes);
    return address;
  }

  ioctl(file: number, request: bigint, argument: bigint): number {
    const raw = this.#memory.get(argument);
    if (file !== 9 || request !== NSM_IOCTL_RAW) return EINVAL;
    if (raw?.length !== RAW_BYTES) return EFAULT;
    if (this.errno !== 0) return this.errno;
    const fields = new DataView(raw.buffer, raw.byteOffset);
    const from = this.#memory.get(fields.getBigUint64(0, true));
    const to = this.#memory.get(fields.getBigUint64(16, true));
    const length = Number(fields.getBigUint64(8, true));
    const room = Number(fields.getBigUint64(24, true));
    if (length > REQUEST_BYTES_MAX) return EMSGSIZE;
    if (from === undefined || to === undefined || length > from.length || room > to.length) return EFAULT;
    const asked = decodeForeignCbor(from.subarray(0, length), REQUEST_BYTES_MAX) as Map<unknown, unknown>;
    const answer = (this.raw ?? encodeCbor(this.#answer(asked))).subarray(0, room);
    to.set(answer);
    fields.setBigUint64(24, BigInt(answer.length), true);
    return 0;
  }
}
