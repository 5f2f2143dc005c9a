// qflare enclave announce: the audit log says which program of the enclave comes next, before it does.

import type { Command } from "commander";
import { readReferenceValues, toSignedForm } from "../../attestation/reference-values.ts";
import { toHex } from "../../core/bytes.ts";
import { readReference, readReleaseKey } from "../evidence.ts";
import { systemClock } from "../system.ts";
import { type AdminFlags, addAdminCommand, withAdmin } from "../with-admin.ts";

interface Flags extends AdminFlags {
  readonly reference: string;
  readonly releaseKey: string;
}

const BEFORE = `
To be said while the version before still runs. Then stop the server, install the version that these values are of, and
start it: a server starts no other program than was announced, and devices take none but that and the run's first.`;

export function addAnnounceCommand(enclave: Command): void {
  const description = "write the next program of the enclave into the audit log of the running server";
  const example = "qflare enclave announce --reference reference-values.json --release-key HEX";
  addAdminCommand(enclave, "announce", description, example)
    .requiredOption("--reference <file>", "signed reference values of the next release")
    .requiredOption("--release-key <hex>", "whose signature they must have")
    .addHelpText("after", BEFORE)
    .action(async (flags: Flags) => await announce(flags));
}

async function announce(flags: Flags): Promise<void> {
  const key = readReleaseKey(flags.releaseKey);
  const file = readReference(flags.reference, "--reference");
  readReferenceValues(file, key, systemClock.nowMs());
  await withAdmin(flags, async (admin, output) => {
    const params = { reference: toSignedForm(file), release_key: toHex(key) };
    const announced = await admin.call<{ release: string; program: string; index: number }>("enclave.announce", params);
    const { release, program, index } = announced;
    output.emit(
      { event: "announced", ...announced },
      `entry ${index} announces program ${program} of release ${release}`,
    );
  });
}
