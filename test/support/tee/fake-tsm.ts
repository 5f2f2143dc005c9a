// The kernel's side of configfs-tsm as a state machine over system calls: fs/configfs/file.c,
// drivers/virt/coco/guest/report.c, and what sev-guest and tdx-guest add. Whatever user space can trip over is here:
// what is written to a binary file reaches the driver at close, whose failure nobody is told; each open file keeps what
// it read first; a report is made when outblob or auxblob is read, and is kept until the next write.

import type { FileOperations } from "../../../src/enclave/attesters/device-files.ts";
import { deviceError } from "./device-error.ts";

const ROOT = "/sys/kernel/config/tsm/report";
const INBLOB_BYTES_MAX = 64;
const PRIVILEGE_LEVEL_MAX = 3;
const READ_BYTES_MAX = 1000; // a read may give less than it was asked for

const TEXT = ["generation", "provider", "privlevel", "privlevel_floor"] as const;
const BINARY = ["inblob", "outblob", "auxblob"] as const;
type Attribute = (typeof TEXT)[number] | (typeof BINARY)[number];
const WRITE_ONLY: readonly Attribute[] = ["inblob", "privlevel"];
const ABSENT_ON_TDX: readonly Attribute[] = ["auxblob", "privlevel", "privlevel_floor"];

export interface Report {
  readonly outblob: Uint8Array;
  readonly auxblob?: Uint8Array;
}

export interface TsmOptions {
  readonly provider: "sev_guest" | "tdx_guest";
  /** The driver: makes a report, or throws deviceError. */
  readonly report: (inblob: Uint8Array, privilegeLevel: number) => Report;
  readonly privilegeFloor?: number;
  /** Entries that root has made. */
  readonly prepared?: readonly string[];
}

interface Entry {
  generation: bigint;
  inblob: Uint8Array;
  privilegeLevel: number;
  report: { readonly made: Report; readonly generation: bigint } | undefined;
}

interface OpenFile {
  readonly path: string;
  readonly entry: Entry;
  readonly attribute: Attribute;
  content: Uint8Array | undefined;
  written: Uint8Array | undefined;
  position: number;
}

const isBinary = (attribute: Attribute): boolean => (BINARY as readonly string[]).includes(attribute);
const textOf = (text: string): Uint8Array => new TextEncoder().encode(`${text}\n`);

export class FakeTsm implements FileOperations {
  readonly #options: TsmOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #files = new Map<number, OpenFile>();
  #opened = 2;
  /** Errno for the next calls by name, such as "mkdir" or "open outblob"; each is used once. */
  readonly refusals: [call: string, errno: string][] = [];
  /** Calls of close that hand over nothing, as when the driver says EBUSY there. */
  storesLost = 0;
  /** Runs before each report is made: other users of the entry. */
  beforeReport: () => void = () => undefined;

  constructor(options: TsmOptions) {
    this.#options = options;
    for (const name of options.prepared ?? []) this.#entries.set(`${ROOT}/${name}`, newEntry());
  }

  get entries(): readonly string[] {
    return [...this.#entries.keys()];
  }

  get filesOpen(): number {
    return this.#files.size;
  }

  makeFolder(path: string): void {
    this.#refuse("mkdir");
    if (!path.startsWith(`${ROOT}/`)) throw deviceError("ENOENT", "mkdir");
    if (this.#entries.has(path)) throw deviceError("EEXIST", "mkdir");
    this.#entries.set(path, newEntry());
  }

  removeFolder(path: string): void {
    this.#refuse("rmdir");
    if (!this.#entries.delete(path)) throw deviceError("ENOENT", "rmdir");
  }

  open(path: string, mode: "read" | "write" | "both"): number {
    const slash = path.lastIndexOf("/");
    const entry = this.#entries.get(path.slice(0, slash));
    const attribute = path.slice(slash + 1) as Attribute;
    this.#refuse(`open ${attribute}`);
    if (entry === undefined || !this.#isVisible(attribute)) throw deviceError("ENOENT", "open");
    const wanted = WRITE_ONLY.includes(attribute) ? "write" : "read";
    if (mode !== wanted) throw deviceError("EACCES", "open");
    this.#opened++;
    this.#files.set(this.#opened, {
      ...{ path, entry, attribute, position: 0, content: undefined, written: undefined },
    });
    return this.#opened;
  }

  #isVisible(attribute: Attribute): boolean {
    const isKnown = isBinary(attribute) || (TEXT as readonly string[]).includes(attribute);
    return isKnown && !(this.#options.provider === "tdx_guest" && ABSENT_ON_TDX.includes(attribute));
  }

  read(file: number, into: Uint8Array): number {
    const open = this.#file(file, "read");
    this.#refuse(`read ${open.attribute}`);
    open.content ??= this.#show(open);
    const piece = open.content.subarray(open.position, open.position + Math.min(into.length, READ_BYTES_MAX));
    into.set(piece);
    open.position += piece.length;
    return piece.length;
  }

  write(file: number, bytes: Uint8Array): number {
    const open = this.#file(file, "write");
    this.#refuse(`write ${open.attribute}`);
    if (!isBinary(open.attribute)) {
      this.#storeLevel(open.entry, bytes);
      return bytes.length;
    }
    const written = open.written ?? new Uint8Array(0);
    if (written.length + bytes.length > INBLOB_BYTES_MAX) throw deviceError("EFBIG", "write");
    open.written = Uint8Array.of(...written, ...bytes);
    return bytes.length;
  }

  /** Never fails: the result of handing over is ignored. */
  close(file: number): void {
    const { entry, written } = this.#file(file, "close");
    this.#files.delete(file);
    if (written === undefined) return;
    if (this.storesLost > 0) this.storesLost--;
    else store(entry, () => (entry.inblob = written));
  }

  #file(file: number, call: string): OpenFile {
    const open = this.#files.get(file);
    if (open === undefined) throw deviceError("EBADF", call);
    return open;
  }

  #refuse(call: string): void {
    const index = this.refusals.findIndex(([name]) => name === call);
    if (index < 0) return;
    const [[, errno]] = this.refusals.splice(index, 1) as [[string, string]];
    throw deviceError(errno, call.split(" ")[0]!);
  }

  #storeLevel(entry: Entry, bytes: Uint8Array): void {
    const level = Number(new TextDecoder().decode(bytes));
    const { privilegeFloor = 0 } = this.#options;
    const isLevel = Number.isInteger(level) && level >= privilegeFloor && level <= PRIVILEGE_LEVEL_MAX;
    if (!isLevel) throw deviceError("EINVAL", "write");
    store(entry, () => (entry.privilegeLevel = level));
  }

  #show({ entry, attribute }: OpenFile): Uint8Array {
    switch (attribute) {
      case "generation":
        return textOf(String(entry.generation));
      case "provider":
        return textOf(this.#options.provider);
      case "privlevel_floor":
        return textOf(String(this.#options.privilegeFloor ?? 0));
      case "outblob":
        return this.#report(entry).outblob;
      default:
        return this.#report(entry).auxblob ?? new Uint8Array(0);
    }
  }

  #report(entry: Entry): Report {
    if (entry.report?.generation === entry.generation) return entry.report.made;
    this.beforeReport();
    if (entry.inblob.length !== INBLOB_BYTES_MAX) throw deviceError("EINVAL", "read");
    const made = this.#options.report(entry.inblob, entry.privilegeLevel);
    entry.report = { made, generation: entry.generation };
    return made;
  }
}

function newEntry(): Entry {
  return { generation: 0n, inblob: new Uint8Array(0), privilegeLevel: 0, report: undefined };
}

/** Generations wrap at the width of the kernel's unsigned long. */
function store(entry: Entry, change: () => unknown): void {
  entry.generation = BigInt.asUintN(64, entry.generation + 1n);
  change();
}
