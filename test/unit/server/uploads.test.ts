import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { toHex } from "../../../src/core/bytes.ts";
import { type ErrorCode, QflareError } from "../../../src/core/error.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { blobDigest } from "../../../src/crypto/merkle.ts";
import type { SignedManifest, UpdateRow } from "../../../src/server/ledger.ts";
import { BlobStore, onePiece } from "../../../src/server/store/blobs.ts";
import { Uploads } from "../../../src/server/uploads.ts";
import { seededRandom, silentLog } from "../../support/clock.ts";
import { coded } from "../../support/errors.ts";
import { folderOf } from "../../support/folder.ts";

const random = seededRandom("uploads");
const blob = random.bytes(1000);

function signedBy(device: number): SignedManifest {
  const manifest = { device_id: new Uint8Array(16).fill(device), blob_digest: blobDigest(blob), blob_length: 1000 };
  return { manifest: manifest as never, encoded: new Uint8Array(1), signature: new Uint8Array(1) };
}

/** Rows are what the test says; everything else is real. */
class Desk {
  readonly rows = new Set<string>();
  readonly refused = new Map<number, ErrorCode>();
  /** What each commit waits for. */
  beforeRow: Promise<void> | undefined;
  readonly files: () => string[];
  readonly uploads: Uploads;
  readonly blobs: BlobStore;
  /** Rows that the writer waits for. */
  expected = 0;
  /** As many as when each row was handed over. */
  readonly expectedAtRows: number[] = [];

  private constructor(folder: string, blobs: BlobStore) {
    const ledger = {
      accept: async ({ manifest }: SignedManifest) => {
        this.expectedAtRows.push(this.expected);
        await this.beforeRow;
        const code = this.refused.get(manifest.device_id[0]!);
        if (code !== undefined) throw new QflareError(code);
        this.rows.add(toHex(manifest.blob_digest));
        return {} as UpdateRow;
      },
      isBlobInUse: async (digest: Uint8Array) => this.rows.has(toHex(digest)),
    };
    const expect = (): (() => void) => {
      this.expected += 1;
      return () => {
        this.expected -= 1;
      };
    };
    this.blobs = blobs;
    this.uploads = new Uploads({ blobs, ledger, writer: { expect }, log: silentLog });
    this.files = () =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => entry.name);
  }

  static async open(context: TestContext): Promise<Desk> {
    const folder = folderOf(context);
    const blobs = new BlobStore(folder, random);
    await blobs.prepare();
    return new Desk(folder, blobs);
  }
}

describe("an update on its way in", () => {
  it("leaves no blob where its row is refused", async (context) => {
    const desk = await Desk.open(context);
    desk.refused.set(1, "round.closed");
    await assert.rejects(desk.uploads.accept(signedBy(1), onePiece(blob)), coded("round.closed"));
    assert.deepEqual(desk.files(), []);
  });

  it("takes no blob from another's row where both sent the same bytes", async (context) => {
    const desk = await Desk.open(context);
    desk.refused.set(1, "update.duplicate");
    const devices = [1, 2, 1, 3];
    const uploads = devices.map((device) => desk.uploads.accept(signedBy(device), onePiece(blob)));
    const results = await Promise.allSettled(uploads);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(desk.files(), [toHex(blobDigest(blob))]);
    await assert.rejects(desk.uploads.accept(signedBy(1), onePiece(blob)), coded("update.duplicate"));
    assert.deepEqual(desk.files(), [toHex(blobDigest(blob))]);
  });

  it("is expected by the writer while its blob is put in place, not while it is received", async (context) => {
    const desk = await Desk.open(context);
    const expected: number[] = [];
    const original = desk.blobs.receive.bind(desk.blobs);
    context.mock.method(desk.blobs, "receive", async (...args: Parameters<typeof original>) => {
      const temporary = await original(...args);
      expected.push(desk.expected);
      return temporary;
    });
    desk.refused.set(2, "round.closed");
    await desk.uploads.accept(signedBy(1), onePiece(blob));
    await assert.rejects(desk.uploads.accept(signedBy(2), onePiece(blob)), coded("round.closed"));
    assert.deepEqual([expected, desk.expectedAtRows, desk.expected], [[0, 0], [1, 1], 0]);
  });

  it("is refused while as many as are allowed of its device are, and taken afterwards", async (context) => {
    const desk = await Desk.open(context);
    const gate = Promise.withResolvers<void>();
    async function* held(): AsyncGenerator<Uint8Array> {
      await gate.promise;
      yield blob;
    }
    const first = Array.from({ length: LIMITS.uploadsPerDeviceMax }, () => desk.uploads.accept(signedBy(1), held()));
    await assert.rejects(desk.uploads.accept(signedBy(1), onePiece(blob)), coded("request.rate_limited"));
    await desk.uploads.accept(signedBy(2), onePiece(blob));
    gate.resolve();
    await Promise.all(first);
    await desk.uploads.accept(signedBy(1), onePiece(blob));
  });
});

describe("a blob that is of no use any more", () => {
  const digest = blobDigest(blob);

  it("is removed, and one that a row names is not", async (context) => {
    const desk = await Desk.open(context);
    await desk.uploads.accept(signedBy(1), onePiece(blob));
    await desk.uploads.removeUnused(digest);
    assert.deepEqual(desk.files(), [toHex(digest)]);
    desk.rows.clear();
    await desk.uploads.removeUnused(digest);
    await desk.uploads.removeUnused(digest);
    assert.deepEqual(desk.files(), []);
  });

  it("stays where the same bytes come again while it is being removed", async (context) => {
    const desk = await Desk.open(context);
    await desk.uploads.accept(signedBy(1), onePiece(blob));
    desk.rows.clear();
    const [removing, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const original = desk.blobs.remove.bind(desk.blobs);
    context.mock.method(desk.blobs, "remove", async (name: Uint8Array) => {
      removing.resolve();
      await gate.promise;
      await original(name);
    });
    const removed = desk.uploads.removeUnused(digest);
    await removing.promise;
    const again = desk.uploads.accept(signedBy(2), onePiece(blob));
    await pause(50);
    gate.resolve();
    await Promise.all([removed, again]);
    assert.deepEqual(desk.files(), [toHex(digest)]);
    assert.ok(desk.rows.has(toHex(digest)));
  });

  it("stays where its removal is asked for between its place and its row", async (context) => {
    const desk = await Desk.open(context);
    const gate = Promise.withResolvers<void>();
    desk.beforeRow = gate.promise;
    const accepted = desk.uploads.accept(signedBy(1), onePiece(blob));
    while (desk.expectedAtRows.length === 0) await pause(1);
    const removed = desk.uploads.removeUnused(digest);
    await pause(50);
    gate.resolve();
    await Promise.all([accepted, removed]);
    assert.deepEqual(desk.files(), [toHex(digest)]);
  });
});
