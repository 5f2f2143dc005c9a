import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { browserMissing, startBrowser } from "../support/browser.ts";
import { Cli, eachOf, runCli } from "../support/cli.ts";
import { folderOf } from "../support/folder.ts";

const SMALL = [
  ...["simulate", "--devices", "20", "--sample", "0.5", "--rounds", "6", "--examples", "40", "--model", "softmax"],
  ...["--attack", "none,sign-flip:10,backdoor:5", "--compare", "mean,median", "--byzantine", "0.2", "--seeds", "2"],
  ...["--threads", "2", "--json"],
];

/** What this file uses of the page's own globals. */
interface Element {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  getBoundingClientRect(): { left: number; right: number; top: number; bottom: number; width: number };
  querySelectorAll(selector: string): Iterable<Element>;
}
declare const document: {
  readonly scripts: { readonly length: number };
  querySelectorAll(selector: string): Iterable<Element> & { readonly length: number };
};

interface Finished {
  readonly event: string;
  readonly cells: readonly { rule: string; attack: string; accuracy: { mean: number } }[];
}

function lastLine(stdout: string): Finished {
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Finished;
}

test("a simulation that was killed goes on and ends as if it had not been", async (context) => {
  const [whole, killed] = [join(folderOf(context), "whole"), join(folderOf(context), "killed")];
  const straight = await runCli([...SMALL, "--out", whole]);
  assert.equal(straight.code, 0, straight.stderr);
  const first = new Cli([...SMALL, "--out", killed]);
  await first.line((line) => line.event === "round" && line.attack !== "none", "a round of the second attack");
  await first.kill();
  const second = await runCli([...SMALL, "--out", killed]);
  assert.equal(second.code, 0, second.stderr);
  const { cells } = lastLine(straight.stdout);
  assert.deepEqual(lastLine(second.stdout).cells, cells);
  assert.equal(readFileSync(join(killed, "rounds.csv"), "utf8"), readFileSync(join(whole, "rounds.csv"), "utf8"));
  const accuracy = (rule: string, attack: string) =>
    cells.find((cell) => cell.rule === rule && cell.attack === attack)!.accuracy.mean;
  assert.ok(accuracy("mean", "sign-flip:10") < accuracy("median", "sign-flip:10"));
});

test("bad input is one line and exit code 2", async (context) => {
  const out = join(folderOf(context), "out");
  const wrong = [
    ["--attack", "unknown"],
    ["--rule", "unknown"],
    ["--byzantine", "0.5"],
    ["--sample", "0"],
    ["--devices", "0"],
    ["--partition", "dirichlet:x"],
    ["--model", "mlp:"],
    ["--learning-rate", "-1"],
    ["--data", "/nowhere"],
    ["--devices", "10", "--sample", "0.5", "--rule", "krum:f=5"],
    ["--rule", "fltrust:root=round", "--root-examples", "0"],
    ["--compare", "mean,bucketing:s=2/krum:f=4"],
  ];
  await eachOf(wrong, 3, async (flags) => {
    const { code, stderr } = await runCli(["simulate", "--rounds", "1", "--out", out, ...flags]);
    assert.equal(code, 2, flags.join(" "));
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  });
});

test("a rule that never gives a model is named, in the table and at the end, with exit code 1", async (context) => {
  const out = join(folderOf(context), "out");
  const small = ["--devices", "10", "--sample", "1", "--rounds", "2", "--examples", "20", "--model", "softmax"];
  const lying = ["--attack", "none,nan", "--byzantine", "0.4", "--compare", "mean,krum:f=3", "--out", out];
  const { code, stdout, stderr } = await runCli(["simulate", ...small, ...lying]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^qflare: no round gave a model: krum:f=3 against nan\n$/);
  assert.match(stdout, /honest left out % +rounds without a model\n/);
  assert.match(stdout, /krum:f=3 +nan .* 2\n/);
});

const missing = await browserMissing();

test("the report shows in a browser, whole, without a script and without the network", {
  skip: missing ?? false,
}, async (context) => {
  const out = join(folderOf(context), "out");
  const { code, stderr } = await runCli([...SMALL, "--out", out]);
  assert.equal(code, 0, stderr);
  const browser = await startBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(out, "report.html")).href);
    const seen = await page.evaluate((_: null) => {
      const drawn = [...document.querySelectorAll("svg")].map((svg) => ({
        name: svg.getAttribute("aria-label"),
        width: svg.getBoundingClientRect().width,
        outside: [...svg.querySelectorAll("text")]
          .filter((text) => {
            const [a, b] = [text.getBoundingClientRect(), svg.getBoundingClientRect()];
            return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
          })
          .map((text) => text.textContent),
      }));
      const loaded = performance.getEntriesByType("resource").length;
      return { drawn, loaded, scripts: document.scripts.length, rows: document.querySelectorAll("tr").length };
    }, null);
    assert.equal(seen.scripts, 0);
    assert.equal(seen.loaded, 0);
    assert.equal(seen.rows, 1 + 2 * 3);
    assert.equal(seen.drawn.length, 3 + 3);
    for (const { name, width, outside } of seen.drawn) {
      assert.ok(width > 200, `${name}: ${width} wide`);
      assert.deepEqual(outside, [], `${name}: text runs out of the picture`);
    }
  } finally {
    await browser.close();
  }
});
