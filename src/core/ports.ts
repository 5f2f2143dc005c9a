// What the roles receive from outside: time and randomness. Tests replay a scenario by passing their own.

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  nowMs(): number;
}

export interface Random {
  /** length fresh bytes, unpredictable in production. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/** Structured log. Fields never hold a key, a token, a plaintext update or a shared secret. */
export interface Log {
  debug(fields: Record<string, unknown>, text: string): void;
  info(fields: Record<string, unknown>, text: string): void;
  warn(fields: Record<string, unknown>, text: string): void;
  error(fields: Record<string, unknown>, text: string): void;
}
