// qflare enclave serve and pin: an enclave on another machine than its server.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { chooseTee, TEE_CHOICES } from "../../attestation/tee-device.ts";
import { ISOLATION_LEVELS } from "../../isolation/level.ts";
import { serveEnclave } from "../../server/enclave-serve.ts";
import { examineHost, requireIsolation } from "../../server/isolation.ts";
import { loadLinkIdentity } from "../../server/link-identity.ts";
import { createLog } from "../log.ts";
import { createOutput, UsageError } from "../output.ts";
import { choice } from "../parse.ts";
import { endWithInput, interrupted } from "../system.ts";

interface ServeFlags {
  readonly listen: string;
  readonly serverPin: string;
  readonly dataDir: string;
  readonly requireIsolation: string;
  readonly tee: string;
  readonly endWithInput?: boolean;
  readonly json?: boolean;
}

const LISTEN = /^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})$/;

const EXAMPLE = `
The server's pin is what "qflare enclave pin --data-dir <folder of the server>" prints there.

Example:
  qflare enclave serve --listen 0.0.0.0:8455 --server-pin 3f0c...9a
  qflare server --enclave tls://enclave.example:8455 --enclave-pin 77b1...e0`;

export function addServeCommands(enclave: Command): void {
  enclave
    .command("serve")
    .description("run the enclave here for a server elsewhere")
    .requiredOption("--listen <host:port>", "where to wait for the server; port 0 takes a free one")
    .requiredOption("--server-pin <sha256>", "of the server's certificate, hexadecimal")
    .option("--data-dir <folder>", "where certificate and sealing key lie", ".qflare-enclave")
    .option("--require-isolation <level>", `least isolation: ${ISOLATION_LEVELS.join(", ")}`, "none")
    .option("--tee <kind>", `hardware to ask for evidence: ${TEE_CHOICES.join(", ")}`, "auto")
    .addOption(endWithInput())
    .option("--json", "one JSON object a line")
    .addHelpText("after", EXAMPLE)
    .action(async (flags: ServeFlags) => await serve(flags));
  enclave
    .command("pin")
    .description("print the pin of this side's certificate, which is made at the first start")
    .option("--data-dir <folder>", "of the server or of the enclave", ".qflare")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare enclave pin --data-dir /var/lib/qflare")
    .action(async (flags: Pick<ServeFlags, "dataDir" | "json">) => {
      process.umask(0o077);
      const { pin } = await loadLinkIdentity(flags.dataDir);
      createOutput(flags).emit({ event: "pin", pin }, pin);
    });
}

async function serve(flags: ServeFlags): Promise<void> {
  process.umask(0o077);
  const { dataDir, serverPin } = flags;
  const [, host, port] = LISTEN.exec(flags.listen) ?? [];
  if (host === undefined || Number(port) > 65_535)
    throw new UsageError(`--listen: expected host:port, got ${flags.listen}`);
  const level = choice(flags.requireIsolation, "--require-isolation", ISOLATION_LEVELS);
  const stopped = interrupted(flags.endWithInput);
  const tee = chooseTee(choice(flags.tee, "--tee", TEE_CHOICES), existsSync);
  const isolation = await examineHost(tee);
  requireIsolation(isolation.level, level, isolation.raise);
  const identity = await loadLinkIdentity(dataDir);
  const where = { host: host.replace(/^\[|\]$/g, ""), port: Number(port), keyFolder: join(dataDir, "enclave") };
  const serving = await serveEnclave({ ...where, identity, serverPin, isolation, tee, log: createLog("info") });
  const event = { event: "listening", host: where.host, port: serving.port, pin: identity.pin, pid: process.pid };
  createOutput(flags).emit(
    { ...event, isolation: isolation.level, tee },
    `the enclave waits for its server on ${flags.listen.replace(/\d+$/, String(serving.port))}, pin ${identity.pin}`,
  );
  await stopped;
  await serving.close();
}
