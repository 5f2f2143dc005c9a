// Every maximum of the system, in one room. Units stand last in the name.

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  // messages
  controlMessageBytesMax: 64 * KIB,
  workMessageBytesMax: 256 * KIB,
  frameBytesMax: 16 * MIB,
  messageDepthMax: 16,
  nameLengthMax: 64,
  urlLengthMax: 256,
  suitesMax: 8,
  suiteNameLengthMax: 32,
  pskIdsMax: 4,
  pskIdBytesMax: 64,

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

  // keys
  matrixCacheBytesMax: 8 * MIB,

  // tokens
  tokenAgeMsMax: 365 * 24 * 3_600_000,
  tokensMax: 100_000,

  // attestation
  evidenceBytesMax: 64 * KIB,
  collateralBytesMax: MIB,
  certificatesMax: 8,
  derDepthMax: 16,
  policyEntriesMax: 1024,
  evidenceAgeMsMax: 366 * 24 * 3_600_000,

  // models and updates
  parametersMax: 100_000_000,
  modelBytesMax: 401 * MIB,
  updateBytesMax: 402 * MIB,
  chunkBytes: 256 * KIB,
  treeLeafBytes: MIB,
  /** Blobs from this length on are hashed by threads. */
  threadedBlobBytesMin: 8 * MIB,
  hashThreadsMax: 4,
  examplesMax: 1_000_000_000,
  devicesPerRoundMax: 10_000,

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

  // rounds
  longPollMsMax: 25_000,
  roundDeadlineMsMax: 24 * 3_600_000,
  roundsMax: 1_000_000,
} as const;
