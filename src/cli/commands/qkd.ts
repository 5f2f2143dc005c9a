// qflare qkd: keys from quantum key distribution (ETSI GS QKD 014), and two simulated key management entities.

import { join } from "node:path";
import type { Command } from "commander";
import { systemRandom } from "../../crypto/random.ts";
import { writeSecretFile } from "../../crypto/secret-file.ts";
import { Authority } from "../../qkd/authority.ts";
import { QkdClient } from "../../qkd/client.ts";
import { SAE_LENGTH_MAX, SAE_PATTERN } from "../../qkd/etsi014.ts";
import { readQkdLink } from "../../qkd/link-file.ts";
import { QuantumLink } from "../../qkd/quantum-link.ts";
import { SimulatedKme } from "../../qkd/simulated-kme.ts";
import { makeNamedFolder, readBytes, writeNamed } from "../files.ts";
import { createOutput, UsageError } from "../output.ts";
import { whole } from "../parse.ts";
import { interrupted, systemClock } from "../system.ts";

interface SimulateFlags {
  readonly dir: string;
  readonly host: string;
  readonly serverPort: string;
  readonly devicePort: string;
  readonly server: string;
  readonly devices: string;
  readonly keysPerSecond: string;
  readonly keyCount: string;
  readonly json?: boolean;
}

const KEYS_MAX = 1_000_000;
const AUTHORITY = "authority";
const AUTHORITY_FILE = `${AUTHORITY}.pem`;

export function addQkdCommand(program: Command): void {
  const qkd = program.command("qkd").description("keys from quantum key distribution, by ETSI GS QKD 014");
  qkd
    .command("simulate")
    .description("run two key management entities that share keys, to try QKD without its optics")
    .option("--dir <folder>", "where certificates and link files go", ".qflare-qkd")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--server-port <n>", "port of the server's side; 0 takes a free one", "8451")
    .option("--device-port <n>", "port of the devices' side; 0 takes a free one", "8452")
    .option("--server <name>", "name of the server's SAE", "server")
    .option("--devices <names>", "names of the devices' SAEs, with commas", "device-1")
    .option("--keys-per-second <n>", "keys that the link makes", "100")
    .option("--key-count <n>", "keys that it stores at most", "1000")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare qkd simulate --dir qkd --devices ward-1,ward-2")
    .action(simulate);
  qkd
    .command("status")
    .description("ask the KME of a link file how many keys it holds")
    .requiredOption("--link <file>", "link file")
    .option("--peer <name>", "SAE at the other end; by default the peer of the file")
    .option("--json", "one JSON object a line")
    .addHelpText("after", "\nExample:\n  qflare qkd status --link qkd/ward-1.json")
    .action(status);
}

async function simulate(flags: SimulateFlags): Promise<void> {
  const output = createOutput(flags);
  const [serverPort, devicePort] = [
    whole(flags.serverPort, "--server-port", 0, 65_535),
    whole(flags.devicePort, "--device-port", 0, 65_535),
  ];
  const settings = {
    keysPerSecond: whole(flags.keysPerSecond, "--keys-per-second", 0, KEYS_MAX),
    keyCountMax: whole(flags.keyCount, "--key-count", 1, KEYS_MAX),
  };
  const devices = flags.devices.split(",");
  requireSaes([flags.server, ...devices]);
  makeNamedFolder(flags.dir, "--dir", 0o700);
  const authority = await Authority.create(systemClock.nowMs());
  const sides = await openSides(new QuantumLink(settings, systemClock, systemRandom), authority, flags.host);
  try {
    const serverUrl = await sides[0].listen(flags.host, serverPort);
    const deviceUrl = await sides[1].listen(flags.host, devicePort);
    writeNamed(join(flags.dir, AUTHORITY_FILE), "--dir", authority.certificate);
    await writeLink(flags.dir, authority, { sae: flags.server, url: serverUrl });
    for (const sae of devices) await writeLink(flags.dir, authority, { sae, url: deviceUrl, peer: flags.server });
    output.emit(
      { event: "simulating", dir: flags.dir, server_url: serverUrl, device_url: deviceUrl, devices },
      `two KMEs share keys: ${serverUrl} for ${flags.server}, ${deviceUrl} for ${flags.devices}\n` +
        `  qflare server --qkd require --qkd-link ${join(flags.dir, `${flags.server}.json`)}\n` +
        `  qflare device run --qkd require --qkd-link ${join(flags.dir, `${devices[0]}.json`)} ...`,
    );
    await interrupted();
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
}

/** The server's and the devices'. */
async function openSides(link: QuantumLink, authority: Authority, host: string): Promise<[SimulatedKme, SimulatedKme]> {
  const open = async (id: string, peerId: string): Promise<SimulatedKme> => {
    const tls = { ...(await authority.certify(id, host)), authority: authority.certificate };
    return new SimulatedKme({ id, peerId, link, tls });
  };
  return [await open("kme-server", "kme-devices"), await open("kme-devices", "kme-server")];
}

/** Each names files of its own in one folder, beside the authority's; some file systems read A and a as one name. */
function requireSaes(names: readonly string[]): void {
  const taken = new Set([AUTHORITY]);
  for (const name of names) {
    const isName = SAE_PATTERN.test(name) && name.length <= SAE_LENGTH_MAX;
    if (!isName) refuse("a name of letters, digits, dots and dashes", name);
    if (taken.has(name.toLowerCase())) refuse(`names that differ, and not ${AUTHORITY}`, name);
    taken.add(name.toLowerCase());
  }
}

function refuse(expected: string, name: string): never {
  throw new UsageError(`--server and --devices: expected ${expected}, got ${JSON.stringify(name)}`);
}

interface Place {
  readonly sae: string;
  readonly url: string;
  readonly peer?: string;
}

async function writeLink(folder: string, authority: Authority, place: Place): Promise<void> {
  const { certificate, key } = await authority.certify(place.sae);
  const file = { ...place, authority: AUTHORITY_FILE, certificate: `${place.sae}.pem`, key: `${place.sae}.key` };
  writeNamed(join(folder, file.certificate), "--dir", certificate);
  writeNamed(join(folder, file.key), "--dir", key, writeSecretFile);
  writeNamed(join(folder, `${place.sae}.json`), "--dir", `${JSON.stringify(file, null, 2)}\n`);
}

async function status({ link, peer, json }: { link: string; peer?: string; json?: boolean }): Promise<void> {
  const file = readQkdLink(link, (path) => readBytes(path, "--link"));
  const slave = peer ?? file.peer;
  if (slave === undefined) throw new UsageError("--peer: the link file names no peer");
  const client = new QkdClient(file);
  try {
    const found = await client.status(slave);
    const { stored_key_count: stored, max_key_count: most, source_KME_ID: source, target_KME_ID: target } = found;
    createOutput({ json }).emit(
      { event: "qkd", ...found },
      `${source} holds ${stored} of at most ${most} keys with ${target}`,
    );
  } finally {
    client.close();
  }
}
