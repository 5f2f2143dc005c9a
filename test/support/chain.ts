// A chain in this process: the Ethereum Virtual Machine behind the few JSON-RPC calls that a client makes.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createCustomCommon, Hardfork, Mainnet } from "@ethereumjs/common";
import { createTxFromRLP } from "@ethereumjs/tx";
import { Account, bytesToHex, createAddressFromString, hexToBytes, type PrefixedHexString } from "@ethereumjs/util";
import { createVM, runTx, type VM } from "@ethereumjs/vm";
import type { EvmProvider } from "../../src/anchor/evm.ts";

const CHAIN_ID = 1337;
const GAS = 5_000_000n;
const RICH = 10n ** 20n;

interface Solc {
  compile(input: string): string;
}

/** Bytecode of the contract that the repository ships. */
export function compileAnchor(): PrefixedHexString {
  const name = "CheckpointAnchor";
  const content = readFileSync(new URL("../../deploy/anchor/CheckpointAnchor.sol", import.meta.url), "utf8");
  const outputSelection = { "*": { "*": ["evm.bytecode.object"] } };
  const input = { language: "Solidity", sources: { [name]: { content } }, settings: { outputSelection } };
  const solc = createRequire(import.meta.url)("solc") as Solc;
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const found = output.contracts?.[name]?.[name]?.evm.bytecode.object as string | undefined;
  if (found === undefined) throw new Error(JSON.stringify(output.errors));
  return `0x${found}`;
}

export class TestChain implements EvmProvider {
  readonly #vm: VM;
  readonly #receipts = new Map<string, object>();
  #height = 1;

  private constructor(vm: VM) {
    this.#vm = vm;
  }

  static async start(rich: readonly string[]): Promise<TestChain> {
    const common = createCustomCommon({ chainId: CHAIN_ID }, Mainnet, { hardfork: Hardfork.Shanghai });
    const vm = await createVM({ common });
    for (const address of rich) {
      await vm.stateManager.putAccount(createAddressFromString(address), new Account(0n, RICH));
    }
    return new TestChain(vm);
  }

  async request({ method, params = [] }: { method: string; params?: unknown }): Promise<unknown> {
    const [first] = params as unknown[];
    switch (method) {
      case "eth_chainId":
        return hex(CHAIN_ID);
      case "eth_blockNumber":
        // Every look finds a block more, so that confirmations come.
        return hex(this.#height++);
      case "eth_gasPrice":
        return hex(10n ** 10n);
      case "eth_maxPriorityFeePerGas":
        return hex(10n ** 9n);
      case "eth_estimateGas":
        return hex(GAS);
      case "eth_getTransactionCount":
        return hex((await this.#vm.stateManager.getAccount(createAddressFromString(first as string)))?.nonce ?? 0n);
      case "eth_getBlockByNumber":
        return { number: hex(this.#height), baseFeePerGas: hex(7), transactions: [], timestamp: hex(0) };
      case "eth_sendRawTransaction":
        return await this.#send(first as PrefixedHexString);
      case "eth_getTransactionReceipt":
        return this.#receipts.get(first as string) ?? null;
      case "eth_call":
        return await this.#call(first as { to: string; data: PrefixedHexString });
      default:
        throw new Error(`the method ${method} is not there`);
    }
  }

  async #send(raw: PrefixedHexString): Promise<string> {
    const tx = createTxFromRLP(hexToBytes(raw), { common: this.#vm.common });
    const { execResult, createdAddress, totalGasSpent } = await runTx(this.#vm, { tx, skipHardForkValidation: true });
    const hash = bytesToHex(tx.hash());
    this.#receipts.set(hash, {
      transactionHash: hash,
      blockNumber: hex(this.#height++),
      blockHash: hash,
      status: execResult.exceptionError === undefined ? "0x1" : "0x0",
      contractAddress: createdAddress?.toString() ?? null,
      gasUsed: hex(totalGasSpent),
      logs: [],
      type: "0x2",
    });
    return hash;
  }

  async #call({ to, data }: { to: string; data: PrefixedHexString }): Promise<string> {
    const { execResult } = await this.#vm.evm.runCall({ to: createAddressFromString(to), data: hexToBytes(data) });
    if (execResult.exceptionError !== undefined) throw new Error(execResult.exceptionError.error);
    return bytesToHex(execResult.returnValue);
  }
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
