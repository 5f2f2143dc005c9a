// What the roles receive from outside: time and randomness. Tests replay a scenario by passing their own.

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  nowMs(): number;
}

export interface Random {
  /** length fresh bytes, unpredictable in production. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/**
 * Keys that a device and its server hold beforehand: 32 bytes each, under ids that travel in the clear. They go into
 * the key schedule of a full handshake beside what the KEMs give.
 */
export interface DevicePsk {
  /** Ids for the first message. Throws as take does. */
  offer(): Promise<readonly Uint8Array<ArrayBuffer>[]>;
  /**
   * The key that the server's answer names (null: none); undefined goes on without one. Throws session.psk where the
   * device would not: nothing falls back by itself; an error with a status from 500 on, such as qkd.unavailable, where
   * it would not now: the handshake is made again later. The key is the caller's to wipe.
   */
  take(id: Uint8Array<ArrayBuffer> | null): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

export interface ServerPsk {
  /**
   * One for this device, not only of those it offered. Throws session.psk where there must be one and is none; an error
   * with a status from 500 on lets the device try again. The key is the caller's to wipe.
   */
  choose(
    deviceId: Uint8Array,
    offered: readonly Uint8Array[],
  ): Promise<{ readonly id: Uint8Array<ArrayBuffer>; readonly key: Uint8Array<ArrayBuffer> } | undefined>;
}

/** Structured log. Fields never hold a key, a token, a plaintext update or a shared secret. */
export interface Log {
  debug(fields: Record<string, unknown>, text: string): void;
  info(fields: Record<string, unknown>, text: string): void;
  warn(fields: Record<string, unknown>, text: string): void;
  error(fields: Record<string, unknown>, text: string): void;
}
