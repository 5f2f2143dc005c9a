// The model that a run starts from: signed by the enclave and stored once, and the same at every later start.

import { equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { blobDigest } from "../crypto/merkle.ts";
import type { AuditLog } from "./audit.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { Ledger } from "./ledger.ts";
import type { ModelVault } from "./models.ts";

interface FirstModelPorts {
  readonly ledger: Ledger;
  readonly models: ModelVault;
  readonly enclave: EnclaveLink;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly policyHash: Uint8Array<ArrayBuffer>;
}

/** Throws config.invalid where the run that is stored started from another one. */
export async function storeFirstModel(file: Uint8Array<ArrayBuffer>, ports: FirstModelPorts): Promise<void> {
  const { ledger, models, enclave, clock, audit, policyHash: digest } = ports;
  if (await hasFirstModel(ledger, file)) {
    // A lost or damaged model stops the server here and not in the middle of a round.
    await models.load((await ledger.newestModel())!);
    return;
  }
  await models.storing((store) =>
    enclave.call("genesis", { at: clock.nowMs() }, file, async ({ answer }) => {
      const row = await store(answer, 0, file);
      return async (tx) => {
        await audit.append(tx, { type: "run.opened", subject: "run", digest });
        await ledger.addModel(tx, row);
      };
    }),
  );
}

async function hasFirstModel(ledger: Ledger, file: Uint8Array): Promise<boolean> {
  const first = await ledger.modelOfRound(0);
  if (first === undefined) return false;
  wipe(first.content_key);
  if (equal(first.digest, blobDigest(file))) return true;
  throw new QflareError("config.invalid", "data-dir: it holds a run that started from another model");
}
