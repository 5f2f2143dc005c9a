// A machine with hardware of our own vendors and an enclave on it, in this process: its attester is the product's and
// asks the kernel's file protocol, its frames go over streams as those of a process do, and it can be killed.

import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import type { SevSnpEvidence } from "../../../src/attestation/evidence.ts";
import { sha256 } from "../../../src/crypto/hash.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { ConfigfsTsm } from "../../../src/enclave/attesters/configfs-tsm.ts";
import { Enclave } from "../../../src/enclave/enclave.ts";
import { serve } from "../../../src/enclave/host.ts";
import { Vault } from "../../../src/enclave/keys.ts";
import type { EnclaveChannel, EnclaveHost, Reached } from "../../../src/server/enclave-host.ts";
import { enclaveProgram } from "../../../src/server/enclave-program.ts";
import { certificateTable } from "./certificate-table.ts";
import { deviceError } from "./device-error.ts";
import type { FakeVendors } from "./fake-attesters.ts";
import { FakeTsm, type TsmOptions } from "./fake-tsm.ts";

type Bytes = Uint8Array<ArrayBuffer>;
export type TsmTee = "sev-snp" | "tdx";

const TDX_REPORT_DATA_AT = 520;

export class FakeMachine implements EnclaveHost {
  readonly raise = "";
  readonly tee: TsmTee;
  readonly programDigest: Bytes;
  /** Of every quote that the hardware has made. */
  readonly reportData: Bytes[] = [];
  boots = 0;
  /** Quotes that its firmware refuses from now on. */
  refusals = 0;
  readonly #vendors: FakeVendors;
  readonly #sealingKey: Bytes;
  #running: { kill(): unknown } | undefined;

  /** program: its digest; by default that of the product's enclave. sealingKey: of the machine. */
  constructor(
    vendors: FakeVendors,
    tee: TsmTee,
    {
      program = sha256(enclaveProgram()),
      sealingKey = systemRandom.bytes(32),
    }: { program?: Bytes; sealingKey?: Bytes } = {},
  ) {
    this.#vendors = vendors;
    this.tee = tee;
    this.programDigest = program;
    this.#sealingKey = sealingKey;
  }

  async reach(): Promise<Reached> {
    this.boots += 1;
    const vault = new Vault(this.#sealingKey.slice(), systemRandom);
    const attester = new ConfigfsTsm(this.tee, {
      files: this.#kernel(),
      random: systemRandom,
      wait: async () => undefined,
    });
    const enclave = new Enclave(vault, { attester, isolation: "tee", codeDigest: this.programDigest });
    const child = channelTo(enclave);
    this.#running = child;
    return { child, pid: Promise.resolve(undefined) };
  }

  #kernel(): FakeTsm {
    const { amd, intel } = this.#vendors;
    const report: TsmOptions["report"] = (inblob) => {
      if (this.refusals-- > 0) throw deviceError("EIO", "read");
      this.reportData.push(new Uint8Array(inblob));
      if (this.tee === "tdx") {
        return { outblob: intel.quote({ kind: "tdx4", body: (body) => body.set(inblob, TDX_REPORT_DATA_AT) }) };
      }
      const { report: outblob, certificates }: SevSnpEvidence = amd.evidence({ reportData: inblob });
      return { outblob, auxblob: certificateTable(certificates) };
    };
    return new FakeTsm({ provider: this.tee === "tdx" ? "tdx_guest" : "sev_guest", report });
  }

  lostKey(): undefined {
    return undefined;
  }

  settle(): void {
    // The key is where it was.
  }

  /** In the middle of whatever it does. */
  kill(): void {
    this.#running?.kill();
  }
}

function channelTo(enclave: Enclave): EnclaveChannel {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const events = new EventEmitter();
  const end = (code: number | null, signal: NodeJS.Signals | null): boolean => {
    if (channel.exitCode !== null || channel.signalCode !== null) return false;
    Object.assign(channel, { exitCode: code, signalCode: signal });
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    setImmediate(() => {
      events.emit("exit", code);
      events.emit("close", code, signal);
    });
    return true;
  };
  const channel = Object.assign(events, {
    ...{ stdin, stdout, stderr },
    exitCode: null as number | null,
    signalCode: null as NodeJS.Signals | null,
    kill: () => end(null, "SIGKILL"),
  });
  const write = async (bytes: Uint8Array): Promise<void> => void (stdout.destroyed || stdout.write(bytes));
  serve(enclave, stdin, write).then(
    () => end(0, null),
    () => end(1, null),
  );
  return channel;
}
