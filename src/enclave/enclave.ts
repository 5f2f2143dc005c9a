// The enclave as a state machine: one method an operation. Each leaves an audit record with its outcome: also an update
// that is rejected and an aggregation that comes to nothing. A request that is refused with an error changes nothing
// and leaves none.

import type { Policy as Defence } from "../aggregation/policy.ts";
import { RowArena } from "../aggregation/row-arena.ts";
import { type Binding, bindingMessage, reportData } from "../attestation/binding.ts";
import { encodeEvidence } from "../attestation/evidence-message.ts";
import { equal } from "../core/bytes.ts";
import { type ErrorCode, QflareError } from "../core/error.ts";
import { Place } from "../core/place.ts";
import { sha256 } from "../crypto/hash.ts";
import { blobDigest, leafHash, treeRoot } from "../crypto/merkle.ts";
import { signature } from "../crypto/signature.ts";
import { SUITES } from "../crypto/suite.ts";
import type { IsolationLevel } from "../isolation/level.ts";
import type { EnclaveRecord } from "../wire/audit.ts";
import type { EnclaveAnswer, EnclaveRequest } from "../wire/enclave.ts";
import { CONTEXTS } from "../wire/labels.ts";
import { type ModelStatement, modelStatement } from "../wire/model.ts";
import { type Policy, policyHash, policyMessage } from "../wire/policy.ts";
import { type Report, reportMessage } from "../wire/report.ts";
import { epochKeyHash } from "../wire/update.ts";
import { aggregateRound, readDefence, streamingDefence } from "./aggregate.ts";
import type { Attester, Signer } from "./attesters/attester.ts";
import { lastReport, NO_DIGEST, requireUsable } from "./base.ts";
import type { AuditChain } from "./chain.ts";
import { type EnclaveKeys, type EnclaveProgress, forgetFormer, rotateKeys, type Vault, wipeKeys } from "./keys.ts";
import { epochOf, formerOf, resumeRun, startRun } from "./opening.ts";
import { updatedReputations } from "./reputation.ts";
import { EnclaveRound, membersOf } from "./round.ts";

/** What one run of the enclave holds. */
interface Run {
  keys: EnclaveKeys;
  /** Of the keys as they were sealed last. */
  keysDigest: Uint8Array<ArrayBuffer>;
  readonly policy: Policy;
  readonly defence: Defence;
  readonly chain: AuditChain;
  latest: EnclaveProgress["latest"];
  /** Begun and not aggregated, if not by this process. */
  openRound: EnclaveProgress["open_round"];
  round: EnclaveRound | undefined;
  /** Where the rounds' updates lie, and the model that they start from, which becomes the one that they end with. */
  readonly rows: RowArena;
  readonly model: Place;
}

/** progress and record of an answer. */
type Trace = Pick<EnclaveAnswer<"begin">, "progress" | "record">;

/** What the enclave cannot know by itself. */
export interface Surroundings {
  readonly attester: Attester;
  readonly isolation: IsolationLevel;
  /** SHA-256 of the program. */
  readonly codeDigest: Uint8Array<ArrayBuffer>;
}

export class Enclave {
  readonly #vault: Vault;
  readonly #attester: Attester;
  readonly #isolation: IsolationLevel;
  readonly #codeDigest: Uint8Array<ArrayBuffer>;
  #run: Run | undefined;

  constructor(vault: Vault, { attester, isolation, codeDigest }: Surroundings) {
    this.#vault = vault;
    this.#attester = attester;
    this.#isolation = isolation;
    this.#codeDigest = codeDigest;
  }

  async open(request: EnclaveRequest<"open">): Promise<EnclaveAnswer<"open">> {
    const policy = policyMessage.decode(request.policy);
    const defence = readDefence(policy);
    const hash = policyHash(request.policy);
    const { resume, newest } = request;
    const opened = resume === null ? await startRun(policy, hash, request) : resumeRun(this.#vault, resume, newest);
    const { keys, outcome } = opened;
    if (!equal(keys.run_id, policy.run_id) || !equal(keys.policy_hash, hash) || keys.suite !== policy.suite) {
      wipeKeys(keys);
      throw new QflareError("enclave.state", "it belongs to another run or policy");
    }
    const sealed = this.#vault.sealKeys(keys);
    const run: Run = {
      keys,
      keysDigest: sha256(sealed),
      policy,
      defence,
      chain: opened.chain,
      latest: opened.latest,
      openRound: opened.openRound,
      round: undefined,
      rows: new RowArena(),
      model: new Place(),
    };
    this.#forgetRun();
    this.#run = run;
    return {
      signature_public_key: new Uint8Array(keys.signature_public_key),
      kem_public_key: new Uint8Array(keys.kem_public_key),
      epoch: keys.epoch,
      first_round: keys.first_round,
      not_after: keys.not_after,
      former: formerOf(keys),
      latest_round: opened.latest?.round ?? null,
      isolation: this.#isolation,
      tee: this.#attester.tee,
      keys: sealed,
      ...this.#trace(run, {
        at: request.at,
        operation: "open",
        round: 0,
        subject: sha256(keys.signature_public_key),
        outcome,
      }),
    };
  }

  #forgetRun(): void {
    if (this.#run === undefined) return;
    this.#run.round?.forget();
    wipeKeys(this.#run.keys);
    this.#run = undefined;
  }

  /** The run goes on under a new key. What the open round was sent under the key before can still be opened. */
  async rotate(request: EnclaveRequest<"rotate">): Promise<EnclaveAnswer<"rotate">> {
    const run = this.#openRun();
    if (run.keys.former !== null && run.keys.former.round === run.openRound) {
      throw new QflareError("enclave.state", "the open round needs the key of the epoch before");
    }
    const keys = forgetFormer(run.keys);
    const { first_round, valid_ms, at } = request;
    const epoch = epochOf({ epoch: keys.epoch + 1, first_round, valid_ms }, at);
    run.keys = await rotateKeys(keys, epoch, run.openRound);
    const sealed = this.#sealKeys(run);
    const subject = epochKeyHash(run.keys.kem_public_key);
    return {
      kem_public_key: new Uint8Array(run.keys.kem_public_key),
      epoch: run.keys.epoch,
      not_after: run.keys.not_after,
      former: formerOf(run.keys),
      keys: sealed,
      ...this.#trace(run, { at: request.at, operation: "rotate", round: 0, subject, outcome: "done" }),
    };
  }

  #sealKeys(run: Run): Uint8Array<ArrayBuffer> {
    const sealed = this.#vault.sealKeys(run.keys);
    run.keysDigest = sha256(sealed);
    return sealed;
  }

  /** The key before goes with the round that needed it. Returns the keys to be stored where that has changed them. */
  #needOnly(run: Run, openRound: number | null): Uint8Array<ArrayBuffer> | null {
    run.openRound = openRound;
    if (run.keys.former === null || run.keys.former.round === openRound) return null;
    run.keys = forgetFormer(run.keys);
    return this.#sealKeys(run);
  }

  async attest(request: EnclaveRequest<"attest">): Promise<EnclaveAnswer<"attest">> {
    const run = this.#openRun();
    const binding = this.#bindingOf(run, treeRoot(request.nonces.map(leafHash)));
    const evidence = await this.#attester.attest(reportData(binding), this.#signerOf(run));
    const { nonce_root: subject } = binding;
    const happening = { at: request.at, operation: "attest", round: 0, subject, outcome: "done" } as const;
    return {
      evidence: encodeEvidence(evidence),
      binding: bindingMessage.encode(binding),
      ...this.#trace(run, happening),
    };
  }

  #bindingOf({ keys, chain }: Run, nonceRoot: Uint8Array<ArrayBuffer>): Binding {
    return {
      tee: this.#attester.tee,
      nonce_root: nonceRoot,
      kem_suite: SUITES[keys.suite].update,
      kem_public_key: new Uint8Array(keys.kem_public_key),
      signature_suite: "ML-DSA-44",
      signature_public_key: new Uint8Array(keys.signature_public_key),
      policy_hash: keys.policy_hash,
      run_id: keys.run_id,
      epoch: keys.epoch,
      not_before: keys.not_before,
      not_after: keys.not_after,
      code_log_entry: this.#codeDigest,
      audit_head: chain.head,
    };
  }

  #signerOf({ keys }: Run): Signer {
    const { not_before: notBeforeMs, not_after: notAfterMs } = keys;
    return {
      publicKey: keys.signature_public_key,
      secretKey: keys.signature_secret_key,
      codeDigest: this.#codeDigest,
      notBeforeMs,
      notAfterMs,
    };
  }

  genesis(request: EnclaveRequest<"genesis">, file: Uint8Array): EnclaveAnswer<"genesis"> {
    const run = this.#openRun();
    if (run.latest !== null) throw new QflareError("enclave.state", "the run has its first model already");
    requireUsable(file, run.policy.parameters);
    const signed = this.#signModel(run, { round: 0, file, baseDigest: NO_DIGEST, reportDigest: NO_DIGEST });
    return {
      ...signed.answer,
      ...this.#trace(run, { at: request.at, operation: "genesis", round: 0, subject: signed.digest, outcome: "done" }),
    };
  }

  /** The model that the enclave before has signed last, where that one is lost. */
  adopt(request: EnclaveRequest<"adopt">, file: Uint8Array): EnclaveAnswer<"adopt"> {
    const run = this.#openRun();
    if (run.latest !== null || run.keys.epoch === 1) {
      throw new QflareError("enclave.state", "only the successor of a lost enclave adopts a model");
    }
    requireUsable(file, run.policy.parameters);
    const { round, model_digest, base_digest, report_digest, run_id } = modelStatement.decode(request.statement);
    if (!equal(run_id, run.keys.run_id) || !equal(model_digest, blobDigest(file))) {
      throw new QflareError("model.signature", "its statement is about another model");
    }
    const signed = this.#signModel(run, { round, file, baseDigest: base_digest, reportDigest: report_digest });
    const happening = { at: request.at, operation: "adopt", round: 0 } as const;
    return { ...signed.answer, ...this.#trace(run, { ...happening, subject: signed.digest, outcome: "done" }) };
  }

  begin(request: EnclaveRequest<"begin">, file: Uint8Array): EnclaveAnswer<"begin"> {
    const run = this.#openRun();
    const { digest, last } = this.#checkBase(run, request, file);
    const members = membersOf(request.cohort);
    run.round?.forget();
    const kept = run.model.of(file.length);
    kept.set(file);
    const base = { digest, file: kept, reputations: last?.reputations ?? [] };
    const streaming = streamingDefence(run.defence, run.policy.parameters, last?.updates ?? []);
    run.round = new EnclaveRound(request.round, base, members, run.rows, streaming);
    const keys = this.#needOnly(run, request.round);
    const happening = { at: request.at, operation: "begin", round: request.round } as const;
    return { keys, ...this.#trace(run, { ...happening, subject: digest, outcome: "done" }) };
  }

  /** The base is the model that this enclave signed last: a server cannot start a round on another or an older one. */
  #checkBase(
    run: Run,
    request: EnclaveRequest<"begin">,
    file: Uint8Array,
  ): { digest: Uint8Array<ArrayBuffer>; last: Report | undefined } {
    const publicKey = run.keys.signature_public_key;
    if (!signature("ML-DSA-44").verify(publicKey, request.statement, request.signature, CONTEXTS.model)) {
      throw new QflareError("model.signature");
    }
    const statement = modelStatement.decode(request.statement);
    const digest = blobDigest(file);
    if (!equal(statement.model_digest, digest) || !equal(statement.run_id, run.keys.run_id)) {
      throw new QflareError("model.signature", "its statement is about another model");
    }
    if (run.latest === null || !equal(run.latest.model_digest, digest) || request.round <= run.latest.round) {
      throw new QflareError("enclave.state", "expected the model that was signed last");
    }
    return { digest, last: lastReport(request.report, statement) };
  }

  async update(request: EnclaveRequest<"update">, blob: Uint8Array): Promise<EnclaveAnswer<"update">> {
    const run = this.#openRun();
    const round = openRound(run);
    let reason: ErrorCode | null = null;
    let subject: Uint8Array<ArrayBuffer> = NO_DIGEST;
    try {
      const manifest = round.admit(request, blob, run.keys);
      subject = manifest.blob_digest;
      reason = (await round.keep(manifest, blob, run.keys)).reason ?? null;
    } catch (error) {
      if (!(error instanceof QflareError)) throw error;
      reason = error.code;
    }
    const outcome = reason ?? "kept";
    return {
      verdict: reason === null ? "kept" : "rejected",
      reason,
      ...this.#trace(run, { at: request.at, operation: "update", round: round.number, subject, outcome }),
    };
  }

  /**
   * Ends the round. Where too few updates stand there is no model; the updates are forgotten all the same. The model
   * lies where the next one will.
   */
  aggregate(request: EnclaveRequest<"aggregate">): {
    answer: EnclaveAnswer<"aggregate">;
    model: Uint8Array<ArrayBuffer>;
  } {
    const run = this.#openRun();
    const round = openRound(run);
    if (round.number !== request.round)
      throw new QflareError("round.wrong", `expected ${round.number}, got ${request.round}`);
    const happening = { at: request.at, operation: "aggregate", round: round.number } as const;
    try {
      const { result, model, digest } = this.#finish(run, round);
      const keys = this.#needOnly(run, null);
      const trace = this.#trace(run, { ...happening, subject: digest, outcome: "done" });
      return { answer: { result, failure: null, keys, ...trace }, model };
    } catch (error) {
      if (!(error instanceof QflareError)) throw error;
      const keys = this.#needOnly(run, null);
      const trace = this.#trace(run, { ...happening, subject: NO_DIGEST, outcome: error.code });
      return { answer: { result: null, failure: error.message, keys, ...trace }, model: new Uint8Array(0) };
    } finally {
      round.forget();
      run.round = undefined;
    }
  }

  #finish(
    run: Run,
    round: EnclaveRound,
  ): {
    result: NonNullable<EnclaveAnswer<"aggregate">["result"]>;
    model: Uint8Array<ArrayBuffer>;
    digest: Uint8Array<ArrayBuffer>;
  } {
    const { model, verdicts, aggregation } = aggregateRound(round, run.defence);
    const report = reportMessage.encode({
      v: 1,
      run_id: run.keys.run_id,
      round: round.number,
      base_digest: new Uint8Array(round.baseDigest),
      aggregation,
      updates: verdicts,
      reputations: updatedReputations(round.reputations, verdicts),
      missing: round.missing.map((id) => new Uint8Array(id)),
      enclave_audit_head: run.chain.head,
    });
    const fields = { round: round.number, file: model, baseDigest: round.baseDigest, reportDigest: sha256(report) };
    const { answer, digest } = this.#signModel(run, fields);
    return { result: { ...answer, report }, model, digest };
  }

  #signModel(
    run: Run,
    model: { round: number; file: Uint8Array; baseDigest: Uint8Array; reportDigest: Uint8Array },
  ): { answer: Pick<EnclaveAnswer<"genesis">, "statement" | "signature">; digest: Uint8Array<ArrayBuffer> } {
    const digest = blobDigest(model.file);
    const fields: ModelStatement = {
      v: 1,
      run_id: run.keys.run_id,
      round: model.round,
      model_digest: digest,
      model_length: model.file.length,
      base_digest: new Uint8Array(model.baseDigest),
      report_digest: new Uint8Array(model.reportDigest),
      policy_hash: run.keys.policy_hash,
      epoch: run.keys.epoch,
    };
    const statement = modelStatement.encode(fields);
    run.latest = { round: model.round, model_digest: digest };
    const signed = signature("ML-DSA-44").sign(run.keys.signature_secret_key, statement, CONTEXTS.model);
    return { answer: { statement, signature: signed }, digest };
  }

  #openRun(): Run {
    if (this.#run === undefined) throw new QflareError("enclave.unavailable", "no run is open");
    return this.#run;
  }

  #trace(run: Run, happening: Pick<EnclaveRecord, "at" | "operation" | "round" | "subject" | "outcome">): Trace {
    const record = run.chain.append(happening);
    const progress = this.#vault.sealProgress({
      v: 1,
      run_id: run.keys.run_id,
      keys_digest: run.keysDigest,
      audit_sequence: run.chain.sequence,
      audit_head: run.chain.head,
      latest: run.latest,
      open_round: run.openRound,
    });
    return { progress, record };
  }
}

function openRound(run: Run): EnclaveRound {
  if (run.round === undefined) throw new QflareError("round.closed", "the enclave has no open round");
  return run.round;
}
