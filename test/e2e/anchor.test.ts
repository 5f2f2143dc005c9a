import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { it } from "node:test";
import { createWalletClient, custom } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { compileAnchor, TestChain } from "../support/chain.ts";
import { runCli } from "../support/cli.ts";
import { rewriteFolder } from "../support/forger.ts";
import { TestRun } from "../support/run.ts";

const SECRET = "03".repeat(32);

it("qflare audit anchor writes the root, finds it again, and refuses a log that was rewritten", async (t) => {
  const account = privateKeyToAccount(`0x${SECRET}`);
  const chain = await TestChain.start([account.address]);
  const wallet = createWalletClient({ account, transport: custom(chain) });
  const hash = await wallet.deployContract({ abi: [], bytecode: compileAnchor(), chain: null });
  const call = { method: "eth_getTransactionReceipt", params: [hash] };
  const { contractAddress } = (await chain.request(call)) as { contractAddress: string };
  const node = createServer(async (request, response) => {
    const { id, method, params } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    const answer = await chain.request({ method, params }).then(
      (result) => ({ result }),
      (error: Error) => ({ error: { code: -32_000, message: error.message } }),
    );
    response.end(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
  });
  await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
  t.after(() => node.close());

  const run = await TestRun.open(t);
  await run.server.kill();
  const keyFile = join(run.folder, "anchor.key");
  writeFileSync(keyFile, `0x${SECRET}\n`, { mode: 0o600 });
  const rpc = `http://127.0.0.1:${(node.address() as { port: number }).port}`;
  const where = ["--data-dir", run.dataDir, "--rpc", rpc, "--contract", contractAddress, "--json"];
  const written = await runCli(["audit", "anchor", ...where, "--key-file", keyFile]);
  assert.equal(written.code, 0, written.stderr);
  assert.equal(JSON.parse(written.stdout).event, "anchored");
  const checked = await runCli(["audit", "anchor", ...where, "--account", account.address]);
  assert.deepEqual(JSON.parse(checked.stdout), { event: "anchored", checked: 1 });

  await rewriteFolder(run.dataDir);
  for (const how of [
    ["--account", account.address],
    ["--key-file", keyFile],
  ]) {
    const refused = await runCli(["audit", "anchor", ...where, ...how]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /the chain holds another root over \d+ entries than the log/);
  }
});
