import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Changes } from "../../../src/server/changes.ts";
import { DEFAULT_RATE_LIMITS, Limiter, RateLimited } from "../../../src/server/limiter.ts";

describe("the rate limiter", () => {
  it("gives each client its share of each kind, and says what is left", async () => {
    const limiter = new Limiter({ enroll: 2, challenge: 1, submit: 1, model: 1, log: 1 });
    assert.match((await limiter.take("enroll", "a")).ratelimit, /^"enroll";r=1;t=\d+$/);
    assert.match((await limiter.take("enroll", "a")).ratelimit, /^"enroll";r=0;t=\d+$/);
    await assert.rejects(limiter.take("enroll", "a"), RateLimited);
    await assert.doesNotReject(limiter.take("enroll", "b"));
    await assert.doesNotReject(limiter.take("challenge", "a"));
  });

  it("names the wait of who has none left, within its minute", async () => {
    const limiter = new Limiter({ ...DEFAULT_RATE_LIMITS, submit: 1 });
    await limiter.take("submit", "a");
    await assert.rejects(limiter.take("submit", "a"), (error: RateLimited) => {
      const seconds = Number(error.headers["retry-after"]);
      assert.ok(seconds >= 1 && seconds <= 60, `${seconds} s`);
      assert.equal(error.headers["ratelimit-policy"], '"submit";q=1;w=60');
      return error.code === "request.rate_limited" && error.status === 429;
    });
  });

  it("has the limits of the specification unless told otherwise", () => {
    assert.deepEqual(DEFAULT_RATE_LIMITS, { enroll: 5, challenge: 30, submit: 10, model: 60, log: 600 });
  });

  it("lets through no more than the share of a client whose requests come at once", async () => {
    const limiter = new Limiter(DEFAULT_RATE_LIMITS);
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => limiter.take("submit", "a")));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 10);
  });
});

describe("changes", () => {
  it("wake all who wait, once, and nobody who comes later", async () => {
    const changes = new Changes();
    const woken: number[] = [];
    const waiting = [1, 2, 3].map((i) => changes.wait().then(() => woken.push(i)));
    changes.notify();
    await Promise.all(waiting);
    const late = new AbortController();
    const later = changes.wait(undefined, late.signal).then(() => woken.push(4));
    await new Promise(setImmediate);
    assert.deepEqual(woken, [1, 2, 3]);
    late.abort();
    await later;
  });

  it("let who waits go after its time, or at once where it has none", async () => {
    const changes = new Changes();
    await changes.wait(0);
    await changes.wait(-5);
    await changes.wait(1);
  });

  it("let who waits go when its signal aborts, also where it has before", async () => {
    const changes = new Changes();
    const controller = new AbortController();
    const waiting = changes.wait(undefined, controller.signal);
    controller.abort();
    await waiting;
    await changes.wait(undefined, controller.signal);
  });

  it("may be waited for again from within a waking", async () => {
    const changes = new Changes();
    let again: Promise<void> | undefined;
    const first = changes.wait().then(() => {
      again = changes.wait();
    });
    changes.notify();
    await first;
    changes.notify();
    await again;
  });
});
