// The one table of coded errors: code -> HTTP status and default text. Hostile input ends here; programmer errors are
// TypeError or RangeError and never reach a client.

interface Entry {
  readonly status: number;
  readonly text: string;
}

export const ERRORS = {
  "message.malformed": { status: 400, text: "Cannot read message" },
  "message.too_large": { status: 413, text: "Cannot read message: it is longer than allowed" },
  "message.length_mismatch": { status: 400, text: "Cannot read body: its length differs from the declared one" },
  "request.not_found": { status: 404, text: "Cannot find what was asked for" },
  "request.media_type": { status: 415, text: "Cannot read body: expected another content type" },
  "request.headers_too_large": { status: 431, text: "Cannot read request: its headers are longer than allowed" },
  "request.timeout": { status: 408, text: "Cannot read request: it takes too long to arrive" },
  "request.rate_limited": { status: 429, text: "Cannot serve request: too many of this kind" },
  "enroll.refused": { status: 401, text: "Cannot enrol: the token or a proof is not valid" },
  "enroll.token_used": { status: 409, text: "Cannot enrol: the token has been used" },
  "enroll.token_expired": { status: 410, text: "Cannot enrol: the token has expired" },
  "enroll.token_revoked": { status: 410, text: "Cannot enrol: the token has been revoked" },
  "enroll.name_taken": { status: 409, text: "Cannot enrol: a device with this name exists" },
  "session.refused": { status: 401, text: "Cannot authenticate" },
  "session.suite": { status: 400, text: "Cannot agree on a suite" },
  "session.psk": { status: 409, text: "Cannot agree on a key held beforehand" },
  "rekey.refused": { status: 409, text: "Cannot replace the device's keys" },
  "kem.length": { status: 400, text: "Cannot use KEM input" },
  "seal.broken": { status: 400, text: "Cannot open sealed blob: it is cut or altered, or another key's" },
  "kem.public_key": { status: 400, text: "Cannot use public key: it is not one of this KEM" },
  "round.closed": { status: 409, text: "Cannot submit update: the round is not collecting" },
  "round.wrong": { status: 409, text: "Cannot submit update: it is for another round" },
  "round.not_selected": { status: 403, text: "Cannot submit update: the device is not selected for this round" },
  "update.base_model": { status: 409, text: "Cannot submit update: it is for another base model" },
  "update.signature": { status: 401, text: "Cannot submit update: its signature is not valid" },
  "update.digest": { status: 400, text: "Cannot submit update: its bytes differ from the signed digest" },
  "update.length": { status: 400, text: "Cannot submit update: its length does not fit the model" },
  "update.examples": { status: 400, text: "Cannot submit update: the number of examples is out of range" },
  "update.encoding": { status: 400, text: "Cannot submit update: its encoding is not the planned one" },
  "update.recipient": { status: 409, text: "Cannot submit update: it is sealed for another enclave" },
  "update.duplicate": { status: 409, text: "Cannot submit update: the round holds another one of this device" },
  "update.sequence": { status: 409, text: "Cannot submit update: the device has submitted a newer one" },
  "update.unreadable": { status: 400, text: "Cannot open update: it does not decrypt" },
  "update.not_finite": { status: 400, text: "Cannot use update: it holds a value that is not finite" },
  "update.norm": { status: 400, text: "Cannot use update: its norm is out of bounds" },
  "update.cosine": { status: 400, text: "Cannot use update: it points away from the others" },
  "aggregation.precondition": { status: 409, text: "Cannot aggregate: the rule does not hold for so few updates" },
  "aggregation.input": { status: 400, text: "Cannot aggregate: the input is not valid" },
  "evidence.malformed": { status: 400, text: "Cannot read evidence" },
  "evidence.refused": { status: 409, text: "Cannot trust enclave: its evidence does not hold" },
  "collateral.unavailable": { status: 502, text: "Cannot fetch collateral" },
  "model.signature": { status: 409, text: "Cannot trust model: its signature is not valid" },
  "model.malformed": { status: 400, text: "Cannot read model" },
  "training.diverged": { status: 409, text: "Cannot train: the loss or a parameter is not finite" },
  "training.failed": { status: 502, text: "Cannot train: the training program failed" },
  "data.unfit": { status: 409, text: "Cannot train: the data set does not fit the model" },
  "data.malformed": { status: 400, text: "Cannot read data set" },
  "keystore.permissions": { status: 500, text: "Cannot use key file: others can read it" },
  "keystore.malformed": { status: 500, text: "Cannot use key file: it is damaged" },
  "server.identity": { status: 502, text: "Cannot trust server: its identity is not the pinned one" },
  "server.internal": { status: 500, text: "Cannot serve request: the server failed" },
  "server.unavailable": { status: 503, text: "Cannot serve request now" },
  "store.full": { status: 507, text: "Cannot store: no space is left" },
  "store.unavailable": { status: 503, text: "Cannot use stored data now" },
  "store.locked": { status: 503, text: "Cannot use data folder: another server runs on it" },
  "store.corrupt": { status: 500, text: "Cannot use stored data: it is damaged" },
  "store.version": { status: 500, text: "Cannot use stored data: it is of another version" },
  "enclave.unavailable": { status: 503, text: "Cannot reach enclave" },
  "isolation.insufficient": { status: 503, text: "Cannot start enclave: it would be isolated too little" },
  "enclave.state": { status: 500, text: "Cannot restore enclave: its sealed state does not open" },
  "enclave.rollback": { status: 500, text: "Cannot restore enclave: its sealed state is not the newest" },
  "audit.broken": { status: 500, text: "Cannot verify audit log" },
  "log.malformed": { status: 502, text: "Cannot read audit log" },
  "log.signature": { status: 502, text: "Cannot trust audit log: its checkpoint is not signed by the pinned key" },
  "log.witness": { status: 503, text: "Cannot trust audit log: too few witnesses have cosigned its checkpoint" },
  "log.fork": { status: 502, text: "Cannot trust audit log: it contradicts what was seen of it before" },
  "witness.unknown_log": { status: 404, text: "Cannot cosign: the log is not known" },
  "witness.signature": { status: 403, text: "Cannot cosign: the checkpoint is not signed by the log" },
  "witness.conflict": { status: 409, text: "Cannot cosign: the checkpoint before is another one" },
  "witness.inconsistent": { status: 422, text: "Cannot cosign: the log is not a continuation of what was seen" },
  "anchor.mismatch": { status: 409, text: "Cannot trust anchor: the chain holds another root" },
  "anchor.unavailable": { status: 503, text: "Cannot reach the chain" },
  "qkd.unavailable": { status: 503, text: "Cannot get quantum key: the KME does not give one" },
  "qkd.refused": { status: 409, text: "Cannot get quantum key: the KME refuses" },
  "qkd.malformed": { status: 502, text: "Cannot read what the KME says" },
  "config.invalid": { status: 400, text: "Cannot use configuration" },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof ERRORS;

export class QflareError extends Error {
  override readonly name = "QflareError";
  readonly code: ErrorCode;

  /** detail: expectation and fact, as in "expected round 7, got 6". Shown to the sender; never a secret. */
  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail === undefined ? ERRORS[code].text : `${ERRORS[code].text}: ${detail}`, options);
    this.code = code;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
