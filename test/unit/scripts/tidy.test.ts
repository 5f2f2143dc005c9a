import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDocs } from "../../../scripts/tidy/docs.ts";
import { checkFloors, checkReferences } from "../../../scripts/tidy/floors.ts";
import { checkCircles, checkDeadExports, checkDeadFiles, checkEntries } from "../../../scripts/tidy/graph.ts";
import { buildHouse, type Check } from "../../../scripts/tidy/house.ts";
import { checkLock, checkVersions } from "../../../scripts/tidy/manifest.ts";
import { FLOORS, ROLES } from "../../../scripts/tidy/rules.ts";
import { checkFileSizes, checkFunctionSizes, checkLineSizes } from "../../../scripts/tidy/size.ts";
import {
  checkBannedWords,
  checkComments,
  checkImportWork,
  checkNodeCrypto,
  checkPaths,
} from "../../../scripts/tidy/words.ts";

function findingsOf(check: Check, files: Record<string, string>): string[] {
  const house = buildHouse(new Map(Object.entries(files)));
  return check(house).map(({ path, line, text }) => `${path}:${line}: ${text}`);
}

function assertFinds(check: Check, files: Record<string, string>, ...expected: RegExp[]): void {
  const findings = findingsOf(check, files);
  assert.equal(findings.length, expected.length, findings.join("\n"));
  for (const [i, pattern] of expected.entries()) assert.match(findings[i]!, pattern);
}

const line = (text: string): string => `${text}\n`;

test("the table lets no floor reach a role but the command line, and no circle between floors", () => {
  for (const [floor, lower] of Object.entries(FLOORS)) {
    if (floor !== "cli") assert.ok(!lower.some((name) => ROLES.includes(name)), floor);
    for (const name of lower) assert.ok(!FLOORS[name]!.includes(floor), `${floor} and ${name}`);
  }
});

test("an import from a higher floor is found, also of a type", () => {
  const files = { "src/core/a.ts": line('import type { B } from "../math/b.ts";'), "src/math/b.ts": "" };
  assertFinds(checkFloors, files, /^src\/core\/a\.ts:1: core imports math/);
});

test("imports from the own and from lower floors pass", () => {
  const files = {
    "src/math/a.ts": 'import { b } from "./b.ts";\nimport { c } from "../core/c.ts";\nimport fs from "node:fs";\n',
  };
  assertFinds(checkFloors, files);
});

test("one role importing another is found", () => {
  const files = { "src/server/a.ts": line('import { b } from "../enclave/b.ts";') };
  assertFinds(checkFloors, files, /between roles only bytes travel/);
});

test("an import of a floor's entry and one from outside src are found", () => {
  const files = {
    "src/cli/a.ts": 'import { b } from "../server/index.ts";\nimport c from "../../package.json";\n',
  };
  assertFinds(checkFloors, files, /a\.ts:1: imports src\/server\/index\.ts/, /a\.ts:2: .* outside src/);
});

test("the dashboard may import types alone", () => {
  const files = {
    "src/dashboard/a.ts": 'import type { B } from "../wire/b.ts";\nimport { c } from "../wire/c.ts";\n',
  };
  assertFinds(checkFloors, files, /a\.ts:2: dashboard imports more than types of wire/);
});

const config = (...paths: string[]): string => JSON.stringify({ references: paths.map((path) => ({ path })) });

test("references that differ from the table are found", () => {
  const good = {
    "tsconfig.json": config("src/core", "src/math"),
    "src/core/tsconfig.json": config(),
    "src/math/tsconfig.json": config("../core"),
  };
  assertFinds(checkReferences, good);
  assertFinds(checkReferences, { ...good, "src/math/tsconfig.json": config() }, /expected core, got $/);
  assertFinds(checkReferences, { ...good, "src/core/tsconfig.json": config("../math") }, /expected none, got math/);
});

test("a floor that nothing compiles or nothing describes is found", () => {
  const files = { "src/core/tsconfig.json": config(), "src/attic/a.ts": "", "src/math/a.ts": "" };
  assertFinds(checkReferences, files, /src\/core is missing/, /floor attic is not in the table/, /found none/);
});

test("a circle is told once, also when it is one of types or re-exports", () => {
  const files = {
    "src/core/a.ts": line('import type { B } from "./b.ts";'),
    "src/core/b.ts": line('export { c } from "./c.ts";'),
    "src/core/c.ts": line('import { a } from "./a.ts";'),
    "src/core/d.ts": line('import { a } from "./a.ts";'),
  };
  const way = /circle: src\/core\/a\.ts -> src\/core\/b\.ts -> src\/core\/c\.ts -> src\/core\/a\.ts$/;
  assertFinds(checkCircles, files, way);
});

const manifest = JSON.stringify({ exports: { "./math": { default: "./dist/math/index.js" } } });

test("a public entry without a source is found", () => {
  assertFinds(checkEntries, { "package.json": manifest }, /no source src\/math\/index\.ts/);
  assertFinds(checkEntries, { "package.json": manifest, "src/math/index.ts": "" });
});

test("a file that only a test reaches is dead, a kernel that nobody starts too", () => {
  const files = {
    "package.json": manifest,
    "src/math/index.ts": line('export { a } from "./a.ts";'),
    "src/math/a.ts": line('import sum from "./wasm/sum.ts";'),
    "src/math/b.ts": "",
    "src/math/reference.ts": "",
    "src/core/platform.d.ts": "",
    "src/cli/main.ts": line('const run = await import("./run.ts");'),
    "src/cli/run.ts": "",
    "src/learning/train-worker.ts": "",
    "kernels/math/sum.ts": line('import { step } from "./_step";'),
    "kernels/math/_step.ts": "",
    "kernels/math/lost.ts": "",
    "test/unit/b.test.ts": line('import { b } from "../../src/math/b.ts";'),
  };
  assertFinds(checkDeadFiles, files, /^src\/math\/b\.ts:1: dead file/, /^kernels\/math\/lost\.ts:1: dead file/);
});

test("an export that no other file imports is dead, unless it is public", () => {
  const files = {
    "package.json": manifest,
    "src/math/index.ts": 'export { a } from "./a.ts";\nexport const own = 1;\n',
    "src/math/a.ts": "export const a = 1;\nexport const b = a;\nexport const c = 2;\nexport const d = 3;\n",
    "test/unit/a.test.ts": line('import { c } from "../../src/math/a.ts";'),
    "bench/a.ts": 'import * as all from "../src/math/a.ts";\nall.d;\n',
    "scripts/b.ts": "const b = 1;\n",
  };
  assertFinds(checkDeadExports, files, /^src\/math\/a\.ts:2: dead export: nobody imports b$/);
});

test("long files, lines and functions are found, data is left alone", () => {
  const long = {
    "src/core/a.ts": "a;\n".repeat(401),
    "test/unit/a.ts": "a;\n".repeat(601),
    "data/a.ts": "a;\n".repeat(999),
  };
  assertFinds(checkFileSizes, long, /^src\/core\/a\.ts:401: .* got 401$/, /^test\/unit\/a\.ts:601: .* got 601$/);
  const wide = { "src/core/a.ts": `a;\n// ${"x".repeat(118)}\n`, "test/vectors/data/a.ts": "x".repeat(999) };
  assertFinds(checkLineSizes, wide, /^src\/core\/a\.ts:2: .* got 121$/);
  const tall = `function f() {\n${"  a;\n".repeat(68)}}\nfunction g() {\n${"  a;\n".repeat(69)}}\n`;
  assertFinds(checkFunctionSizes, { "bench/a.ts": tall }, /^bench\/a\.ts:71: .* got 71$/);
});

test("work at import is found, declarations are none", () => {
  const good = `import a from "./a.ts";
@decorate
class B {
  static c = 1;
}
export type { D } from "./d.ts";
const TABLE = {
  e: 1,
} as const;
let cache: Table | undefined;
export async function f(): Promise<void> {
  await g();
}
interface H {
  i: number;
}
export const j: Shape<
  Of<typeof TABLE>
> = make();
`;
  assertFinds(checkImportWork, { "src/core/a.ts": good, "src/cli/main.ts": "run();\n", "scripts/a.ts": "run();\n" });
  const bad = "run();\nfor (const a of b) c();\nlet count = 0;\nexport let open: number;\nconst d = await e();\n";
  const expected = [/:1: work at import: run/, /:2: /, /:3: /, /:4: /, /:5: work at import: await/];
  assertFinds(checkImportWork, { "src/core/a.ts": bad }, ...expected);
});

test("banned words are found in code and ignored in comments, strings and where they are allowed", () => {
  const source =
    'console.log(1);\nMath.random();\nDate.now();\nnew Date();\nconst a = b as any;\n// console\n"Math.random";\n';
  const all = [/:1: console/, /:2: Math\.random/, /:3: Date\.now/, /:4: new Date/, /:5: as any/];
  assertFinds(checkBannedWords, { "src/core/a.ts": source }, ...all);
  assertFinds(checkBannedWords, { "src/server/a.ts": source }, all[0]!, all[1]!, all[4]!);
  assertFinds(checkBannedWords, { "src/cli/a.ts": source }, all[1]!, all[4]!);
  assertFinds(checkBannedWords, { "test/unit/a.ts": source }, all[4]!);
  assertFinds(checkBannedWords, { "src/core/a.ts": "const out = host.console;\n" });
});

test("node:crypto outside src/crypto is found, also behind a dynamic import", () => {
  const source = 'import { hash } from "node:crypto";\nprocess.getBuiltinModule("node:crypto");\n// node:crypto\n';
  assertFinds(
    checkNodeCrypto,
    { "src/wire/a.ts": source, "src/crypto/a.ts": source },
    /wire\/a\.ts:1/,
    /wire\/a\.ts:2/,
  );
});

test("marks for later, silenced compilers and unexplained exceptions are found", () => {
  const source = `// ${"TO"}${"DO"}: later
// @ts-ignore
// biome-ignore lint/a/b
// biome-ignore lint/a/b: <explanation>
// biome-ignore lint/a/b: the standard fixes this order
const text = "${"TO"}${"DO"}";
`;
  assertFinds(checkComments, { "src/core/a.ts": source }, /:1: a mark/, /:2: a silenced/, /:3: biome/, /:4: biome/);
  assertFinds(checkComments, { "kernels/math/a.ts": "// @ts-ignore: decorator\n" });
});

test("a path of one machine is found, a part of an address is not", () => {
  const paths = ["work", "root", "home"].map((folder) => `cd ${["", folder, "x"].join("/")}\n`);
  const fine = `https://example.org${["", "home", "x"].join("/")} and ..${["", "work", "x"].join("/")}\n`;
  assertFinds(checkPaths, { "docs/a.md": paths.join(""), "README.md": fine }, /a\.md:1: /, /a\.md:2: /, /a\.md:3: /);
});

test("pages that name what is not there are found", () => {
  const page = `# Some *title*, here
[a](docs/b.md#part-one) [b](docs/lost.md) [c](docs/b.md#lost) [d](#some-title-here) [e](https://example.org/x)
\`npm run build\`, \`npm run lost\`, \`npm test\`
src/core/a.ts, src/core, src/lost.ts, src/<floor>/a.ts, src/*/b.ts, src/core/wasm/c.ts
`;
  const files = {
    "README.md": page,
    "CHANGELOG.md": "src/lost.ts\n",
    "docs/b.md": "## Part one\n[up](../README.md) and [aside](c.md)\n",
    "src/core/a.ts": "",
    "package.json": JSON.stringify({ scripts: { build: "", test: "" } }),
  };
  assertFinds(
    checkDocs,
    files,
    /^README\.md:2: link to docs\/lost\.md/,
    /^README\.md:2: link to #lost, which docs\/b\.md lacks/,
    /^README\.md:3: npm run lost/,
    /^README\.md:2: names docs\/lost\.md/,
    /^README\.md:4: names src\/lost\.ts/,
    /^docs\/b\.md:2: link to docs\/c\.md/,
  );
});

test("versions that float and registry addresses in the lock are found", () => {
  const versions = JSON.stringify(
    {
      dependencies: { a: "1.2.3", b: "^1.2.3" },
      devDependencies: { c: "1.0.0-rc.1", d: "latest" },
      peerDependencies: { e: ">=1" },
    },
    null,
    1,
  );
  assertFinds(
    checkVersions,
    { "package.json": versions },
    /^package\.json:4: b: .* got \^1\.2\.3$/,
    /:8: d: .* latest$/,
  );
  const lock = '{\n"resolved": "https://registry.example.org/a.tgz"\n"resolved": "vendor/a"\n}\n';
  assertFinds(checkLock, { "package-lock.json": lock }, /^package-lock\.json:2: /);
});
