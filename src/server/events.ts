// What happens in a run, for whoever watches: the log, the command line, a dashboard.

export interface RejectedUpdate {
  readonly device: string;
  readonly reason: string;
}

export type RunEvent =
  | { readonly event: "round.started"; readonly round: number; readonly devices: readonly string[] }
  | {
      readonly event: "round.published";
      readonly round: number;
      readonly accepted: readonly string[];
      readonly rejected: readonly RejectedUpdate[];
      /** Selected, but no update came before the deadline. */
      readonly missing: readonly string[];
      readonly model_digest: string;
      readonly seconds: number;
    }
  | {
      readonly event: "round.failed";
      readonly round: number;
      readonly reason: string;
      readonly missing: readonly string[];
    }
  | { readonly event: "run.finished"; readonly rounds: number };

export type Listener = (event: RunEvent) => void;

export class Events {
  readonly #listeners = new Set<Listener>();

  /** Returns how to stop listening. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: RunEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
