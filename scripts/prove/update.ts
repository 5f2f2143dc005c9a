// Model of the sealed update. The attacker is the gateway itself: it holds every session key, so all that a device
// submits is in its hands, it chooses each cohort, and it feeds the enclave whatever it likes.
//
//   enclave E, policy Pol   epoch key pair of the hybrid KEM, made inside; evidence signed by the maker's root
//   device I, session S     seals delta(I,R) for round R and signs a manifest

import {
  aead,
  att,
  broken,
  expand,
  extract,
  hash,
  kemCiphertext,
  kemKey,
  kemSecret,
  sign,
  verifyKey,
} from "./attacker.ts";
import { labelTerm, messageTerm, partsOf, type Tables } from "./tables.ts";
import { type Clause, clause, clauses, type Term, term, variables } from "./term.ts";

export interface UpdateModel {
  readonly broken?: readonly ("classical" | "frodo")[];
  /** hardware: signed by a root that the attacker does not have. simulated: signed by the key that it names itself. */
  readonly evidence?: "hardware" | "simulated";
  /** A check that is left out: of the device, the measurement of the program; of the enclave, the others. */
  readonly unchecked?: "measurement" | "manifest" | "cohort";
}

const { I, R, K, P, N, E, Pol, Base, Root, D } = variables("I", "R", "K", "P", "N", "E", "Pol", "Base", "Root", "D");
const { C1, C2, H, Salt, Len, Ex, Seq, J } = variables("C1", "C2", "H", "Salt", "Len", "Ex", "Seq", "J");
const ONE = term("c_one");
const RUN = term("c_run");
const F32 = term("c_f32");
const ENCLAVE = term("c_enclave_program");

/** The epoch key's two secret halves, of enclave e under a policy. */
export const epochSecrets = (e: Term, policy: Term): { classical: Term; frodo: Term } => ({
  classical: term("epoch_classical", e, policy),
  frodo: term("epoch_frodo", e, policy),
});
export const delta = (i: Term, round: Term): Term => term("delta", i, round);
/** The enclave counts plaintext m for the device id, in this round. */
export const counted = (id: Term, round: Term, m: Term): Term => term("counted", id, round, m);
export const signerOf = (i: Term): Term => term("ds", i);

const kemKeyHashOf = (i: Term): Term => hash(kemKey("static", term("dk", i)));
const publicHalves = (classical: Term, frodo: Term): Term =>
  term("m_epoch_key", kemKey("classical", classical), kemKey("frodo", frodo));

export function deviceIdOf(tables: Tables, kemKeyHash: Term, signer: Term): Term {
  return hash(...partsOf(tables.deviceId, { kemKeyHash, signatureKeyHash: hash(verifyKey(signer)) }));
}

export function honestId(tables: Tables, i: Term): Term {
  return deviceIdOf(tables, kemKeyHashOf(i), signerOf(i));
}

interface Place {
  readonly id: Term;
  readonly round: Term;
  readonly base: Term;
  readonly policy: Term;
  readonly keyHash: Term;
}

const placeValues = ({ id, round, base, policy, keyHash }: Place): Record<string, Term> => ({
  ...{ run_id: RUN, round, device_id: id, base_digest: base },
  ...{ policy_hash: hash(policy), enclave_key_hash: keyHash },
});

/** The hybrid KEM's combiner and the chunked seal: src/crypto/hybrid.ts, src/crypto/chunked-seal.ts. */
function blobOf(tables: Tables, place: Place, halves: Halves, salt: Term, plaintext: Term): Term {
  const [one, two] = [kemKey("classical", halves.classical), kemKey("frodo", halves.frodo)];
  const [ct1, ct2] = [kemCiphertext("classical", one, halves.coins1), kemCiphertext("frodo", two, halves.coins2)];
  const secrets = hash(kemSecret("classical", one, halves.coins1), kemSecret("frodo", two, halves.coins2));
  const shared = expand(extract(term("c_empty"), secrets), [term("c_hybrid"), ct1, ct2, one, two]);
  const key = expand(extract(salt, shared), [term("c_seal"), ...partsOf(tables.updateContext, placeValues(place))]);
  return term("m_blob", ct1, ct2, salt, aead(key, [], plaintext));
}

interface Halves {
  readonly classical: Term;
  readonly frodo: Term;
  readonly coins1: Term;
  readonly coins2: Term;
}

function manifestOf(
  tables: Tables,
  place: Place,
  blobDigest: Term,
  rest: { length: Term; examples: Term; sequence: Term },
): Term {
  return messageTerm(tables, "manifest", {
    ...{ v: ONE, ...placeValues(place), blob_digest: blobDigest, encoding: F32 },
    ...{ blob_length: rest.length, examples: rest.examples, sequence: rest.sequence },
  });
}

/** What evidence says: who runs which program, and to which key and policy an update may be sealed. */
function evidenceOf(signer: Term, program: Term, nonce: Term, key: Term, policy: Term): Term {
  return sign(signer, term("c_evidence"), term("m_report", program, nonce, key, hash(policy), RUN));
}

function deviceClauses(tables: Tables, { evidence, unchecked }: UpdateModel): Clause[] {
  const nonce = term("nonce", I, R);
  const key = publicHalves(C1, C2);
  // Simulated evidence is signed by a key that stands in it: the device takes any.
  const root = evidence === "simulated" ? Root : term("root");
  const program = unchecked === "measurement" ? D : ENCLAVE;
  const offered = [att(evidenceOf(root, program, nonce, key, Pol)), att(key), att(Pol), att(Base), att(R)];
  const place = { id: honestId(tables, I), round: R, base: Base, policy: Pol, keyHash: hash(key) };
  const coins = { coins1: term("coins1", I, R, key), coins2: term("coins2", I, R, key) };
  const blob = blobOf(tables, place, { classical: C1, frodo: C2, ...coins }, term("salt", I, R, key), delta(I, R));
  const rest = { length: term("c_length"), examples: term("c_examples"), sequence: term("c_sequence") };
  const manifest = manifestOf(tables, place, hash(blob), rest);
  const signature = sign(signerOf(I), labelTerm(tables.contexts.update), manifest);
  return [clause(att(nonce), att(R)), ...clauses([att(blob), att(manifest), att(signature)], ...offered)];
}

/** The enclave's program tells nobody its keys, and opens for whoever feeds it. */
function enclaveClauses(tables: Tables, { unchecked }: UpdateModel): Clause[] {
  const { classical, frodo } = epochSecrets(E, Pol);
  const key = publicHalves(classical, frodo);
  const id = unchecked === "cohort" ? J : deviceIdOf(tables, H, K);
  const place = { id, round: R, base: Base, policy: Pol, keyHash: hash(key) };
  const halves = { classical, frodo, coins1: C1, coins2: C2 };
  const blob = blobOf(tables, place, halves, Salt, D);
  const manifest = manifestOf(tables, place, hash(blob), { length: Len, examples: Ex, sequence: Seq });
  const signature = sign(K, labelTerm(tables.contexts.update), manifest);
  const shown = unchecked === "manifest" ? [] : [att(signature)];
  return [
    clause(att(key), att(E), att(Pol)),
    clause(att(evidenceOf(term("root"), ENCLAVE, N, key, Pol)), att(N), att(E), att(Pol)),
    // The maker's hardware speaks for other programs too, and says which.
    clause(att(evidenceOf(term("root"), term("c_other_program"), N, P, Pol)), att(N), att(P), att(Pol)),
    clause(counted(id, R, D), att(blob), att(manifest), ...shown, att(H), att(verifyKey(K)), att(id), att(E), att(Pol)),
  ];
}

export function updateClauses(tables: Tables, model: UpdateModel = {}): Clause[] {
  return [
    ...clauses([att(kemKeyHashOf(I)), att(verifyKey(signerOf(I)))]),
    ...deviceClauses(tables, model),
    ...enclaveClauses(tables, model),
    ...(model.broken ?? []).map(broken),
  ];
}
