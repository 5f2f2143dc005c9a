import assert from "node:assert/strict";
import { test } from "node:test";
import {
  abilities,
  aead,
  att,
  attacked,
  broken,
  kemCiphertext,
  kemKey,
  later,
} from "../../../scripts/prove/attacker.ts";
import { checkReadable, dfg, tptp } from "../../../scripts/prove/formats.ts";
import { answersIn, expectedAnswers } from "../../../scripts/prove/proverif.ts";
import { without } from "../../../scripts/prove/tables.ts";
import { aritiesIn, type Clause, clause, term, textOf, variables } from "../../../scripts/prove/term.ts";

const { X, Y } = variables("X", "Y");
const texts = (clauses: readonly Clause[]): string[] =>
  clauses.map(({ head, body }) => [textOf(head), ...body.map(textOf)].join(" <- "));

test("clauses become TPTP with the goal denied", () => {
  const text = tptp([clause(att(term("f", X)), att(X), att(Y))], att(term("a")));
  assert.equal(text, "cnf(c0,axiom,(att(f(X))|~att(X)|~att(Y))).\ncnf(goal,negated_conjecture,(~att(a))).\n");
});

test("clauses become DFG with every symbol declared and every variable bound", () => {
  const text = dfg([clause(att(term("f", X)), att(X)), clause(att(term("b")))], att(term("a")));
  assert.match(text, /functions\[\(f,1\),\(b,0\),\(a,0\)\]\./);
  assert.match(text, /predicates\[\(att,1\)\]\./);
  assert.match(text, /clause\(forall\(\[X\],or\(att\(f\(X\)\),not\(att\(X\)\)\)\)\)\./);
  assert.match(text, /conjectures,cnf\)\.\nclause\(or\(not\(att\(a\)\)\)\)\./);
});

test("what a prover would misread is refused", () => {
  assert.throws(() => aritiesIn([term("f", X), term("f", X, Y)]), /arity 1 and 2/);
  assert.throws(() => checkReadable([clause(att(term("att")))], att(X)), /both a predicate and a term/);
  assert.throws(() => checkReadable([clause(X)], att(X)), /expected a predicate, got a variable/);
});

test("the attacker writes and reads messages, computes, and cannot invert or guess a name", () => {
  const protocol = [clause(att(term("m_pair", term("hash1", term("secret")), term("c_known"))))];
  assert.deepEqual(texts(abilities(protocol, att)).sort(), [
    "att(X0) <- att(m_pair(X0,X1))",
    "att(X1) <- att(m_pair(X0,X1))",
    "att(c_known)",
    "att(hash1(X0)) <- att(X0)",
    "att(m_pair(X0,X1)) <- att(X0) <- att(X1)",
  ]);
});

test("the attacker opens a seal with its key and a KEM ciphertext with its secret key", () => {
  const protocol = [
    clause(att(aead(term("k"), [term("c_place")], term("m")))),
    clause(att(kemCiphertext("frodo", kemKey("frodo", term("sk")), term("r")))),
  ];
  const found = texts(abilities(protocol, att));
  assert.ok(found.includes("att(X2) <- att(aead1(X0,X1,X2)) <- att(X0)"));
  assert.ok(found.includes("att(frodo_secret(frodo_key(K),R)) <- att(frodo_ct(frodo_key(K),R)) <- att(K)"));
  assert.deepEqual(texts([broken("frodo")]), ["att(frodo_secret(P,R)) <- att(frodo_ct(P,R))"]);
});

test("what leaks later is known later alone", () => {
  const found = texts(attacked([clause(att(term("c_a")))], [term("early")], [term("late")]));
  assert.ok(found.includes("att(early)"));
  assert.ok(found.includes("later(late)"));
  assert.ok(found.includes("later(X) <- att(X)"));
  assert.ok(!found.includes("att(late)"));
  assert.equal(later(X).symbol, "later");
});

test("a part that is not there cannot be taken out", () => {
  assert.deepEqual(without(["a", ["b", "c"]], "b"), ["a", ["c"]]);
  assert.throws(() => without(["a", ["b"]], "d"), /expected a part d/);
});

test("ProVerif's answers are read in their order, sanity queries being false", () => {
  const output = [
    "RESULT not attacker(up[]) is true.",
    "RESULT inj-event(a) ==> inj-event(b) is false.",
    "RESULT (even event(a) ==> event(b) is false.)",
    "RESULT event(x) cannot be proved.",
  ].join("\n");
  assert.deepEqual(answersIn(output), ["true", "false", "unproved"]);
  const expected = expectedAnswers({ name: "made up", fails: ["answers"] });
  assert.deepEqual(expected, [true, false, true, true, true, false, false]);
});
