// The model that a run starts from: signed by the enclave and stored once, and the same at every later start.

import { equal, wipe } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import type { Clock } from "../core/ports.ts";
import { blobDigest } from "../crypto/merkle.ts";
import type { AuditLog } from "./audit.ts";
import type { EnclaveLink } from "./enclave-link.ts";
import type { Ledger, ModelRow } from "./ledger.ts";
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
  const newest = await ledger.newestModel();
  if (newest !== undefined) {
    await requireFirstModel(ledger, file);
    // Read once, so that a lost or damaged model stops the server here and not in the middle of a round.
    await models.readOnce(newest);
    return;
  }
  let row: ModelRow | undefined;
  await enclave.call("genesis", { at: clock.nowMs() }, file, async ({ answer }) => {
    const made = await models.store(answer, 0, file);
    row = made;
    return async (tx) => {
      await audit.append(tx, { type: "run.opened", subject: "run", digest });
      await ledger.addModel(tx, made);
    };
  });
  wipeContentKey(row);
}

async function requireFirstModel(ledger: Ledger, file: Uint8Array): Promise<void> {
  const first = await ledger.modelOfRound(0);
  wipeContentKey(first);
  if (first === undefined || !equal(first.digest, blobDigest(file))) {
    throw new QflareError("config.invalid", "data-dir: it holds a run that started from another model");
  }
}

function wipeContentKey(row: ModelRow | undefined): void {
  if (row !== undefined) wipe(row.content_key);
}
