import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
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
  readonly files: () => string[];
  readonly uploads: Uploads;

  private constructor(folder: string, blobs: BlobStore) {
    const ledger = {
      accept: async ({ manifest }: SignedManifest) => {
        const code = this.refused.get(manifest.device_id[0]!);
        if (code !== undefined) throw new QflareError(code);
        this.rows.add(toHex(manifest.blob_digest));
        return {} as UpdateRow;
      },
      isBlobInUse: async (digest: Uint8Array) => this.rows.has(toHex(digest)),
    };
    this.uploads = new Uploads({ blobs, ledger, writer: { expect: () => () => undefined }, log: silentLog });
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
