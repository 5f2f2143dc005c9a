// The report of a simulation: one HTML file that needs nothing beside itself.

import { barChart, escaped, heatMap, lineChart, percent } from "./chart.ts";
import type { Grid, RunResult } from "./grid.ts";
import type { Cell, Summary } from "./summary.ts";

export interface ReportFacts {
  readonly title: string;
  readonly grid: Grid;
  /** What a reader runs to get the same. */
  readonly command: string;
  readonly version: string;
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1a1f24;--paper:#fff;--soft:#5b6670;--line:#d7dce0}
@media(prefers-color-scheme:dark){
:root{--ink:#e6eaee;--paper:#14181c;--soft:#9aa6b0;--line:#39424a}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
body{max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}
p.note,figcaption{color:var(--soft);font-size:.9rem}
figure{margin:1rem 0;overflow-x:auto}svg{max-width:none;height:auto;font:11px system-ui,sans-serif}
svg text{fill:var(--ink)}svg text.cell{fill:#1a1f24}svg .grid{stroke:var(--line)}
table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}code{font-size:.85rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0}`;

export function reportOf(facts: ReportFacts, results: readonly RunResult[], summary: Summary): string {
  const parts = [
    `<h1>${escaped(facts.title)}</h1>`,
    `<p class="note">Made by <code>${escaped(facts.command)}</code>, qflare ${escaped(facts.version)}.</p>`,
    settingOf(facts.grid),
    section(
      "Accuracy, rule against attack",
      heatOf(summary.cells),
      "Per cent of the test examples, mean of the last three evaluations over all seeds.",
    ),
    section(
      "The worst case of each rule",
      worstOf(summary),
      "The lowest accuracy over all attacks but the backdoors, and the attack that reached it.",
    ),
    backdoorsOf(summary.cells),
    section(
      "Updates left out",
      exclusionsOf(summary.cells),
      "Shares of what liars and honest devices sent that a filter rejected or the rule did not choose.",
    ),
    ...curvesOf(facts.grid, results),
  ];
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${escaped(facts.title)}</title><style>${STYLE}</style></head><body>${parts.join("\n")}</body></html>\n`
  );
}

function section(title: string, figure: string, caption: string): string {
  return `<h2>${escaped(title)}</h2><figure>${figure}<figcaption>${escaped(caption)}</figcaption></figure>`;
}

function settingOf({ setting, seeds }: Grid): string {
  const { devices, sample, rounds, partition, byzantine, model, training } = setting;
  const facts: [string, string][] = [
    ["devices", `${devices}, ${percent(sample)} % of them in each of ${rounds} rounds, ${percent(byzantine)} % lying`],
    ["data", partition],
    ["model", JSON.stringify(model)],
    ["local training", JSON.stringify(training)],
    ["seeds", seeds.join(", ")],
  ];
  const list = facts.map(([name, words]) => `<dt>${escaped(name)}</dt><dd>${escaped(words)}</dd>`);
  return `<dl>${list.join("")}</dl>`;
}

function heatOf(cells: readonly Cell[]): string {
  const best = Math.max(...cells.map(({ accuracy }) => accuracy.mean));
  return heatMap(
    "accuracy of every rule against every attack",
    cells.map(({ rule, attack, accuracy, failedRounds }) => ({
      row: rule,
      column: attack,
      // The last 20 points below the best are what tells rules apart.
      shade: 1 - (best - accuracy.mean) / 0.2,
      text: spreadText(accuracy),
      note: `${rule} against ${attack}: ${spreadText(accuracy)} %, ${failedRounds} rounds without a model`,
    })),
  );
}

function spreadText({ mean, deviation }: { mean: number; deviation: number }): string {
  return deviation === 0 ? percent(mean) : `${percent(mean)} ± ${percent(deviation)}`;
}

function worstOf({ rules }: Summary): string {
  const sorted = rules.toSorted((a, b) => b.worst.accuracy - a.worst.accuracy);
  return barChart(
    "worst accuracy of each rule",
    sorted.map(({ rule, worst }) => ({
      name: rule,
      value: worst.accuracy,
      note: `${percent(worst.accuracy)} % (${worst.attack})`,
    })),
  );
}

function backdoorsOf(cells: readonly Cell[]): string {
  const attacked = cells.filter((cell) => cell.backdoor !== null);
  if (attacked.length === 0) return "";
  const figure = heatMap(
    "success of backdoors",
    attacked.map(({ rule, attack, backdoor }) => ({
      row: rule,
      column: attack,
      shade: 1 - backdoor!.mean,
      text: spreadText(backdoor!),
      note: `${rule} against ${attack}: ${spreadText(backdoor!)} %`,
    })),
  );
  return section(
    "Backdoor success",
    figure,
    "Per cent of patched test examples that are taken for the attacker's class.",
  );
}

function exclusionsOf(cells: readonly Cell[]): string {
  const lines = cells.map(({ rule, attack, excludedLiars, excludedHonest, failedRounds }) => {
    const columns = [
      ...[rule, attack, excludedLiars === null ? "" : percent(excludedLiars)],
      ...[percent(excludedHonest), String(failedRounds)],
    ];
    return `<tr>${columns.map((text) => `<td>${escaped(text)}</td>`).join("")}</tr>`;
  });
  const names = ["rule", "attack", "liars left out, %", "honest left out, %", "rounds without a model"];
  return `<table><tr>${names.map((name) => `<th>${name}</th>`).join("")}</tr>${lines.join("")}</table>`;
}

/** One chart an attack: a line for each rule, the mean over seeds. */
function curvesOf({ attacks }: Grid, results: readonly RunResult[]): string[] {
  return attacks.map(({ text }) => {
    const mine = results.filter((result) => result.attack === text);
    const rules = [...new Set(mine.map(({ rule }) => rule))];
    const series = rules.map((name) => ({ name, points: meanCurve(mine.filter(({ rule }) => rule === name)) }));
    const title = `Accuracy over rounds: ${text}`;
    return section(title, lineChart(title, series), "Per cent of the test examples, mean over all seeds.");
  });
}

function meanCurve(results: readonly RunResult[]): { x: number; y: number }[] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { round, accuracy } of results.flatMap(({ records }) => records)) {
    if (accuracy === null) continue;
    const { sum, count } = sums.get(round) ?? { sum: 0, count: 0 };
    sums.set(round, { sum: sum + accuracy, count: count + 1 });
  }
  return [...sums].map(([x, { sum, count }]) => ({ x, y: sum / count })).sort((a, b) => a.x - b.x);
}
