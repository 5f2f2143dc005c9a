// What an enclave process cannot do, by the level from which on it is refused. One table: docs/isolation.md and
// SECURITY.md are written from it, and a test tries every row from inside, at every level, as root and as another user.

import type { IsolationLevel } from "../../src/isolation/level.ts";

export interface Escape {
  readonly from: Exclude<IsolationLevel, "none" | "tee">;
  /** Below that level only root gets through: whoever else is refused by the kernel on every level. */
  readonly isRootOnly?: true;
}

export interface EscapeGroup {
  readonly title: string;
  readonly rows: Readonly<Record<string, Escape>>;
}

const byNode: Escape = { from: "permission" };
const byKernel: Escape = { from: "sandbox" };
const ofRoot: Escape = { from: "sandbox", isRootOnly: true };

const same = (names: readonly string[], row: Escape): Record<string, Escape> =>
  Object.fromEntries(names.map((name) => [name, row]));

export const PAST_NODE = "past Node: ";
/** Tried with Node's gate to native code closed: every other row past Node needs it open. */
export const GATE = "call into a native library";

export const ESCAPES: readonly EscapeGroup[] = [
  {
    title: "files",
    rows: same(
      [
        ...[
          "read a file of the host",
          "read it through a symbolic link",
          "read it by a promise",
          "read it by a stream",
        ],
        ...["read /etc/passwd", "read its own program", "read Node's program", "list the root folder"],
        ...["ask whether a file exists", "write a file", "make a folder", "make a symbolic link", "delete a file"],
        ...["change the mode of a file", "watch a folder", "read its own memory map", "open its own memory"],
        ...["read another process's environment", "open another process's memory", "list the host's processes"],
        ...["change its folder", "open a database file", "attach a database file to one in memory"],
        ...["write a heap snapshot", "write a diagnostic report", "write a trace"],
      ],
      byNode,
    ),
  },
  {
    title: "network",
    rows: {
      ...same(
        [
          ...["connect to a TCP port", "listen on a TCP port", "connect to a Unix socket", "listen on a Unix socket"],
          ...["listen on an abstract Unix socket", "send a UDP packet", "fetch a page", "open an HTTP/2 session"],
          ...["look a name up"],
        ],
        byNode,
      ),
      "list network interfaces": byKernel,
    },
  },
  {
    title: "code",
    rows: same(
      [
        ...["evaluate text", "make a function from text", "import code from a URL of data", "import a file"],
        ...["import a part of Node that it does not name", "require a file", "change the prototype of every object"],
        ...["load a native add-on", GATE, "load an OpenSSL engine", "make a WASI host", "reach Node's inner bindings"],
      ],
      byNode,
    ),
  },
  {
    title: "processes",
    rows: {
      ...same(
        [
          ...["run a program", "fork itself", "start a worker", "open the inspector", "inspect itself by a session"],
          ...["see the server's environment"],
        ],
        byNode,
      ),
      ...same(["signal another process", "signal its parent", "change its priority"], byKernel),
      "raise its own rights": ofRoot,
    },
  },
  {
    title: "system calls, by code that has taken Node over",
    rows: {
      ...same(
        [
          ...["open a file", "make a folder", "make a file in memory", "make a TCP socket", "make a Unix socket"],
          ...["make a netlink socket", "make a pair of sockets", "fork", "run a program", "signal another process"],
          ...["signal a thread of another process", "trace another process", "read another process's memory"],
          ...["get hold of another process", "make a user namespace", "make itself dumpable again"],
          ...["allow itself core dumps", "set up an io_uring", "load a BPF program", "handle page faults"],
          ...["add a kernel key", "watch files"],
        ].map((name) => PAST_NODE + name),
        byKernel,
      ),
      ...same(
        ["mount a file system", "change its root", "become root", "rename the host"].map((name) => PAST_NODE + name),
        ofRoot,
      ),
    },
  },
];
