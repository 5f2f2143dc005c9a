import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pinnedBy } from "../../../src/cli/log-trust.ts";
import { UsageError } from "../../../src/cli/output.ts";
import { formatVkey, noteKey } from "../../../src/wire/note.ts";

const ORIGIN = `qflare/${"ab".repeat(32)}`;
const vkey = (type: "ed25519" | "ml-dsa-44", fill: number, origin = ORIGIN): string =>
  formatVkey(noteKey(origin, type, new Uint8Array(type === "ed25519" ? 32 : 1312).fill(fill)));

describe("a verifier's keys", () => {
  it("are all wanted where there are several", () => {
    const [classical, lasting] = [vkey("ed25519", 1), vkey("ml-dsa-44", 1)];
    for (const key of [
      [classical, lasting],
      [lasting, classical],
    ]) {
      const { trust, receiptKeys, follow } = pinnedBy({ key });
      assert.deepEqual([trust.needsEachType, trust.logKeys.map(formatVkey)], [true, key]);
      assert.equal(receiptKeys.length, 1);
      assert.deepEqual(follow([]), trust);
    }
    assert.equal(pinnedBy({ key: [classical] }).receiptKeys.length, 0);
  });

  it("are of one log, and one of each type", () => {
    const refused = (key: string[], says: RegExp) =>
      assert.throws(
        () => pinnedBy({ key }),
        (error: unknown) => error instanceof UsageError && says.test(error.message),
      );
    const other = `qflare/${"cd".repeat(32)}`;
    refused([vkey("ed25519", 1), vkey("ml-dsa-44", 1, other)], /^--key: expected keys of one log, got/);
    refused([vkey("ml-dsa-44", 1), vkey("ml-dsa-44", 2)], /^--key: expected one key of a type, got two of ml-dsa-44$/);
    refused([vkey("ml-dsa-44", 1), "x"], /^--key: expected a verifier key, got x$/);
    refused([vkey("ml-dsa-44", 1, "other")], /^--key: expected a key of a run's log/);
  });
});
