import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename } from "node:path";
import { test } from "node:test";
import { assertRoundEnds } from "../../support/client.ts";
import { TestServer } from "../../support/server.ts";

function refusal(): Error {
  return Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
}

test("a round ends though the disk does not give blobs for a while, nor let them be removed", async (context) => {
  const server = await TestServer.start();
  const original = fsPromises.open;
  let reads = 0;
  const open = context.mock.method(fsPromises, "open", async (...args: Parameters<typeof original>) => {
    const isBlob = args[1] === "r" && /^[0-9a-f]{64}$/.test(basename(String(args[0])));
    // The first is the test's own, for the parameters that the round starts from.
    if (isBlob && ++reads > 1 && reads < 5) throw refusal();
    return await original(...args);
  });
  const readdir = context.mock.method(fsPromises, "readdir", async () => {
    throw refusal();
  });
  syncBuiltinESMExports();
  try {
    await assertRoundEnds(server);
  } finally {
    open.mock.restore();
    readdir.mock.restore();
    syncBuiltinESMExports();
    await server.close();
  }
});
