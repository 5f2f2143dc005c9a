// The protocol, put to two provers: E and SPASS must agree with one another and with what docs/formal.md says.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { checkObligation, missingProvers } from "../../scripts/prove/check.ts";
import { expected } from "../../scripts/prove/obligation.ts";
import { OBLIGATIONS } from "../../scripts/prove/obligations.ts";
import { PROVERS } from "../../scripts/prove/provers.ts";
import { productTables } from "../../scripts/prove/tables.ts";

const missing = missingProvers();
const skip = missing.length > 0 ? `${missing.join(" and ")} not installed` : false;

for (const [area, obligations] of Object.entries(OBLIGATIONS)) {
  describe(`provers on ${area}`, { skip, concurrency: 2 }, () => {
    let folder = "";
    before(() => {
      folder = mkdtempSync(join(tmpdir(), "qflare-prove-"));
    });
    after(() => rmSync(folder, { recursive: true }));

    for (const obligation of obligations) {
      it(`${obligation.name}: ${obligation.claim}`, async () => {
        const { verdicts } = await checkObligation(obligation, productTables(), folder);
        const answers = Object.fromEntries(verdicts.map(({ answer }, i) => [PROVERS[i]!.name, answer]));
        assert.deepEqual(answers, { E: expected(obligation), SPASS: expected(obligation) });
      });
    }
  });
}
