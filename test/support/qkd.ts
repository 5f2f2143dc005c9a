// Two sites with a KME each, a server at the one and devices at the other.

import type { TestContext } from "node:test";
import type { DevicePsk, Log, ServerPsk } from "../../src/core/ports.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Authority } from "../../src/qkd/authority.ts";
import { QkdClient } from "../../src/qkd/client.ts";
import type { QkdLink } from "../../src/qkd/link-file.ts";
import { QkdDevicePsk, type QkdPolicy, QkdServerPsk } from "../../src/qkd/psk.ts";
import { QuantumLink } from "../../src/qkd/quantum-link.ts";
import { SimulatedKme } from "../../src/qkd/simulated-kme.ts";

const HOST = "127.0.0.1";
const QUIET: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const clock = { nowMs: () => Date.now() };

/** The device's end of a link that somebody has put other keys into, under the same names. */
class FalseLink extends QuantumLink {
  readonly #honest: QuantumLink;

  constructor(honest: QuantumLink) {
    super(honest.settings, clock, systemRandom);
    this.#honest = honest;
  }

  override fetch(...place: Parameters<QuantumLink["fetch"]>): Uint8Array[] | undefined {
    return this.#honest.fetch(...place)?.map((key) => key.map((byte) => byte ^ 1));
  }
}

/** A KME at its place, which it leaves and comes back to. */
class Site {
  readonly #kme: SimulatedKme;
  readonly url: string;

  private constructor(kme: SimulatedKme, url: string) {
    this.#kme = kme;
    this.url = url;
  }

  static async open(kme: SimulatedKme): Promise<Site> {
    return new Site(kme, await kme.listen(HOST, 0));
  }

  async leave(): Promise<void> {
    await this.#kme.close();
  }

  async comeBack(): Promise<void> {
    await this.#kme.listen(HOST, Number(new URL(this.url).port));
  }
}

export class QkdSites {
  readonly link: QuantumLink;
  readonly #context: TestContext;
  readonly #authority: Authority;
  #server: Site | undefined;
  #devices: Site | undefined;

  private constructor(context: TestContext, authority: Authority, keyCount: number) {
    this.#context = context;
    this.#authority = authority;
    this.link = new QuantumLink({ keysPerSecond: 0, keyCountMax: keyCount }, clock, systemRandom);
  }

  /** isFalse: the devices' KME gives other keys. */
  static async start(context: TestContext, { keyCount = 10, isFalse = false } = {}): Promise<QkdSites> {
    const sites = new QkdSites(context, await Authority.create(Date.now()), keyCount);
    const { link } = sites;
    sites.#server = await sites.#site("kme-server", "kme-devices", link);
    sites.#devices = await sites.#site("kme-devices", "kme-server", isFalse ? new FalseLink(link) : link);
    return sites;
  }

  async #site(id: string, peerId: string, link: QuantumLink): Promise<Site> {
    const tls = { ...(await this.#authority.certify(id, HOST)), authority: this.#authority.certificate };
    const site = await Site.open(new SimulatedKme({ id, peerId, link, tls }));
    this.#context.after(() => site.leave());
    return site;
  }

  /** Of the server. */
  get server(): Site {
    return this.#server!;
  }

  get devices(): Site {
    return this.#devices!;
  }

  async #client(sae: string, url: string, peer?: string): Promise<[QkdClient, QkdLink]> {
    const certified = await this.#authority.certify(sae);
    const link = { url, sae, peer, authority: this.#authority.certificate, ...certified, tls: "post-quantum" as const };
    const client = new QkdClient(link);
    this.#context.after(() => client.close());
    return [client, link];
  }

  async serverPsk(policy: QkdPolicy): Promise<ServerPsk> {
    const [client] = await this.#client("server", this.server.url);
    return new QkdServerPsk(client, policy, QUIET);
  }

  /** peer: the SAE that the device takes its server for. */
  async devicePsk(
    policy: QkdPolicy,
    tell: (reason: string) => void = () => undefined,
    peer = "server",
  ): Promise<DevicePsk> {
    const [client, link] = await this.#client("ward-1", this.devices.url, peer);
    return new QkdDevicePsk(client, link, policy, tell);
  }
}
