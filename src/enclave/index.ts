// Public entry "qflare/enclave".
export { Enclave } from "./enclave.ts";
export { serve } from "./host.ts";
export { Vault } from "./keys.ts";
