// Evidence in a real browser: the same verdicts as on Node, by WebCrypto alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Evidence, Verdict } from "../../src/attestation/evidence.ts";
import { verifyEvidence } from "../../src/attestation/verify.ts";
import { browserMissing, useSourcesPage } from "../support/browser.ts";
import { flips } from "../support/tee/flips.ts";
import { expectedOf, nitroSample, quoteSample, type Sample, sevSnpSample } from "../support/tee/samples.ts";

const ENTRY = fileURLToPath(new URL("../../src/attestation/web.ts", import.meta.url));

/** One module for browsers; fails where anything of Node is reached. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    ...{ entryPoints: [ENTRY], bundle: true, write: false, logLevel: "silent" },
    ...{ format: "esm", platform: "browser" },
  });
  return outputFiles[0].text;
}

interface Job {
  readonly module: string;
  readonly samples: readonly { readonly evidence: object; readonly collateral: unknown; readonly nowMs: number }[];
}

/** Runs in the page. Bytes travel as plain numbers. */
async function verifyAll({ module, samples }: Job): Promise<Verdict[]> {
  const load = (url: string) => import(url);
  const { verifyEvidence: verify } = await load(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
  const bytes = (value: unknown): unknown =>
    Array.isArray(value) ? (Array.isArray(value[0]) ? value.map(bytes) : Uint8Array.from(value)) : value;
  const verdicts: Verdict[] = [];
  for (const { evidence, collateral, nowMs } of samples) {
    const own = Object.fromEntries(Object.entries(evidence).map(([name, value]) => [name, bytes(value)]));
    verdicts.push(await verify(own, { now: new Date(nowMs), collateral, subtle: crypto.subtle }));
  }
  return verdicts;
}

function plain(evidence: Evidence): object {
  const numbers = (value: unknown): unknown =>
    value instanceof Uint8Array ? Array.from(value) : Array.isArray(value) ? value.map(numbers) : value;
  return Object.fromEntries(Object.entries(evidence).map(([name, value]) => [name, numbers(value)]));
}

const [nitro, { timestamp }] = expectedOf("nitro")[0];
const whole = [
  ...[sevSnpSample("milan-v3-azure-a"), sevSnpSample("milan-debug-v2"), nitroSample(nitro, timestamp as string)],
  ...[quoteSample("tdx/v4-with-collateral"), quoteSample("sgx/v3-with-collateral")],
];
const altered = whole.flatMap((sample): Sample[] => [...flips(sample, 997)].map((flip) => flip.altered));

describe("web evidence verification", () => {
  it("reaches nothing of Node", async () => {
    assert.doesNotMatch(await bundle(), /node:/);
  });
});

const missing = await browserMissing();

describe("evidence in a browser", missing === undefined ? {} : { skip: missing }, () => {
  const page = useSourcesPage();

  it("gives the verdicts of Node, on genuine samples and on altered ones", async () => {
    const samples = [...whole, ...altered];
    const verdicts = await page.evaluate(verifyAll, {
      module: await bundle(),
      samples: samples.map(({ evidence, collateral, now }) => ({
        ...{ evidence: plain(evidence), collateral },
        nowMs: now.getTime(),
      })),
    });
    assert.equal(verdicts.filter(({ ok }) => ok).length, 3);
    for (const [i, { name, evidence, collateral, now }] of samples.entries()) {
      assert.deepEqual(verdicts[i], verifyEvidence(evidence, { now, collateral }), `${i}, ${name}`);
    }
  });
});
