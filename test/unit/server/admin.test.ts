import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { Server } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { openAdmin } from "../../../src/server/admin.ts";
import { folderOf } from "../../support/folder.ts";

test("the administration socket is never there with looser permissions than 0600", async (context) => {
  const path = join(folderOf(context), "admin.sock");
  const modes: number[] = [];
  const listen = Server.prototype.listen;
  context.mock.method(Server.prototype, "listen", function (this: Server, ...args: unknown[]) {
    const result = Reflect.apply(listen, this, args) as Server;
    modes.push(statSync(path).mode & 0o777);
    return result;
  });
  const umask = process.umask(0);
  try {
    const admin = await openAdmin(path, {} as never);
    modes.push(statSync(path).mode & 0o777);
    assert.equal(process.umask(), 0);
    admin.close();
  } finally {
    process.umask(umask);
  }
  assert.deepEqual(modes, [0o600, 0o600]);
});
