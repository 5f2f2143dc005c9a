// Every maximum of the system, in one room. Units stand last in the name.

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  // messages
  controlMessageBytesMax: 64 * KIB,
  workMessageBytesMax: 512 * KIB,
  frameBytesMax: 24 * MIB, // the keys of a full cohort and the report of the round before
  messageDepthMax: 16,
  nameLengthMax: 64,
  urlLengthMax: 256,
  suitesMax: 8,
  suiteNameLengthMax: 32,
  pskIdsMax: 4,
  pskIdBytesMax: 64,

  // connections: every device of a round waits for work on one, and opens another for its update
  connectionsMax: 25_000,
  connectionHandshakeMsMax: 15_000,
  connectionIdleMsMax: 75_000,
  requestHeadersMsMax: 15_000,
  requestMsMax: 5 * 60_000,

  // sessions (protocol, sections "challenge" and "records")
  clockSkewMsMax: 300_000,
  helloNonceMsMax: 600_000,
  sessionIdleMsMax: 15 * 60_000,
  /** From one full handshake to the next, through any number of resumptions. */
  sessionAgeMsMax: 24 * 3_600_000,
  /** Of one set of keys; then a resumption makes new ones. */
  sessionKeyAgeMsMax: 3_600_000,
  sessionRecordsMax: 2 ** 20,
  sessionBytesMax: 64 * 1024 * MIB,
  sessionUnconfirmedMsMax: 30_000,
  sequenceWindowBits: 1024,
  sessionsMax: 100_000,
  sessionsPerDeviceMax: 4,
  ticketsMax: 200_000,
  identityRotationsMax: 6,
  /** Identities of its server that a device still knows when they are no longer in force. */
  formerIdentitiesMax: 16,

  // keys
  matrixCacheBytesMax: 8 * MIB,

  // tokens
  tokenAgeMsMax: 365 * 24 * 3_600_000,
  tokensMax: 100_000,

  // attestation
  evidenceBytesMax: 64 * KIB,
  certificateBytesMax: 4 * KIB,
  evidenceMessageBytesMax: 100 * KIB,
  bindingBytesMax: 32 * KIB,
  collateralMessageBytesMax: 128 * KIB,
  collateralBytesMax: MIB,
  certificatesMax: 8,
  derDepthMax: 16,
  policyEntriesMax: 1024,
  attestationAttemptsMax: 5,
  attestationWaitMsMax: 2000,
  evidenceAgeMsMax: 366 * 24 * 3_600_000,

  // models and updates
  parametersMax: 100_000_000,
  modelBytesMax: 401 * MIB,
  updateBytesMax: 402 * MIB,
  chunkBytes: 256 * KIB,
  treeLeafBytes: MIB,
  /** The newest sealed model is held in memory up to this length. */
  modelHeldBytesMax: 8 * MIB,
  /** Blobs from this length on are hashed by threads. */
  threadedBlobBytes: 8 * MIB,
  hashThreadsMax: 4,
  examplesMax: 1_000_000_000,
  devicesPerRoundMax: 10_000,
  /** Each may take as much space as the model until it is refused. */
  uploadsPerDeviceMax: 8,

  // learning
  layerWidthMax: 1_000_000,
  hiddenLayersMax: 16,
  layersMax: 64,
  imageSideMax: 4096,
  windowSideMax: 64,
  activationsMax: 2 ** 25, // floats that a pass of a model keeps for one example
  classesMax: 10_000,
  modelHeaderBytesMax: 256 * KIB,
  trainerAnswerBytesMax: 64 * KIB,
  trainingMsMax: 24 * 3_600_000,
  epochsMax: 1000,
  batchSizeMax: 65_536,
  datasetBytesMax: 2 * 1024 * MIB,
  csvBytesMax: 256 * MIB,

  // epochs of the enclave: how long its key may be in use, and how long evidence about it holds beyond that, so that a
  // round which began at the end of an epoch comes to its own
  epochMsMax: 30 * 24 * 3_600_000,
  epochGraceMsMax: 2 * 24 * 3_600_000 + 300_000,

  // enclave: how long one call may take, from when the enclave can start on it. An aggregation may compare every pair
  // of updates: 1,000 of a million values are 5e11 products, some minutes on one core.
  enclaveCallMsMax: 60_000,
  enclaveAggregateMsMax: 30 * 60_000,

  // audit log
  logEntriesMax: 2 ** 40,
  logEntryBytesMax: 4096,
  logProofHashesMax: 63,
  noteBytesMax: 96 * KIB,
  noteSignaturesMax: 24,
  noteNameLengthMax: 255,
  witnessesMax: 16,
  anchorsMax: 10_000,

  // rounds
  longPollMsMax: 25_000,
  roundDeadlineMsMax: 24 * 3_600_000,
  roundsMax: 1_000_000,
} as const;
