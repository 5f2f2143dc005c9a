// What a device tells its program while it takes part: sessions, enclaves, what became of its updates.

import type { SuiteName } from "../crypto/suite.ts";

export type DeviceEvent =
  /** psk: whether a key held beforehand is mixed in. */
  | { readonly event: "session"; readonly suite: SuiteName; readonly resumed: boolean; readonly psk: boolean }
  | {
      readonly event: "enclave";
      readonly tee: string;
      readonly isolation: string;
      readonly epoch: number;
      /** Whether its identity is another one than before: its keys were lost. */
      readonly replaced: boolean;
    }
  | { readonly event: "outcome"; readonly round: number; readonly verdict: string; readonly reason: string | null }
  | { readonly event: "late"; readonly round: number; readonly reason: string }
  | { readonly event: "retry"; readonly reason: string; readonly wait_ms: number };
