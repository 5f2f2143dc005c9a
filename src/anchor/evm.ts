// Anchor on a chain with the Ethereum Virtual Machine, through the contract of deploy/anchor. Needs the optional
// package viem, which is loaded at the first use.

import { fromHex, toHex, utf8 } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { sha256 } from "../crypto/hash.ts";
import type { Anchor, Anchored } from "./port.ts";

type Hex = `0x${string}`;

/** EIP-1193: one JSON-RPC call. */
export interface EvmProvider {
  request(call: { method: string; params?: unknown }): Promise<unknown>;
}

export interface EvmAnchorOptions {
  readonly provider: EvmProvider;
  /** Address of the contract. */
  readonly contract: string;
  /** Address under which checkpoints are read; by default that of the key. */
  readonly account?: string;
  /** secp256k1, 32 bytes; for publishing. */
  readonly secretKey?: Uint8Array;
  /** Blocks on top after which a transaction counts as final. */
  readonly confirmations: number;
}

const ABI = [
  "function anchor(bytes32 origin, uint64 size, bytes32 root)",
  "function count(address account, bytes32 origin) view returns (uint256)",
  "function at(address account, bytes32 origin, uint256 index) view returns (uint64 size, bytes32 root)",
] as const;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const CALL_MS = 30_000;

/** Throws config.invalid for an address that is none, or where viem is not installed. */
export async function evmAnchor(options: EvmAnchorOptions): Promise<Anchor> {
  const { createPublicClient, createWalletClient, custom, parseAbi } = await loadViem();
  const { privateKeyToAccount } = await import("viem/accounts");
  const contract = address(options.contract, "contract");
  const signer = options.secretKey === undefined ? undefined : privateKeyToAccount(`0x${toHex(options.secretKey)}`);
  const account = options.account === undefined ? signer?.address : address(options.account, "account");
  if (account === undefined) throw new QflareError("config.invalid", "anchor: expected an account or a key");
  const abi = parseAbi(ABI);
  const transport = custom(options.provider, { retryCount: 0 });
  const chain = createPublicClient({ transport });
  const at = { address: contract, abi } as const;
  return {
    publish: async ({ origin, size, root }) => {
      if (signer === undefined) throw new QflareError("config.invalid", "anchor: expected a key");
      return await reached(async () => {
        const wallet = createWalletClient({ account: signer, transport });
        const args = [originHash(origin), BigInt(size), `0x${toHex(root)}`] as const;
        const hash = await wallet.writeContract({ ...at, functionName: "anchor", args, chain: null });
        const { confirmations } = options;
        const receipt = await chain.waitForTransactionReceipt({ hash, confirmations, timeout: CALL_MS });
        if (receipt.status !== "success") throw new Error(`transaction ${hash} was reverted`);
        return { reference: hash, height: Number(receipt.blockNumber) };
      });
    },
    read: async (origin) =>
      await reached(async () => {
        const name = originHash(origin);
        const count = await chain.readContract({ ...at, functionName: "count", args: [account, name] });
        if (count > BigInt(LIMITS.anchorsMax)) throw new Error(`expected at most ${LIMITS.anchorsMax}, got ${count}`);
        const found: Anchored[] = [];
        for (let index = 0n; index < count; index++) {
          const args = [account, name, index] as const;
          const [size, root] = await chain.readContract({ ...at, functionName: "at", args });
          found.push({ size: Number(size), root: fromHex(root.slice(2))! });
        }
        return found;
      }),
  };
}

async function loadViem(): Promise<typeof import("viem")> {
  try {
    return await import("viem");
  } catch (cause) {
    throw new QflareError("config.invalid", "anchor: expected the package viem, npm install viem", { cause });
  }
}

function address(text: string, what: string): Hex {
  if (!ADDRESS.test(text))
    throw new QflareError("config.invalid", `anchor: expected an address as ${what}, got ${text}`);
  return text as Hex;
}

function originHash(origin: string): Hex {
  return `0x${toHex(sha256(utf8(origin)))}`;
}

async function reached<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof QflareError) throw cause;
    const [line] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    throw new QflareError("anchor.unavailable", line, { cause });
  }
}

/** A node's JSON-RPC over HTTP. */
export function httpProvider(url: string): EvmProvider {
  let id = 0;
  return {
    request: async ({ method, params = [] }) => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params }),
        signal: AbortSignal.timeout(CALL_MS),
      });
      const answer = (await response.json()) as { result?: unknown; error?: { message?: string } };
      if (answer.error !== undefined) throw new Error(answer.error.message ?? "the node refused");
      return answer.result;
    },
  };
}
