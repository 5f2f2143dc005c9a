// Charts as SVG text: lines, bars, a heat map. No script: they are the same in a browser and in a paper.

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Colour-blind safe, in this order (Okabe and Ito, 2008). */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6a00", "#666666"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const CELL = { width: 92, height: 30 };
const CHARACTER = 7.2;

export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

export function percent(value: number): string {
  return (100 * value).toFixed(1);
}

/** Shares over rounds, one line a series. */
export function lineChart(title: string, series: readonly Series[]): string {
  const names = series.map(({ name }) => name);
  const frame = { width: 640, height: 320, left: 44, top: 14, right: 36 + textWidth(names), bottom: 36 };
  const all = series.flatMap(({ points }) => points);
  const xMax = Math.max(1, ...all.map(({ x }) => x));
  const xMin = Math.min(xMax, ...all.map(({ x }) => x));
  const x = (value: number): number =>
    between(frame.left, frame.width - frame.right, (value - xMin) / (xMax - xMin || 1));
  const y = (value: number): number => between(frame.height - frame.bottom, frame.top, value);
  const lines = series.map(({ name, points }, i) => {
    const path = points.map((point, k) => `${k === 0 ? "M" : "L"}${fixed(x(point.x))} ${fixed(y(point.y))}`).join("");
    const dash = DASHES[Math.floor(i / COLOURS.length) % DASHES.length];
    const stroke = `stroke="${colourOf(i)}" stroke-width="1.8" stroke-dasharray="${dash}"`;
    return `<path d="${path}" fill="none" ${stroke}><title>${escaped(name)}</title></path>`;
  });
  const keys = series.map(({ name }, i) => {
    const at = frame.top + 8 + 16 * i;
    const start = frame.width - frame.right + 10;
    return (
      `<line x1="${start}" x2="${start + 14}" y1="${at}" y2="${at}" stroke="${colourOf(i)}" stroke-width="3"/>` +
      `<text x="${start + 18}" y="${at + 4}">${escaped(name)}</text>`
    );
  });
  return svg(title, { ...frame, height: Math.max(frame.height, 30 + 16 * series.length) }, [
    ...grid(frame, y),
    ...ticks(xMin, xMax).map(
      (tick) => `<text x="${fixed(x(tick))}" y="${frame.height - 18}" text-anchor="middle">${tick}</text>`,
    ),
    `<text x="${(frame.left + frame.width - frame.right) / 2}" y="${frame.height - 4}">round</text>`,
    ...lines,
    ...keys,
  ]);
}

export interface Bar {
  readonly name: string;
  readonly value: number;
  readonly note: string;
}

/** Shares from 0 to 1, a bar each, with its note behind it. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const left = 16 + textWidth(bars.map(({ name }) => name));
  const right = 24 + textWidth(bars.map(({ note }) => note));
  const frame = { width: left + 360 + right, height: 26 * bars.length + 12, left, top: 6, right, bottom: 6 };
  const drawn = bars.map(({ name, value, note }, i) => {
    const y = frame.top + 26 * i;
    const length = Math.max(1, 360 * value);
    return (
      `<text x="${left - 8}" y="${y + 16}" text-anchor="end">${escaped(name)}</text>` +
      `<rect x="${left}" y="${y + 3}" width="${fixed(length)}" height="18" rx="2" fill="${COLOURS[0]}"/>` +
      `<text x="${fixed(left + length + 6)}" y="${y + 16}">${escaped(note)}</text>`
    );
  });
  return svg(title, frame, drawn);
}

export interface HeatCell {
  readonly row: string;
  readonly column: string;
  /** 0 is the worst colour, 1 the best. */
  readonly shade: number;
  readonly text: string;
  readonly note: string;
}

export function heatMap(title: string, cells: readonly HeatCell[]): string {
  const rows = [...new Set(cells.map(({ row }) => row))];
  const columns = [...new Set(cells.map(({ column }) => column))];
  const left = 16 + textWidth(rows);
  const head = 20 + 0.75 * textWidth(columns);
  const frame = {
    ...{ width: left + CELL.width * columns.length + 60, height: head + CELL.height * rows.length + 8 },
    ...{ left, top: head, right: 60, bottom: 8 },
  };
  const names = [
    ...rows.map(
      (name, i) => `<text x="${left - 8}" y="${head + CELL.height * i + 20}" text-anchor="end">${escaped(name)}</text>`,
    ),
    ...columns.map((name, i) => {
      const [x, y] = [left + CELL.width * (i + 0.4), head - 8];
      return `<text transform="translate(${fixed(x)} ${fixed(y)}) rotate(-40)">${escaped(name)}</text>`;
    }),
  ];
  const drawn = cells.map(({ row, column, shade, text, note }) => {
    const x = left + CELL.width * columns.indexOf(column);
    const y = head + CELL.height * rows.indexOf(row);
    const place = `x="${x}" y="${y}" width="${CELL.width - 2}" height="${CELL.height - 2}"`;
    return (
      `<g><title>${escaped(note)}</title><rect ${place} fill="${shadeOf(shade)}"/>` +
      `<text class="cell" x="${x + CELL.width / 2 - 1}" y="${y + 19}" text-anchor="middle">${escaped(text)}</text></g>`
    );
  });
  return svg(title, frame, [...names, ...drawn]);
}

/** From a dark orange over white to a blue: told apart without red and green, and in grey. */
function shadeOf(value: number): string {
  const t = Math.min(1, Math.max(0, value));
  const [from, to] =
    t < 0.5
      ? [
          [217, 95, 2],
          [247, 240, 230],
        ]
      : [
          [247, 240, 230],
          [120, 180, 222],
        ];
  const share = t < 0.5 ? 2 * t : 2 * t - 1;
  return `rgb(${from.map((channel, i) => Math.round(channel + share * (to[i] - channel))).join(",")})`;
}

function colourOf(i: number): string {
  return COLOURS[i % COLOURS.length];
}

function grid(frame: Frame, y: (value: number) => number): string[] {
  const end = frame.width - frame.right;
  return [0, 20, 40, 60, 80, 100].map((value) => {
    const at = y(value / 100);
    return (
      `<line class="grid" x1="${frame.left}" x2="${end}" y1="${fixed(at)}" y2="${fixed(at)}"/>` +
      `<text x="${frame.left - 6}" y="${fixed(at + 4)}" text-anchor="end">${value}</text>`
    );
  });
}

/** About six whole numbers from low to high. */
function ticks(low: number, high: number): number[] {
  const step = Math.max(1, Math.ceil((high - low) / 6));
  const out: number[] = [];
  for (let tick = low; tick <= high; tick += step) out.push(tick);
  return out;
}

function between(from: number, to: number, share: number): number {
  return from + (to - from) * share;
}

function textWidth(texts: readonly string[]): number {
  return Math.ceil(CHARACTER * Math.max(0, ...texts.map((text) => text.length)));
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function svg(title: string, { width, height }: { width: number; height: number }, parts: readonly string[]): string {
  const size = `viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" width="${Math.ceil(width)}"`;
  return `<svg ${size} role="img" aria-label="${escaped(title)}">${parts.join("")}</svg>`;
}
