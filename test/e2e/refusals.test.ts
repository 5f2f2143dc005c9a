// Whatever a user gets wrong: one clear line on standard error, no trace, the right exit code, and nothing half
// written.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { before, describe, test } from "node:test";
import { UsageError } from "../../src/cli/output.ts";
import { readSettings, SETTING_NAMES } from "../../src/cli/settings.ts";
import { DEFAULT_PLAN } from "../../src/learning/defaults.ts";
import { eachOf, PROGRAM, runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/folder.ts";
import { assertRefused, type Refusal } from "../support/refused-call.ts";
import { TestRun, tableOf } from "../support/run.ts";

const BAD_NUMBERS = ["", "x", "-1", "0x10", "1 ", "1e400", "99999999999999999999"];
const TEXTS: readonly string[] = [
  "host",
  "public_url",
  "tls_cert",
  "tls_key",
  "rule",
  "model",
  "witness_policy",
  "qkd_link",
  "evidence_policy",
  "evidence_collateral",
  "enclave",
  "enclave_pin",
];

function camel(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function listing(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).sort();
}

describe("settings", () => {
  test("every one refuses a malformed value, wherever it stands, and names the place", () => {
    const folder = temporaryFolder();
    const config = join(folder, "qflare.toml");
    for (const name of SETTING_NAMES) {
      for (const value of TEXTS.includes(name) ? [""] : BAD_NUMBERS) {
        writeFileSync(config, `${name} = ${JSON.stringify(value)}\n`);
        const refused = (place: string) => (error: unknown) =>
          error instanceof UsageError &&
          error.message.startsWith(`${place}: expected `) &&
          !error.message.includes("\n");
        const flag = `--${name.replaceAll("_", "-")}`;
        const none = { config: join(folder, "empty.toml") };
        writeFileSync(none.config, "");
        assert.throws(() => readSettings({ ...none, [camel(name)]: value }, {}), refused(flag));
        const variable = `QFLARE_${name.toUpperCase()}`;
        assert.throws(() => readSettings(none, { [variable]: value }), refused(variable));
        assert.throws(() => readSettings({ config }, {}), refused(`${config}: ${name}`));
      }
    }
    assert.ok(SETTING_NAMES.length > 20);
  });

  test("a flag wins over the environment, that over the file, and the file over the default", () => {
    const config = join(temporaryFolder(), "qflare.toml");
    writeFileSync(config, "rounds = 3\ntarget = 4\nquorum = 2\n");
    const settings = readSettings({ config, rounds: "5" }, { QFLARE_ROUNDS: "6", QFLARE_TARGET: "7" });
    assert.deepEqual(
      [settings.rounds, settings.target, settings.quorum, settings.epochs],
      [5, 7, 2, DEFAULT_PLAN.epochs],
    );
  });
});

describe("a call that is wrong", { concurrency: true }, () => {
  const folder = temporaryFolder();
  const file = (name: string, contents: string | Uint8Array, mode = 0o600): string => {
    writeFileSync(join(folder, name), contents, { mode });
    return name;
  };
  const server = (...args: string[]): string[] => ["server", "--port", "0", "--data-dir", "new", ...args];
  const qkd = (devices: string, server = "server"): string[] => [
    ...["qkd", "simulate", "--dir", "new", "--server-port", "0", "--device-port", "0"],
    ...["--server", server, "--devices", devices],
  ];
  const stranger = (url: string): string[] => ["audit", "verify", "--url", url, "--keystore", "garbage"];
  const device = (...args: string[]): string[] => ["device", "run", "--keystore", "new.key", ...args];

  before(() => {
    file("garbage", "neither this nor that\n");
    file("open.key", "others read along", 0o644);
    chmodSync(join(folder, "open.key"), 0o644);
    file("broken.toml", "rounds = [\n");
    file("nested.toml", "[rounds]\nfirst = 1\n");
    file("unknown.toml", "round = 1\n");
    file("bad.toml", "rounds = 0\n");
    file("bad.safetensors", "neither this nor that\n");
    file("bad.csv", "x,y,kind\n1,2,a\n1,b\n");
    file("good.csv", tableOf(12, 1));
    mkdirSync(join(folder, "empty"));
  });

  const refusals: readonly Refusal[] = [
    { args: ["nonsense"], code: 2, says: /unknown command 'nonsense'/ },
    { args: ["demo", "--nonsense"], code: 2, says: /unknown option '--nonsense'/ },
    { args: server("--rounds", "0"), code: 2, says: /^qflare: --rounds: expected a whole number from 1/ },
    { args: server(), env: { QFLARE_ROUNDS: "x" }, code: 2, says: /^qflare: QFLARE_ROUNDS: expected/ },
    { args: server("--config", "bad.toml"), code: 2, says: /^qflare: bad.toml: rounds: expected a whole number/ },
    { args: server("--config", "none.toml"), code: 2, says: /^qflare: none.toml: it cannot be read/ },
    { args: server("--config", "broken.toml"), code: 2, says: /^qflare: broken.toml: line 2: / },
    { args: server("--config", "nested.toml"), code: 2, says: /^qflare: nested.toml: rounds: expected a single value/ },
    {
      args: server("--config", "unknown.toml"),
      code: 2,
      says: /^qflare: unknown.toml: round: there is no such setting/,
    },
    { args: server("--log-level", "loud"), code: 2, says: /^qflare: --log-level: expected one of debug/ },
    { args: server("--quorum", "4", "--target", "3"), code: 2, says: /^qflare: --quorum: expected at most the target/ },
    { args: server("--public-url", "http://x"), code: 2, says: /^qflare: --public-url: expected https:/ },
    { args: server("--rule", "best"), code: 2, says: /^qflare: --rule: .*aggregation\.rule: expected one of mean/ },
    { args: server("--rule", '{"rule":"best"}'), code: 2, says: /aggregation.rule: expected one of mean/ },
    { args: server("--model", "resnet"), code: 2, says: /^qflare: --model: expected softmax/ },
    { args: server("--model", "cnn", "--inputs", "99"), code: 2, says: /^qflare: --model: .*square images/ },
    { args: server("--model", "none.json"), code: 2, says: /^qflare: --model: there is no none.json/ },
    { args: server("--optimizer", "lion"), code: 2, says: /^qflare: --optimizer: expected one of sgd, adam, adamw/ },
    { args: server("--model", "mlp:0"), code: 2, says: /^qflare: --model: / },
    { args: server("--model", "none.safetensors"), code: 2, says: /^qflare: --model: there is no none.safetensors/ },
    { args: server("--model", "bad.safetensors"), code: 1, says: /^qflare: Cannot read model: / },
    { args: server("--tls-cert", "garbage"), code: 2, says: /^qflare: --tls-cert and --tls-key: expected both/ },
    { args: server("--tls-cert", "none", "--tls-key", "none"), code: 2, says: /^qflare: --tls-cert: there is no none/ },
    {
      args: server("--tls-cert", "garbage", "--tls-key", "garbage"),
      code: 2,
      says: /expected a certificate and its key/,
    },
    { args: ["server", "--data-dir", "garbage"], code: 2, says: /data-dir: garbage is no folder/ },
    { args: ["server", "--data-dir", "garbage/new"], code: 2, says: /data-dir: garbage\/new cannot be made/ },
    { args: ["server", "--data-dir", "n".repeat(120)], code: 2, says: /admin.sock is longer than 107 bytes/ },
    { args: ["demo", "--devices", "0"], code: 2, says: /^qflare: --devices: expected a whole number from 1 to 200/ },
    { args: ["demo", "--rounds", "x"], code: 2, says: /^qflare: --rounds: expected/ },
    {
      args: ["demo", "--malicious", "11"],
      code: 2,
      says: /^qflare: --malicious: expected a whole number from 0 to 10/,
    },
    { args: ["demo", "--attack", "x"], code: 2, says: /expected attack "sign-flip"/ },
    { args: ["demo", "--rule", "x"], code: 2, says: /aggregation\.rule: expected one of mean/ },
    { args: server("--rule", "krum:f"), code: 2, says: /^qflare: --rule: .*expected name:parameter=value/ },
    { args: server("--rule", "krum:f=5"), code: 2, says: /^qflare: --rule: krum needs n >= 2f \+ 3/ },
    { args: server("--rule", "mda:f=2", "--target", "26"), code: 2, says: /^qflare: --rule: mda needs 2f < n <= 25/ },
    { args: ["demo", "--suite", "x"], code: 2, says: /^qflare: --suite: expected one of QF2-HYBRID, / },
    { args: ["demo", "--partition", "x"], code: 2, says: /expected partition "iid"/ },
    { args: ["demo", "--seed", "-1"], code: 2, says: /^qflare: --seed: expected/ },
    { args: ["demo", "--model", "x"], code: 2, says: /^qflare: --model: expected/ },
    { args: ["demo", "--deadline", "0s"], code: 2, says: /^qflare: --deadline: expected/ },
    { args: ["demo", "--data", "empty"], code: 2, says: /empty\/t10k-images-idx3-ubyte: there is no such file/ },
    {
      args: server("--require-isolation", "x"),
      code: 2,
      says: /expected one of none, permission, sandbox, tee, got "x"/,
    },
    {
      args: server("--require-isolation", "tee"),
      code: 1,
      says: /^qflare: Cannot start enclave: .*: expected tee, this host gives (?:none|permission|sandbox) \(.+\)/,
    },
    { args: server("--tee", "x"), code: 2, says: /expected one of auto, sev-snp, tdx, sgx, nitro, simulated, got "x"/ },
    { args: server("--evidence-policy", "none"), code: 2, says: /^qflare: --evidence-policy: there is no none/ },
    {
      args: server("--evidence-collateral", "none"),
      code: 2,
      says: /^qflare: --evidence-collateral: there is no none/,
    },
    { args: ["token", "create"], code: 2, says: /required option '--name <name>'/ },
    { args: ["token", "create", "--name", "a", "--data-dir", "empty"], code: 1, says: /no server runs on empty/ },
    { args: ["token", "list", "--data-dir", "none"], code: 1, says: /no server runs on none/ },
    { args: ["token", "revoke"], code: 2, says: /missing required argument 'token-id'/ },
    { args: ["device", "enroll"], code: 2, says: /^qflare: expected --token-file with a token to enrol with/ },
    {
      args: ["device", "enroll", "--token-file", "none"],
      code: 2,
      says: /--token-file: none cannot be read \(ENOENT\)/,
    },
    {
      args: ["device", "enroll", "--token-file", "empty"],
      code: 2,
      says: /--token-file: empty cannot be read \(EISDIR\)/,
    },
    { args: ["device", "enroll", "--token", "-"], code: 2, says: /--token -: expected a token in its first line/ },
    { args: ["device", "enroll", "--token-file", "garbage"], code: 1, says: /expected an enrolment token that starts/ },
    {
      args: ["device", "enroll", "--token-file", "garbage", "--token", "-"],
      code: 2,
      says: /--token and --token-file: expected one of them/,
    },
    {
      args: ["device", "enroll", "--token", "qflare1_AAAA"],
      code: 1,
      says: /expected an enrolment token that starts with/,
    },
    { args: ["device", "enroll", "--token", "t", "--keystore", "garbage"], code: 2, says: /garbage exists already/ },
    {
      args: ["device", "enroll", "--token", "t", "--keystore", "none/a"],
      code: 2,
      says: /none\/a cannot be made \(ENOENT\)/,
    },
    { args: ["device", "status", "--keystore", "none"], code: 2, says: /keystore: there is no none/ },
    { args: ["device", "status", "--keystore", "garbage"], code: 1, says: /it is damaged: garbage/ },
    { args: ["device", "status", "--keystore", "open.key"], code: 1, says: /expected mode 0600 on open.key, got 0644/ },
    { args: device("--keystore", "none"), code: 2, says: /keystore: there is no none/ },
    { args: device("--part", "3/2"), code: 2, says: /^qflare: --part: expected such as 3\/10/ },
    { args: device("--part", "0/2"), code: 2, says: /^qflare: --part: expected/ },
    { args: device("--partition", "x"), code: 2, says: /expected partition "iid"/ },
    { args: device("--seed", "x"), code: 2, says: /^qflare: --seed: expected/ },
    { args: device("--attack", "x"), code: 2, says: /expected attack/ },
    { args: device("--suites", "x"), code: 2, says: /^qflare: --suites: expected/ },
    { args: device("--updates-min", "0"), code: 2, says: /^qflare: --updates-min: expected/ },
    { args: device("--data", "none"), code: 2, says: /none\/train-images-idx3-ubyte: there is no such file/ },
    { args: device("--csv", "none.csv", "--label", "kind"), code: 2, says: /none.csv: there is no such file/ },
    { args: device("--csv", "good.csv"), code: 2, says: /^qflare: --csv: expected --label/ },
    { args: device("--csv", "good.csv", "--label", "x9"), code: 1, says: /expected a column "x9"/ },
    { args: device("--csv", "bad.csv", "--label", "kind"), code: 1, says: /line 3: expected 3 fields, got 2/ },
    {
      args: qkd("server"),
      code: 2,
      says: /^qflare: --server and --devices: expected names that differ.*, got "server"/,
    },
    { args: qkd("a,b,A"), code: 2, says: /^qflare: --server and --devices: expected names that differ.*, got "A"/ },
    {
      args: qkd("authority"),
      code: 2,
      says: /^qflare: --server and --devices: expected names that differ.*, got "authority"/,
    },
    {
      args: qkd("a", "Authority"),
      code: 2,
      says: /^qflare: --server and --devices: expected names that differ.*, got "Authority"/,
    },
    { args: qkd(""), code: 2, says: /^qflare: --server and --devices: expected a name of letters/ },
    { args: ["model", "export", "--data-dir", "none"], code: 2, says: /there is no none\/ledger.sqlite/ },
    { args: ["audit", "verify", "--data-dir", "empty"], code: 2, says: /there is no empty\/ledger.sqlite/ },
    { args: ["doctor", "extra"], code: 2, says: /too many arguments/ },
    ...["ftp://h:1", "http://h:1", "https://h:1/x", "https://h:1/?x", "https://u:p@h:1", "h:1", ""].map(
      (url): Refusal => ({
        args: stranger(url),
        code: 2,
        says: /^qflare: --url: expected such as https:\/\/host:8443, got "/,
      }),
    ),
    {
      args: [...stranger("https://127.0.0.1:1"), "--data-dir", "empty"],
      code: 2,
      says: /^qflare: --data-dir and --url: expected one of them$/m,
    },
    ...["0d", "0.4ms", "36501d", "99999999999999d", "-1d"].map(
      (valid): Refusal => ({
        args: ["enclave", "measure", "--sign", "new.key", "--valid", valid],
        code: 2,
        says: /^qflare: --valid: expected such as 90d, at most 36500d, got "/,
        prints: /^SHA-256 /,
      }),
    ),
  ];

  test("is refused in one line with its exit code, and leaves no file", async () => {
    const earlier = listing(folder);
    await eachOf(refusals, 3, async (refusal) => await assertRefused(folder, refusal));
    assert.deepEqual(listing(folder), earlier);
  });

  test("to look at a data folder that is none finds that a server would refuse it", async () => {
    const { code, stdout } = await runCli(["doctor", "--json", "--data-dir", "garbage"], { cwd: folder });
    assert.equal(code, 1);
    const found = { event: "finding", name: "server on garbage", level: "needed", found: "it is no folder" };
    assert.ok(stdout.includes(JSON.stringify(found)), stdout);
  });

  test("without a command shows what there is, with exit code 2", async () => {
    const { code, stderr } = await runCli([], { cwd: folder });
    assert.equal(code, 2);
    assert.match(stderr, /Usage: qflare/);
  });
});

describe("a server that is there", () => {
  test("refuses wrong requests of the command line, a second server, and a busy port", async (t) => {
    const run = await TestRun.open(t);
    const at = ["--data-dir", run.dataDir];
    const token = await run.token("a");
    const mistyped = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;
    const here = await runCli(["device", "enroll", "--token", token, "--keystore", "a.key"], { cwd: run.folder });
    assert.equal(here.code, 0, here.stderr);
    const earlier = listing(run.folder);
    const busy = createServer().listen(0, "127.0.0.1");
    t.after(() => busy.close());
    await once(busy, "listening");
    const { port } = busy.address() as AddressInfo;
    const refusals: readonly Refusal[] = [
      { args: ["server", "--port", "0", ...at], code: 1, says: /another server runs on it/ },
      { args: ["token", "create", "--name", "a b", ...at], code: 2, says: /name: expected/ },
      {
        args: ["token", "create", "--name", "b", "--expires", "soon", ...at],
        code: 2,
        says: /--expires: expected such as/,
      },
      {
        args: ["token", "create", "--name", "b", "--expires", "999d", ...at],
        code: 2,
        says: /expires: expected from 1 second/,
      },
      {
        args: ["token", "create", "--name", "b", "--out", "a.key", ...at],
        code: 2,
        says: /a.key cannot be made \(EEXIST\)/,
      },
      { args: ["token", "create", "--name", "a b", "--out", "b.token", ...at], code: 2, says: /name: expected/ },
      { args: ["token", "revoke", "zz", ...at], code: 2, says: /no open token zz/ },
      { args: ["device", "enroll", "--keystore", "b.key", "--token", mistyped], code: 1, says: /mistyped or cut off/ },
      { args: ["device", "enroll", "--keystore", "b.key", "--token", token], code: 1, says: /the token has been used/ },
      { args: ["model", "export", ...at, "--round", "x"], code: 2, says: /--round: expected a whole number/ },
      { args: ["model", "export", ...at, "--round", "7"], code: 2, says: /--round: no model of round 7/ },
      {
        args: ["model", "export", ...at, "--out", "none/model"],
        code: 2,
        says: /--out: none\/model cannot be written/,
      },
    ];
    await eachOf(refusals, 3, async (refusal) => await assertRefused(run.folder, refusal));
    assert.deepEqual(listing(run.folder), earlier);
    assert.match(await run.token("still-served"), /^qflare1_/);
    const taken = ["server", "--log-level", "warn", "--port", String(port), "--data-dir", "other"];
    await assertRefused(run.folder, { args: taken, code: 2, says: /port \d+ on 127.0.0.1: it is in use/ });
    run.server.signal("SIGTERM");
    await run.server.ending();
    const status = ["device", "status", "--keystore", "a.key"];
    await assertRefused(run.folder, { args: status, code: 1, says: /127.0.0.1:\d+: .*ECONNREFUSED/ });
    const late = ["device", "enroll", "--keystore", "b.key", "--token", token];
    await assertRefused(run.folder, { args: late, code: 1, says: /does not answer/ });
  });
});

describe("a Node that is too old", () => {
  const candidates = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((entry) => !entry.endsWith(join("node_modules", ".bin")))
    .map((entry) => join(entry, "node"));
  const old = [process.env.QFLARE_OLD_NODE, ...candidates].find((path) => {
    const version = path === undefined ? "" : String(spawnSync(path, ["--version"], { encoding: "utf8" }).stdout ?? "");
    const major = Number(/^v(\d+)\./.exec(version)?.[1] ?? Number.NaN);
    return major < 24;
  });

  test("is told so in one line", { skip: old === undefined && "no Node older than 24 on this machine" }, () => {
    const run = spawnSync(old!, [PROGRAM, "demo"], { encoding: "utf8" });
    assert.equal(run.status, 1);
    assert.match(run.stderr, /^qflare needs Node 24 or newer, this is v\d+\.\d+\.\d+\n$/);
  });
});
