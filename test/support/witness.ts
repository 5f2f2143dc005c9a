// A witness of a run's log, in this process, that can go away and come back.

import { join } from "node:path";
import type { TestContext } from "node:test";
import { readLedger } from "../../src/cli/ledger.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { readLogKeys } from "../../src/server/keys.ts";
import { formatVkey } from "../../src/wire/note.ts";
import { loadWitnessKeys } from "../../src/witness/keys.ts";
import { type ListeningWitness, listenWitness } from "../../src/witness/listen.ts";
import { WitnessStore } from "../../src/witness/store.ts";
import { Witness } from "../../src/witness/witness.ts";
import { silentLog } from "./clock.ts";
import { temporaryFolder } from "./folder.ts";
import type { LongRun } from "./long-run.ts";

export class TestWitness {
  readonly #name: string;
  readonly #witness: Witness;
  readonly #vkey: string;
  #listening: ListeningWitness | undefined;
  #url = "";

  private constructor(name: string, witness: Witness, vkey: string) {
    this.#name = name;
    this.#witness = witness;
    this.#vkey = vkey;
  }

  static async open(t: TestContext, { dataDir }: LongRun, name: string): Promise<TestWitness> {
    const { run_id } = await readLedger(dataDir, (db) =>
      db.selectFrom("run").select("run_id").executeTakeFirstOrThrow(),
    );
    const [logKey] = readLogKeys(dataDir, run_id).inForce.filter(({ type }) => type === "ml-dsa-44");
    const folder = temporaryFolder();
    const signer = loadWitnessKeys(join(folder, "witness.key"), `witness.example/${name}`, systemRandom);
    const store = new WitnessStore(join(folder, "witness.sqlite"));
    const witness = new Witness({ signer, store, clock: { nowMs: Date.now }, logs: [logKey!] });
    const opened = new TestWitness(name, witness, formatVkey(signer.keys[1]!));
    await opened.come();
    t.after(() => opened.go());
    return opened;
  }

  /** Of a policy file. */
  get line(): string {
    return `witness ${this.#name} ${this.#vkey} ${this.#url}`;
  }

  /** At the same place, if it was there before. */
  async come(): Promise<void> {
    const port = this.#url === "" ? 0 : Number(new URL(this.#url).port);
    this.#listening = await listenWitness(this.#witness, { host: "127.0.0.1", port, log: silentLog });
    this.#url = this.#listening.url;
  }

  async go(): Promise<void> {
    await this.#listening?.close();
    this.#listening = undefined;
  }
}
