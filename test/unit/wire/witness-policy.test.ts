import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ed25519Signer } from "../../../src/crypto/ed25519.ts";
import { formatVkey, noteKey } from "../../../src/wire/note.ts";
import { isWitnessed, NO_WITNESSES, parseWitnessPolicy } from "../../../src/wire/witness-policy.ts";
import { coded } from "../../support/errors.ts";

const vkey = (i: number): string => {
  const { publicKey } = ed25519Signer(new Uint8Array(32).fill(i));
  return formatVkey(noteKey(`witness.example/${i}`, "ed25519-cosignature", publicKey));
};

const SIX = [1, 2, 3, 4, 5, 6].map((i) => `witness W${i} ${vkey(i)} https://witness.example/${i}`).join("\n");

/** The example of C2SP tlog-policy. */
const TWO_LEVELS = `# two owners
${SIX}
group X  2 W1 W2 W3
group Y any W4 W5 W6
\tgroup both all X Y
quorum both
`;

describe("a witness policy", () => {
  it("of two levels holds where enough of each group have cosigned", () => {
    const policy = parseWitnessPolicy(TWO_LEVELS);
    assert.deepEqual(
      policy.witnesses.map(({ name, url }) => `${name} ${url}`),
      [1, 2, 3, 4, 5, 6].map((i) => `W${i} https://witness.example/${i}`),
    );
    const holds = (...names: string[]) => isWitnessed(policy, new Set(names));
    assert.ok(holds("W1", "W3", "W5"));
    assert.ok(!holds("W1", "W2", "W3"));
    assert.ok(!holds("W1", "W4", "W5", "W6"));
    assert.ok(!holds());
  });

  it("may be of one witness, or of none", () => {
    const one = parseWitnessPolicy(`witness W1 ${vkey(1)}\nquorum W1`);
    assert.ok(isWitnessed(one, new Set(["W1"])) && !isWitnessed(one, new Set(["W2"])));
    assert.ok(isWitnessed(parseWitnessPolicy("quorum none\n"), new Set()));
    assert.ok(isWitnessed(NO_WITNESSES, new Set()));
  });

  const BAD: Readonly<Record<string, string>> = {
    "no quorum": SIX,
    "two quorums": `${SIX}\nquorum W1\nquorum W2`,
    "a quorum of nobody": "quorum W1",
    "a name twice": `witness W1 ${vkey(1)}\nwitness W1 ${vkey(2)}\nquorum W1`,
    "a key twice": `witness W1 ${vkey(1)}\nwitness W2 ${vkey(1)}\nquorum W1`,
    "a member in two groups": `${SIX}\ngroup A any W1 W2\ngroup B any W2 W3\nquorum A`,
    "a group of more than there are": `${SIX}\ngroup A 3 W1 W2\nquorum A`,
    "a group of none": `${SIX}\ngroup A any\nquorum W1`,
    "a group of zero": `${SIX}\ngroup A 0 W1\nquorum A`,
    "a member that comes later": `group A any W1\n${SIX}\nquorum A`,
    "a word that is none": `${SIX}\nwitnesses W1\nquorum W1`,
    "a key that is none": "witness W1 nokey\nquorum W1",
    "the name none": `witness none ${vkey(1)}\nquorum none`,
  };

  for (const [what, text] of Object.entries(BAD)) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => parseWitnessPolicy(text), coded("config.invalid", /witness policy/));
    });
  }
});
