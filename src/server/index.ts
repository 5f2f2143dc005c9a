// Public entry "qflare/server".
export { DEFAULT_RATE_LIMITS, type RateLimits } from "./limiter.ts";
export type { RoundSettings } from "./rounds.ts";
export { type RunDefinition, type RunningServer, type ServerOptions, startServer } from "./server.ts";
