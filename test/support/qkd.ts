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

export class QkdSites {
  readonly link: QuantumLink;
  readonly #context: TestContext;
  readonly #authority: Authority;
  #serverUrl = "";
  #deviceUrl = "";
  #deviceKme: SimulatedKme | undefined;

  private constructor(context: TestContext, authority: Authority, keyCount: number) {
    this.#context = context;
    this.#authority = authority;
    this.link = new QuantumLink({ keysPerSecond: 0, keyCountMax: keyCount }, clock, systemRandom);
  }

  /** isFalse: the devices' KME gives other keys. */
  static async start(context: TestContext, { keyCount = 10, isFalse = false } = {}): Promise<QkdSites> {
    const sites = new QkdSites(context, await Authority.create(Date.now()), keyCount);
    const { link } = sites;
    [, sites.#serverUrl] = await sites.#kme("kme-server", "kme-devices", link);
    [sites.#deviceKme, sites.#deviceUrl] = await sites.#kme(
      "kme-devices",
      "kme-server",
      isFalse ? new FalseLink(link) : link,
    );
    return sites;
  }

  async #kme(id: string, peerId: string, link: QuantumLink): Promise<[SimulatedKme, string]> {
    const tls = { ...(await this.#authority.certify(id, HOST)), authority: this.#authority.certificate };
    const kme = new SimulatedKme({ id, peerId, link, tls });
    this.#context.after(() => kme.close());
    return [kme, await kme.listen(HOST, 0)];
  }

  async #client(sae: string, url: string, peer?: string): Promise<[QkdClient, QkdLink]> {
    const certified = await this.#authority.certify(sae);
    const link = { url, sae, peer, authority: this.#authority.certificate, ...certified, tls: "post-quantum" as const };
    const client = new QkdClient(link);
    this.#context.after(() => client.close());
    return [client, link];
  }

  async serverPsk(policy: QkdPolicy): Promise<ServerPsk> {
    const [client] = await this.#client("server", this.#serverUrl);
    return new QkdServerPsk(client, policy, QUIET);
  }

  async devicePsk(policy: QkdPolicy, tell: (reason: string) => void = () => undefined): Promise<DevicePsk> {
    const [client, link] = await this.#client("ward-1", this.#deviceUrl, "server");
    return new QkdDevicePsk(client, link, policy, tell);
  }

  async cutDevices(): Promise<void> {
    await this.#deviceKme?.close();
  }
}
