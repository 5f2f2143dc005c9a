// A Markdown page with made parts between `<!-- made: name -->` and `<!-- end -->`. A table's last column is the page's
// own: it is kept for the row whose first cell is the same, and may not be empty.

export interface Table {
  /** Above the table, in bold. */
  readonly title?: string;
  /** Of the made columns and, last, of the page's own. */
  readonly columns: readonly string[];
  /** Cells of the made columns. */
  readonly rows: readonly (readonly string[])[];
  /** Whether there is a last column of the page's own words. */
  readonly isExplained: boolean;
}

/** Name and value a line, in a fence. */
export type Example = readonly (readonly [name: string, value: string])[];

export type Block = { readonly table: Table } | { readonly example: Example };

const PART = /<!-- made: ([^>]+) -->\n([\s\S]*?)<!-- end -->/g;

/** The page with every part made anew, and what is wrong with it: parts unknown, missing, twice, or unexplained. */
export function rebuild(
  page: string,
  blocks: Readonly<Record<string, Block>>,
): { readonly page: string; readonly problems: string[] } {
  const problems: string[] = [];
  const seen = new Set<string>();
  const made = page.replaceAll(PART, (part, name: string, before: string) => {
    const block = blocks[name];
    if (block === undefined) problems.push(`no part is called "${name}"`);
    if (seen.has(name)) problems.push(`part "${name}" stands twice`);
    seen.add(name);
    if (block === undefined) return part;
    const text = "table" in block ? tableText(name, block.table, before, problems) : exampleText(block.example);
    return `<!-- made: ${name} -->\n\n${text}\n\n<!-- end -->`;
  });
  for (const name of Object.keys(blocks)) if (!seen.has(name)) problems.push(`part "${name}" is missing`);
  return { page: made, problems };
}

function tableText(name: string, table: Table, before: string, problems: string[]): string {
  const own = table.isExplained ? ownWords(before) : undefined;
  const lines = [table.columns, table.columns.map(() => "---")].map(rowText);
  for (const cells of table.rows) {
    const words = own?.get(cell(cells[0])) ?? "";
    if (own !== undefined && words === "") problems.push(`part "${name}": ${cells[0]} is not explained`);
    lines.push(rowText(own === undefined ? cells.map(cell) : [...cells.map(cell), words]));
  }
  return [...(table.title === undefined ? [] : [`**${table.title}**`, ""]), ...lines].join("\n");
}

function rowText(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** Last cell by first cell. */
function ownWords(before: string): Map<string, string> {
  const rows = before.split("\n").filter((line) => line.startsWith("| "));
  return new Map(
    rows.map((line) => {
      const cells = line.slice(2, -2).split(" | ");
      return [cells[0], cells.at(-1)!.trim()];
    }),
  );
}

function exampleText(example: Example): string {
  const width = Math.max(...example.map(([name]) => name.length)) + 2;
  return ["```text", ...example.map(([name, value]) => name.padEnd(width) + value), "```"].join("\n");
}

/** The examples of a page by their names, as text. */
export function readExamples(page: string): Map<string, Map<string, string>> {
  const examples = [...page.matchAll(PART)].filter(([, name]) => name.startsWith("example "));
  return new Map(
    examples.map(([, name, text]) => {
      const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("```"));
      return [
        name.slice("example ".length),
        new Map(lines.map((line) => /^(\S+) +(.*)$/.exec(line)!.slice(1) as never)),
      ];
    }),
  );
}
