// Replays a run by its log alone: rounds open on the model before them, take updates, close with a model that the
// enclave has made from exactly these updates, and the enclave's own chain of records has no gap.

import { equal, toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { sha256 } from "../crypto/hash.ts";
import { type AuditEntry, type EnclaveRecord, enclaveRecord } from "./audit.ts";
import { enclaveIdentityMessage } from "./enclave-identity.ts";
import { type ModelStatement, modelStatement } from "./model.ts";

export interface RunStory {
  readonly updates: number;
  readonly models: number;
  /** Round that takes updates or waits for its model; undefined between rounds. */
  readonly openRound: number | undefined;
  readonly problems: readonly string[];
}

const NOTHING = new Uint8Array(32);
const EPOCH = /^enclave epoch ([1-9][0-9]{0,15})$/;
const ROUND = /^round (0|[1-9][0-9]{0,6})$/;

interface OpenRound {
  readonly number: number;
  /** By device, the digest of its blob. */
  readonly accepted: Map<string, string>;
  /** Digests of blobs that the enclave was given since it began the round last. */
  fed: Set<string>;
  /** Digest of the model that the enclave says it has made. */
  made: Uint8Array | undefined;
}

/** runId: what the log's origin names. */
export function replayRun(entries: readonly (AuditEntry | undefined)[], runId: string): RunStory {
  const replay = new Replay(runId);
  for (const [i, entry] of entries.entries()) if (entry !== undefined) replay.take(entry, i);
  return replay.story();
}

class Replay {
  readonly #runId: string;
  readonly #problems: string[] = [];
  #policyHash: Uint8Array | undefined;
  #open: OpenRound | undefined;
  #model: Uint8Array = NOTHING;
  #genesis: Uint8Array | undefined;
  #adopted: Uint8Array | undefined;
  #rotated: Uint8Array | undefined;
  #epoch = 0;
  #statement: ModelStatement | undefined;
  /** By epoch, the enclave's identity. */
  readonly #enclaves = new Map<number, Uint8Array>();
  #tee: string | undefined;
  #program: string | undefined;
  /** Programs that may take its place. */
  #announced = new Set<string>();
  #chain = { sequence: 0, head: NOTHING as Uint8Array };
  #updates = 0;
  #models = 0;

  constructor(runId: string) {
    this.#runId = runId;
  }

  story(): RunStory {
    return {
      updates: this.#updates,
      models: this.#models,
      openRound: this.#open?.number,
      problems: this.#problems,
    };
  }

  take(entry: AuditEntry, index: number): void {
    const check = (holds: boolean, problem: string): void => {
      if (!holds) this.#problems.push(`entry ${index}: ${problem}`);
    };
    switch (entry.type) {
      case "run.opened":
        this.#runOpened(entry, check);
        return;
      case "enclave.announced":
        this.#programAnnounced(toHex(entry.digest));
        return;
      case "enclave.started":
        this.#programStarted(toHex(entry.digest), check);
        this.#enclaveStarted(entry, check);
        return;
      case "round.opened":
        this.#roundOpened(entry, check);
        return;
      case "update.accepted":
        this.#updateAccepted(entry, check);
        return;
      case "enclave.operation":
        this.#enclaveRecord(entry, check);
        return;
      case "model.published":
        this.#modelPublished(entry, check);
        return;
      case "model.adopted":
        check(equal(entry.digest, this.#model), "the enclave has taken over another model than the newest");
        check(equal(entry.digest, this.#adopted ?? NOTHING), "the enclave says that it has taken over another model");
        return;
      case "key.published":
        this.#keyPublished(entry, check);
        return;
      case "round.committed":
        check(equal(entry.digest, this.#statement?.report_digest ?? NOTHING), "the report is not the model's");
        check(numberOf(entry) === this.#statement?.round, "the round is not the model's");
        return;
      case "round.failed":
        check(this.#open?.number === numberOf(entry), "the round that failed was not open");
        this.#open = undefined;
    }
  }

  /** The run's first enclave is named before it has signed the model that the run is opened with. */
  #runOpened({ digest }: AuditEntry, check: Check): void {
    check(this.#policyHash === undefined, "the run was opened before");
    this.#policyHash = digest;
    for (const identity of this.#enclaves.values()) this.#checkPolicy(identity, check);
  }

  #checkPolicy(identity: Uint8Array, check: Check): void {
    if (this.#policyHash === undefined) return;
    const { epoch, policy_hash } = enclaveIdentityMessage.decode(identity);
    check(equal(policy_hash, this.#policyHash), `the enclave of epoch ${epoch} has another policy than the run's`);
  }

  /** Where it is the one that runs, its reference values are renewed, and what was announced before is void. */
  #programAnnounced(program: string): void {
    if (program === this.#program) this.#announced = new Set();
    else this.#announced.add(program);
  }

  /** Who watches the log learns of another program before the first update is sealed for it. */
  #programStarted(program: string, check: Check): void {
    if (program === this.#program) return;
    const isExpected = this.#program === undefined || this.#announced.has(program);
    check(isExpected, `program ${program} of the enclave was started without having been announced`);
    this.#program = program;
    this.#announced = new Set();
  }

  /** One epoch, one enclave: a server that shows two has to name both here, or show devices none. */
  #enclaveStarted(entry: AuditEntry, check: Check): void {
    const identity = attempt(() => enclaveIdentityMessage.decode(entry.data));
    check(identity !== undefined, "an enclave was started that is not named");
    if (identity === undefined) return;
    const before = this.#enclaves.get(identity.epoch);
    check(before === undefined || equal(before, entry.data), `a second enclave of epoch ${identity.epoch} was started`);
    this.#enclaves.set(identity.epoch, before ?? entry.data);
    this.#tee ??= identity.tee;
    check(identity.tee === this.#tee, `the enclave is on ${identity.tee}, the run's first was on ${this.#tee}`);
    this.#checkPolicy(entry.data, check);
  }

  #roundOpened(entry: AuditEntry, check: Check): void {
    const number = numberOf(entry);
    check(this.#open === undefined, "the round before is still open");
    check(equal(entry.digest, this.#model), "the round does not stand on the newest model");
    this.#open = { number, accepted: new Map(), fed: new Set(), made: undefined };
  }

  #updateAccepted(entry: AuditEntry, check: Check): void {
    this.#updates += 1;
    check(this.#open !== undefined, "an update was accepted while no round was open");
    check(this.#open?.made === undefined, "an update was accepted after the round was added up");
    check(!this.#open?.accepted.has(entry.subject), "a second update of one device was accepted");
    this.#open?.accepted.set(entry.subject, toHex(entry.data));
  }

  /** Every record names the one before. */
  #enclaveRecord(entry: AuditEntry, check: Check): void {
    const record = attempt(() => enclaveRecord.decode(entry.data));
    const { sequence, head } = this.#chain;
    const follows = record !== undefined && record.sequence === sequence && equal(record.previous, head);
    check(follows, `enclave record ${sequence} does not follow the one before it`);
    this.#chain = { sequence: sequence + 1, head: sha256(entry.data) };
    if (record !== undefined) this.#enclaveDid(record, check);
  }

  /** Epochs are counted without a gap, and a key that the enclave has renewed is the one that it says. */
  #keyPublished({ subject, digest }: AuditEntry, check: Check): void {
    const epoch = EPOCH.exec(subject)?.[1];
    if (epoch === undefined) return;
    check(Number(epoch) === this.#epoch + 1, `epoch ${epoch} of the enclave follows epoch ${this.#epoch}`);
    check(this.#rotated === undefined || equal(this.#rotated, digest), "the enclave has another key than the log says");
    const named = this.#enclaves.get(Number(epoch));
    const isNamed = named !== undefined && equal(enclaveIdentityMessage.decode(named).kem_key_hash, digest);
    check(isNamed, `the key of epoch ${epoch} is not that of the enclave that the log names`);
    this.#epoch = Number(epoch);
    this.#rotated = undefined;
  }

  #enclaveDid(record: EnclaveRecord, check: Check): void {
    const open = this.#open;
    if (record.operation === "genesis") this.#genesis = record.subject;
    if (record.operation === "adopt") this.#adopted = record.subject;
    if (record.operation === "rotate") this.#rotated = record.subject;
    if (record.round === 0) return;
    check(record.round === open?.number, `the enclave worked on round ${record.round}, which was not open`);
    if (open === undefined) return;
    const subject = toHex(record.subject);
    if (record.operation === "begin") {
      open.fed = new Set();
      check(equal(record.subject, this.#model), "the enclave began the round on another model");
    }
    if (record.operation === "update" && !equal(record.subject, NOTHING)) {
      check([...open.accepted.values()].includes(subject), "the enclave was given an update that was not accepted");
      open.fed.add(subject);
    }
    if (record.operation === "aggregate" && record.outcome === "done") {
      open.made = record.subject;
      const isAll = [...open.accepted.values()].every((digest) => open.fed.has(digest));
      check(isAll && open.fed.size === open.accepted.size, "the enclave was not given every accepted update");
    }
  }

  #modelPublished(entry: AuditEntry, check: Check): void {
    this.#models += 1;
    const number = numberOf(entry);
    const statement = attempt(() => modelStatement.decode(entry.data));
    const made = number === 0 ? this.#genesis : this.#open?.made;
    check(number === 0 || this.#open?.number === number, "a model was published for a round that was not open");
    check(made !== undefined && equal(made, entry.digest), "the enclave has not made this model");
    check(equal(statement?.model_digest ?? NOTHING, entry.digest), "the statement is about another model");
    check(statement?.round === number, "the statement is about another round");
    check(toHex(statement?.run_id ?? NOTHING) === this.#runId, "the statement is of another run");
    check(equal(statement?.base_digest ?? NOTHING, this.#model), "the model does not stand on the one before");
    const isPromised = equal(statement?.policy_hash ?? NOTHING, this.#policyHash ?? new Uint8Array(0));
    check(isPromised, "the model was made under another policy than the run's");
    this.#model = entry.digest;
    this.#statement = statement;
    this.#open = undefined;
  }
}

type Check = (holds: boolean, problem: string) => void;

function numberOf({ subject }: AuditEntry): number {
  return Number(ROUND.exec(subject)?.[1]);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof QflareError) return undefined;
    throw error;
  }
}
