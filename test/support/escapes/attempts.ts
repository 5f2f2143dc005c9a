// What an enclave process may want to do and should not be able to. Each either comes back with something (it got
// through) or throws. Through Node: with its own modules, fetched past the program's loader. Past Node: by system calls
// through libc, as code could that has taken the whole process over.

/** What the test has prepared around the process. */
export interface Surroundings {
  /** A file that any user may read. */
  readonly secretFile: string;
  readonly linkToSecret: string;
  /** A folder that any user may write to. */
  readonly folder: string;
  /** HTTP on 127.0.0.1. */
  readonly port: number;
  readonly unixSocket: string;
  /** A process of the same user. */
  readonly sibling: number;
  /** Whether Node's gate to native code is closed, as in an enclave, or left open to look past it. */
  readonly isShut: boolean;
}

export type Attempt = (at: Surroundings) => unknown;

const builtIn = <T>(name: string): T => process.getBuiltinModule(name) as T;
const fs = (): typeof import("node:fs") => builtIn("node:fs");
const net = (): typeof import("node:net") => builtIn("node:net");

/** Resolves with the event's name; rejects with the emitter's error. */
function until(emitter: NodeJS.EventEmitter, event: string): Promise<string> {
  return new Promise((resolve, reject) => {
    emitter.once(event, () => resolve(event));
    emitter.once("error", reject);
  });
}

/** There is nothing to load: an error of this code comes from behind the gate. */
function reaching(code: string, attempt: () => unknown): unknown {
  try {
    return attempt();
  } catch (error) {
    if ((error as { code?: string }).code === code) return code;
    throw error;
  }
}

export const FILE_ATTEMPTS: Readonly<Record<string, Attempt>> = {
  "read a file of the host": ({ secretFile }) => fs().readFileSync(secretFile, "utf8"),
  "read it through a symbolic link": ({ linkToSecret }) => fs().readFileSync(linkToSecret, "utf8"),
  "read it by a promise": async ({ secretFile }) => await fs().promises.readFile(secretFile),
  "read it by a stream": async ({ secretFile }) => await until(fs().createReadStream(secretFile), "open"),
  "read /etc/passwd": () => fs().readFileSync("/etc/passwd"),
  "read its own program": () => fs().readFileSync(process.argv[1]!),
  "read Node's program": () => fs().openSync(process.execPath, "r"),
  "list the root folder": () => fs().readdirSync("/"),
  "ask whether a file exists": ({ secretFile }) => fs().statSync(secretFile),
  "write a file": ({ folder }) => fs().writeFileSync(`${folder}/written`, "x"),
  "make a folder": ({ folder }) => fs().mkdirSync(`${folder}/made-${process.pid}`),
  "make a symbolic link": ({ folder }) => fs().symlinkSync("/etc/passwd", `${folder}/linked-${process.pid}`),
  "delete a file": ({ folder }) => fs().unlinkSync(`${folder}/victim`),
  "change the mode of a file": ({ folder }) => fs().chmodSync(`${folder}/changeable`, 0o644),
  "watch a folder": ({ folder }) => fs().watch(folder).close(),
  "read its own memory map": () => fs().readFileSync("/proc/self/maps"),
  "open its own memory": () => fs().openSync("/proc/self/mem", "r"),
  "read another process's environment": ({ sibling }) => fs().readFileSync(`/proc/${sibling}/environ`),
  "open another process's memory": ({ sibling }) => fs().openSync(`/proc/${sibling}/mem`, "r"),
  "list the host's processes": () => fs().readdirSync("/proc"),
  "change its folder": () => process.chdir("/usr"),
  "open a database file": ({ folder }) => {
    const { DatabaseSync } = builtIn<typeof import("node:sqlite")>("node:sqlite");
    return new DatabaseSync(`${folder}/written.sqlite`);
  },
  "attach a database file to one in memory": ({ folder }) => {
    const { DatabaseSync } = builtIn<typeof import("node:sqlite")>("node:sqlite");
    new DatabaseSync(":memory:").exec(`ATTACH DATABASE '${folder}/attached.sqlite' AS x`);
  },
  "write a heap snapshot": ({ folder }) =>
    builtIn<typeof import("node:v8")>("node:v8").writeHeapSnapshot(`${folder}/h`),
  "write a diagnostic report": ({ folder }) => process.report.writeReport(`${folder}/report-${process.pid}.json`),
  "write a trace": ({ folder }) => {
    process.chdir(folder);
    builtIn<typeof import("node:trace_events")>("node:trace_events")
      .createTracing({ categories: ["v8"] })
      .enable();
  },
};

export const NETWORK_ATTEMPTS: Readonly<Record<string, Attempt>> = {
  "connect to a TCP port": async ({ port }) => await until(net().connect(port, "127.0.0.1"), "connect"),
  "listen on a TCP port": async () => await until(net().createServer().listen(0, "127.0.0.1"), "listening"),
  "connect to a Unix socket": async ({ unixSocket }) => await until(net().connect(unixSocket), "connect"),
  "listen on a Unix socket": async ({ folder }) =>
    await until(net().createServer().listen(`${folder}/s-${process.pid}`), "listening"),
  "listen on an abstract Unix socket": async () =>
    await until(net().createServer().listen(`\0qflare-${process.pid}`), "listening"),
  "send a UDP packet": async ({ port }) => {
    const socket = builtIn<typeof import("node:dgram")>("node:dgram").createSocket("udp4");
    return await new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.send("x", port, "127.0.0.1", (error) => (error === null ? resolve("sent") : reject(error)));
    });
  },
  "fetch a page": async ({ port }) => (await fetch(`http://127.0.0.1:${port}/`)).status,
  "open an HTTP/2 session": async ({ port }) =>
    await until(builtIn<typeof import("node:http2")>("node:http2").connect(`http://127.0.0.1:${port}`), "connect"),
  "look a name up": async () => await builtIn<typeof import("node:dns")>("node:dns").promises.lookup("localhost"),
  "list network interfaces": () => builtIn<typeof import("node:os")>("node:os").networkInterfaces(),
};

export const PROCESS_ATTEMPTS: Readonly<Record<string, Attempt>> = {
  "run a program": () => builtIn<typeof import("node:child_process")>("node:child_process").execFileSync("/bin/true"),
  "fork itself": ({ secretFile }) =>
    builtIn<typeof import("node:child_process")>("node:child_process").fork(secretFile, { silent: true }).pid,
  "start a worker": async () => {
    const { Worker } = builtIn<typeof import("node:worker_threads")>("node:worker_threads");
    return await until(new Worker("", { eval: true }), "exit");
  },
  "load a native add-on": ({ folder }) =>
    reaching("ERR_DLOPEN_FAILED", () => process.dlopen({ exports: {} }, `${folder}/none.node`)),
  "call into a native library": () =>
    builtIn<typeof import("node:ffi")>("node:ffi").dlopen(null, { getpid: { arguments: [], return: "i32" } }),
  "make a WASI host": () => new (builtIn<typeof import("node:wasi")>("node:wasi").WASI)({ version: "preview1" }),
  "open the inspector": () => {
    const inspector = builtIn<typeof import("node:inspector")>("node:inspector");
    inspector.open(0, "127.0.0.1");
    return inspector.url() ?? Promise.reject(new Error("not opened"));
  },
  "inspect itself by a session": () =>
    new (builtIn<typeof import("node:inspector")>("node:inspector").Session)().connect(),
  "reach Node's inner bindings": () => (process as unknown as { binding(name: string): unknown }).binding("fs"),
  "signal another process": ({ sibling }) => process.kill(sibling, 0),
  "signal its parent": () => (process.ppid === 0 ? Promise.reject(new Error("none")) : process.kill(process.ppid, 0)),
  "raise its own rights": () => process.setuid!(0),
  "change its priority": () => {
    const os = builtIn<typeof import("node:os")>("node:os");
    os.setPriority(0, os.getPriority() + 1);
  },
  "see the server's environment": () => process.env.QFLARE_TEST_SECRET ?? Promise.reject(new Error("not there")),
  "load an OpenSSL engine": ({ folder }) =>
    reaching("ERR_CRYPTO_ENGINE_UNKNOWN", () =>
      builtIn<typeof import("node:crypto")>("node:crypto").setEngine(`${folder}/none.so`),
    ),
};

export const CODE_ATTEMPTS: Readonly<Record<string, Attempt>> = {
  // biome-ignore lint/security/noGlobalEval: the attempt itself
  "evaluate text": () => globalThis.eval("1 + 1"),
  "make a function from text": () => new Function("return 1")(),
  "import code from a URL of data": async () => await import(`data:text/javascript,export default ${process.pid}`),
  "import a file": async ({ folder }) => await import(`${folder}/module.mjs`),
  "import a part of Node that it does not name": async () => await import(["node", "net"].join(":")),
  "require a file": ({ folder }) =>
    builtIn<typeof import("node:module")>("node:module").createRequire("/")(`${folder}/module.cjs`),
  "change the prototype of every object": () => {
    const object: Record<string, unknown> = {};
    return object[["__", "proto", "__"].join("")] ?? Promise.reject(new Error("there is no such accessor"));
  },
};
