// Rate limits a client: by device where a session names it, else by address.

import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { QflareError } from "../core/error.ts";

/** Requests a minute and client. */
export interface RateLimits {
  readonly enroll: number;
  readonly challenge: number;
  readonly submit: number;
  readonly model: number;
  /** Files of the audit log. */
  readonly log: number;
}

export const DEFAULT_RATE_LIMITS: RateLimits = { enroll: 5, challenge: 30, submit: 10, model: 60, log: 600 };

export type LimitName = keyof RateLimits;

const WINDOW_SECONDS = 60;

export type LimitHeaders = Readonly<Record<string, string>>;

export class RateLimited extends QflareError {
  readonly headers: LimitHeaders;

  constructor(headers: LimitHeaders) {
    super("request.rate_limited");
    this.headers = headers;
  }
}

export class Limiter {
  readonly #limits: RateLimits;
  readonly #buckets: Readonly<Record<LimitName, RateLimiterMemory>>;

  constructor(limits: RateLimits) {
    this.#limits = limits;
    const bucket = (name: LimitName): RateLimiterMemory =>
      new RateLimiterMemory({ keyPrefix: name, points: limits[name], duration: WINDOW_SECONDS });
    this.#buckets = {
      enroll: bucket("enroll"),
      challenge: bucket("challenge"),
      submit: bucket("submit"),
      model: bucket("model"),
      log: bucket("log"),
    };
  }

  /** Takes one request from the client's share. Throws RateLimited where none is left. */
  async take(name: LimitName, client: string): Promise<LimitHeaders> {
    try {
      return this.#headers(name, await this.#buckets[name].consume(client));
    } catch (state) {
      if (state instanceof Error) throw state;
      const left = state as RateLimiterRes;
      throw new RateLimited({ ...this.#headers(name, left), "retry-after": String(secondsLeft(left)) });
    }
  }

  /** RateLimit fields of the IETF draft "RateLimit header fields for HTTP". */
  #headers(name: LimitName, state: RateLimiterRes): LimitHeaders {
    return {
      "ratelimit-policy": `"${name}";q=${this.#limits[name]};w=${WINDOW_SECONDS}`,
      ratelimit: `"${name}";r=${state.remainingPoints};t=${secondsLeft(state)}`,
    };
  }
}

function secondsLeft(state: RateLimiterRes): number {
  return Math.max(1, Math.ceil(state.msBeforeNext / 1000));
}
