import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startServer } from "../../../src/server/server.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";

test("a run whose rounds could never make a model is refused before there is anything of it", async (context) => {
  const dataDir = join(folderOf(context), "data");
  const start = (target: number, quorum: number, updates_min: number) =>
    startServer({ dataDir, run: { updates_min }, rounds: { target, quorum } } as never);
  await assert.rejects(start(2, 3, 1), coded("config.invalid", /quorum: expected at most the target of 2, got 3$/));
  await assert.rejects(
    start(5, 3, 4),
    coded("config.invalid", /updates_min: expected at most the quorum of 3, got 4$/),
  );
  assert.ok(!existsSync(dataDir));
});
