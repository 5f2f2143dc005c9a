import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createWalletClient, custom } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { evmAnchor } from "../../src/anchor/evm.ts";
import { judgeAnchored } from "../../src/anchor/port.ts";
import { toHex } from "../../src/core/bytes.ts";
import { sha256 } from "../../src/crypto/hash.ts";
import { compileAnchor, TestChain } from "../support/chain.ts";
import { coded } from "../support/errors.ts";

const SECRET = new Uint8Array(32).fill(3);
const OTHER_SECRET = new Uint8Array(32).fill(4);
const ORIGIN = `qflare/${"ef".repeat(32)}`;

const accountOf = (secret: Uint8Array) => privateKeyToAccount(`0x${toHex(secret)}`);
const rootOf = (size: number): Uint8Array<ArrayBuffer> => sha256(Uint8Array.of(size));
const checkpointOf = (size: number) => ({ origin: ORIGIN, size, root: rootOf(size) });

async function deployed(): Promise<{ provider: TestChain; contract: string; confirmations: number }> {
  const account = accountOf(SECRET);
  const provider = await TestChain.start([account.address, accountOf(OTHER_SECRET).address]);
  const wallet = createWalletClient({ account, transport: custom(provider) });
  const hash = await wallet.deployContract({ abi: [], bytecode: compileAnchor(), chain: null });
  const receipt = (await provider.request({ method: "eth_getTransactionReceipt", params: [hash] })) as {
    contractAddress: string;
  };
  return { provider, contract: receipt.contractAddress, confirmations: 2 };
}

describe("an anchor on a chain", () => {
  it("gives back what was written, in its order, and nothing for another log or account", async () => {
    const chain = await deployed();
    const anchor = await evmAnchor({ ...chain, secretKey: SECRET });
    assert.deepEqual(await anchor.read(ORIGIN), []);
    for (const size of [3, 9]) {
      const { reference, height } = await anchor.publish(checkpointOf(size));
      assert.match(reference, /^0x[0-9a-f]{64}$/);
      assert.ok(height > 0);
    }
    const written = [3, 9].map((size) => ({ size, root: rootOf(size) }));
    assert.deepEqual(await anchor.read(ORIGIN), written);
    assert.deepEqual(await anchor.read("qflare/other"), []);
    const reader = await evmAnchor({ ...chain, account: accountOf(SECRET).address });
    assert.deepEqual(await reader.read(ORIGIN), written);
    const stranger = await evmAnchor({ ...chain, secretKey: OTHER_SECRET });
    assert.deepEqual(await stranger.read(ORIGIN), []);
  });

  it("takes no root over fewer or as many entries as the last", async () => {
    const anchor = await evmAnchor({ ...(await deployed()), secretKey: SECRET });
    await anchor.publish(checkpointOf(9));
    for (const size of [9, 3]) await assert.rejects(anchor.publish(checkpointOf(size)), coded("anchor.unavailable"));
    assert.equal((await anchor.read(ORIGIN)).length, 1);
  });

  it("is refused where address, key or node are not there", async () => {
    const chain = await deployed();
    await assert.rejects(evmAnchor({ ...chain, contract: "0x12", secretKey: SECRET }), coded("config.invalid"));
    await assert.rejects(evmAnchor(chain), coded("config.invalid"));
    const reader = await evmAnchor({ ...chain, account: accountOf(SECRET).address });
    await assert.rejects(reader.publish(checkpointOf(3)), coded("config.invalid"));
    const provider = { request: async () => Promise.reject(new Error("no node here")) };
    const lost = await evmAnchor({ ...chain, provider, secretKey: SECRET });
    await assert.rejects(lost.read(ORIGIN), coded("anchor.unavailable"));
  });

  it("shows a log that was rewritten or cut", () => {
    const anchored = [3, 9].map((size) => ({ size, root: rootOf(size) }));
    assert.deepEqual(judgeAnchored(anchored, rootOf), { problems: [], anchored: 2 });
    const rewritten = judgeAnchored(anchored, (size) => (size === 9 ? rootOf(8) : rootOf(size)));
    assert.deepEqual(rewritten.problems, [
      "the chain holds another root over 9 entries than the log: its history was rewritten",
    ]);
    const cut = judgeAnchored(anchored, (size) => (size > 5 ? undefined : rootOf(size)));
    assert.deepEqual(cut.problems, ["the chain holds a root over 9 entries, the log has fewer"]);
  });
});
