// qflare token: one-time enrolment tokens, through the running server's administration socket.

import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { renderUnicodeCompact } from "uqr";
import type { AdminClient } from "../admin-client.ts";
import { type Output, UsageError } from "../output.ts";
import { parseDuration } from "../parse.ts";
import { type AdminFlags, addAdminCommand, withAdmin } from "../with-admin.ts";

interface Flags extends AdminFlags {
  readonly name: string;
  readonly expires: string;
  readonly qr: boolean;
  readonly out?: string;
}

interface MadeToken {
  readonly token: string;
  readonly token_id: string;
  readonly expires_at: string;
}

interface TokenLine {
  readonly token_id: string;
  readonly name: string;
  readonly state: string;
  readonly expires_at: string;
}

export function addTokenCommand(program: Command): void {
  const token = program.command("token").description("one-time tokens with which devices enrol");
  const add = (name: string, description: string, example: string): Command =>
    addAdminCommand(token, name, description, example);
  add("create", "make a token for one device", "qflare token create --name ward-3 --expires 1h --out ward-3.token")
    .requiredOption("--name <name>", "name of the device")
    .option("--expires <time>", "how long it may be used, such as 30m, 1h, 7d", "1h")
    .option("--out <file>", "write it to a new file that others cannot read, instead of standard output")
    .option("--no-qr", "leave out the QR code")
    .action(async (flags: Flags) => await withAdmin(flags, (admin, output) => create(admin, output, flags)));
  add("list", "all tokens and what became of them", "qflare token list").action(
    async (flags: Flags) => await withAdmin(flags, list),
  );
  add("revoke", "make a token useless", "qflare token revoke 0123456789abcdef")
    .argument("<token-id>", "as shown by list")
    .action(async (id: string, flags: Flags) => {
      await withAdmin(flags, async (admin, output) => {
        output.emit(await admin.call<object>("token.revoke", { token_id: id }), `token ${id} is revoked`);
      });
    });
  add("cleanup", "remove tokens that expired unused", "qflare token cleanup").action(async (flags: Flags) => {
    await withAdmin(flags, async (admin, output) => {
      const { removed } = await admin.call<{ removed: number }>("token.cleanup");
      output.emit({ removed }, `removed ${removed} expired tokens`);
    });
  });
}

async function create(admin: AdminClient, output: Output, { name, expires, qr, out }: Flags): Promise<void> {
  const ageMs = parseDuration(expires);
  if (ageMs === undefined)
    throw new UsageError(`--expires: expected such as 30m, 1h, 7d, got ${JSON.stringify(expires)}`);
  const make = async (): Promise<MadeToken> => await admin.call("token.create", { name, age_ms: ageMs });
  if (out !== undefined) {
    const { token_id, expires_at } = await createInto(out, make);
    output.emit({ token_id, name, expires_at, file: out }, `${out}: for ${name}, to be used once before ${expires_at}`);
    return;
  }
  const made = await make();
  const code = qr && !output.isJson ? `\n${renderUnicodeCompact(made.token)}` : "";
  output.emit(made, `${made.token}${code}`);
  if (!output.isJson) process.stderr.write(`for ${name}, to be used once before ${made.expires_at}\n`);
}

/** The file first: a token that has no place to go is not made. */
async function createInto(path: string, make: () => Promise<MadeToken>): Promise<MadeToken> {
  const file = createFile(path);
  try {
    const made = await make();
    writeFileSync(file, `${made.token}\n`);
    return made;
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function createFile(path: string): number {
  try {
    return openSync(path, "wx", 0o600);
  } catch (error) {
    throw new UsageError(`--out: ${path} cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
}

async function list(admin: AdminClient, output: Output): Promise<void> {
  const tokens = await admin.call<TokenLine[]>("token.list");
  for (const token of tokens) {
    output.emit(token, `${token.token_id}  ${token.state.padEnd(8)} ${token.expires_at}  ${token.name}`);
  }
  if (tokens.length === 0 && !output.isJson) process.stdout.write("no tokens\n");
}
