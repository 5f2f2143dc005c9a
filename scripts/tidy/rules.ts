// The tables of the house: floors, entries, exceptions with their reasons, sizes.

/** What each floor may import beside itself. src/<floor>/tsconfig.json says the same to the compiler. */
export const FLOORS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  crypto: ["core"],
  math: ["core"],
  isolation: [],
  wire: ["core", "crypto"],
  attestation: ["core", "crypto", "isolation"],
  qkd: ["core", "crypto"],
  learning: ["core", "math"],
  aggregation: ["core", "math"],
  device: ["core", "crypto", "wire", "learning", "attestation"],
  server: ["core", "crypto", "isolation", "wire", "attestation"],
  enclave: ["core", "crypto", "isolation", "wire", "aggregation", "attestation"],
  witness: ["core", "crypto", "wire"],
  anchor: ["core", "crypto", "wire"],
  simulate: ["core", "crypto", "math", "wire", "attestation", "learning", "aggregation"],
  cli: [
    ...["core", "crypto", "math", "isolation", "wire", "attestation", "qkd", "learning", "aggregation"],
    ...["device", "server", "enclave", "witness", "anchor", "simulate"],
  ],
  dashboard: ["wire"],
};

/** Between roles travel bytes, never imports. */
export const ROLES: readonly string[] = ["device", "server", "enclave", "witness"];

/** The page shares the shapes of messages with the server, not its code. */
export const TYPES_ONLY: readonly string[] = ["dashboard"];

/** Programs: they run when imported and nobody imports them. */
export const PROGRAMS: readonly RegExp[] = [
  /^src\/(?:cli|enclave)\/main\.ts$/,
  /^src\/dashboard\/main\.tsx?$/,
  /^src\/.*-worker\.ts$/,
];

/** Alive although no program reaches them: the slow twins that tests hold the kernels against. */
export const TWINS = /^src\/[^/]+\/reference\.ts$/;

/** Here the clock is an argument. */
export const CLOCKLESS: readonly string[] = [
  "core",
  "crypto",
  "math",
  "wire",
  "attestation",
  "learning",
  "aggregation",
];

export const SIZES = { lineColumnsMax: 120, functionLinesMax: 70, fileLinesMax: 400, testFileLinesMax: 600 } as const;
