// Where the enclave process runs: beside the server, or behind a connection to another machine.

import type { Tee } from "../attestation/evidence.ts";
import type { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { syncFolder } from "../crypto/secret-file.ts";
import { type EnclaveChild, launchEnclave } from "./enclave-launch.ts";
import { enclaveProgram } from "./enclave-program.ts";
import type { HostIsolation } from "./isolation.ts";
import { hasSealingKey, missingSealingKey } from "./sealing-key.ts";

/** What is used of a child process, or of a connection to one. */
export type EnclaveChannel = Pick<EnclaveChild, "stdout" | "stderr" | "kill" | "exitCode" | "signalCode"> & {
  readonly stdin: NodeJS.WritableStream;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "close", listener: (code: number | null, signal: string | null) => void): unknown;
  once(event: "exit", listener: (code: number | null) => void): unknown;
};

export interface Reached {
  readonly child: EnclaveChannel;
  /** Of the enclave itself; undefined where it did not start or is elsewhere. */
  readonly pid: Promise<number | undefined>;
}

export interface EnclaveHost {
  /** The hardware that the enclave is to ask for evidence; undefined where whatever it says is taken. */
  readonly tee: Tee | undefined;
  /** SHA-256 of the program that is the enclave. */
  readonly programDigest: Uint8Array<ArrayBuffer>;
  /** What would raise the level of isolation. */
  readonly raise: string;
  /** Throws enclave.unavailable where it cannot be reached. */
  reach(): Promise<Reached>;
  /** The error where sealed keys wait for a sealing key that is known to be gone. */
  lostKey(): QflareError | undefined;
  /** Puts on disk what a new enclave has written there. */
  settle(): void;
}

/** keyFolder: where the sealing key lies. */
export function localHost(keyFolder: string, isolation: HostIsolation, tee: Tee): EnclaveHost {
  return {
    tee,
    programDigest: sha256(enclaveProgram()),
    raise: isolation.raise,
    reach: async () => launchEnclave(keyFolder, isolation, tee),
    lostKey: () => (hasSealingKey(keyFolder) ? undefined : missingSealingKey(keyFolder)),
    settle: () => syncFolder(keyFolder),
  };
}
