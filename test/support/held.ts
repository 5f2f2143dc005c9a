// A device in the test's own process, which submits only when the test says so.

import type { Device } from "../../src/device/device.ts";
import type { Round } from "../../src/device/round.ts";
import type { Receipt } from "../../src/wire/receipt.ts";
import type { Submitted } from "./outcome.ts";

/** More than the median of a share of the table and under its cap, so that a wrong weight shows. */
const EXAMPLES = 45;

export class Held {
  readonly known = new Map<number, Submitted>();
  readonly #rounds: AsyncGenerator<Round>;

  constructor(device: Device) {
    this.#rounds = device.rounds();
  }

  /** The next round that it is selected for. */
  async next(): Promise<Round> {
    const { value, done } = await this.#rounds.next();
    if (done) throw new Error("the run is finished");
    return value;
  }

  /** Resolves with the server's receipt, however often the server was away in between. */
  async submit(round: Round): Promise<Receipt> {
    const delta = Float32Array.from(round.parameters, (_, i) => (i + round.number) / 100);
    this.known.set(round.number, { delta, examples: EXAMPLES });
    const receipt = await round.submit(delta, EXAMPLES);
    if (receipt === undefined) throw new Error(`round ${round.number} is over`);
    return receipt;
  }

  /** Takes part in what is left of the run. */
  async finish(): Promise<void> {
    for await (const round of this.#rounds) await this.submit(round);
  }
}
