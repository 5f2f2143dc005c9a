import assert from "node:assert/strict";
import { test } from "node:test";
import { ISOLATION_LEVELS, isAtLeast } from "../../../src/isolation/level.ts";
import { examineHost, requireIsolation } from "../../../src/server/isolation.ts";
import { coded } from "../../support/errors.ts";

test("each level has what those before it have", () => {
  for (const [i, level] of ISOLATION_LEVELS.entries()) {
    for (const [j, wanted] of ISOLATION_LEVELS.entries()) assert.equal(isAtLeast(level, wanted), i >= j);
  }
});

test("a level below the required one is refused, with what would raise it", () => {
  requireIsolation("sandbox", "permission", "");
  requireIsolation("sandbox", "sandbox", "");
  const refusal = coded("isolation.insufficient", /expected sandbox, this host gives permission \(no bubblewrap\)/);
  assert.throws(() => requireIsolation("permission", "sandbox", "no bubblewrap"), refusal);
});

test("no host reaches hardware's level by itself, and every host is told what would raise its own", async () => {
  const { level, raise, sandbox } = await examineHost();
  assert.ok(!isAtLeast(level, "tee"));
  assert.equal(sandbox !== undefined, level === "sandbox");
  assert.notEqual(raise, "");
});
