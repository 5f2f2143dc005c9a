// Public entry "qflare/enclave".
export type { Attester, Signer } from "./attesters/attester.ts";
export { openAttester } from "./attesters/open-attester.ts";
export { SimulatedAttester } from "./attesters/simulated.ts";
export { Enclave, type Surroundings } from "./enclave.ts";
export { serve } from "./host.ts";
export { Vault } from "./keys.ts";
