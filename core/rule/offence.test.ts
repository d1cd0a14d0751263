// When code of a rule isn't run any more, and until when.
import { describe, expect, test } from "bun:test";
import { ruleOf } from "../../test/rule.ts";
import { codeFailed, ruleCrashed, ruleHung, tooSlow } from "../error.ts";
import { makeOffences } from "./offence.ts";

const place = { file: "a.ts" };
const rule = ruleOf({ alert: "A" });
const hung = ruleHung(place, 0.5, "run");
const crashed = ruleCrashed(place, "run", "exit code 1");
const failed = codeFailed(place, "code", "no");
const minute = 60_000;

describe("a rule is disabled", () => {
  test("with the third offence that ended a process, whichever they were", () => {
    const offences = makeOffences();
    expect(offences.note(rule, hung, 0)).toBe(false);
    expect(offences.note(rule, crashed, minute)).toBe(false);
    expect(offences.isDisabled(rule)).toBe(false);
    expect(offences.note(rule, hung, 9 * minute)).toBe(true);
    expect(offences.isDisabled(rule)).toBe(true);
  });

  test("with the tenth of any kind", () => {
    const offences = makeOffences();
    const all = [hung, ...Array.from({ length: 8 }, () => failed), tooSlow(place, 30)];
    expect(all.map((error, i) => offences.note(rule, error, i))).toEqual(
      [...Array.from({ length: 9 }, () => false), true],
    );
  });

  test("once: it is said once, and told at each tick", () => {
    const offences = makeOffences();
    for (let i = 0; i < 3; i++) offences.note(rule, hung, i);
    expect(offences.note(rule, hung, 3)).toBe(false);
    const event = { rule: "A", file: rule.file, why: "RULE_HUNG", n: 1 };
    expect(offences.take().filter(({ event }) => event === "ruleError")).toHaveLength(4);
    expect(offences.take()).toEqual([{ event: "ruleDisabled", ...event }]);
    expect(offences.take()).toEqual([{ event: "ruleDisabled", ...event }]);
  });

  test("not for what is more than ten minutes apart", () => {
    const offences = makeOffences();
    for (let i = 0; i < 20; i++) expect(offences.note(rule, hung, 6 * i * minute)).toBe(false);
  });

  test("and not for what another rule of its file did", () => {
    const offences = makeOffences();
    for (let i = 0; i < 3; i++) offences.note(rule, hung, i);
    expect(offences.isDisabled({ ...rule, index: 1 })).toBe(false);
  });

  test("until its file changes; a reload of others changes nothing", () => {
    const offences = makeOffences();
    for (let i = 0; i < 3; i++) offences.note(rule, hung, i);
    offences.keep([{ ...rule }]);
    expect(offences.isDisabled(rule)).toBe(true);
    const changed = { ...rule, bundle: "another" };
    offences.keep([changed]);
    expect(offences.isDisabled(changed)).toBe(false);
    expect(offences.take().filter(({ event }) => event === "ruleDisabled")).toEqual([]);
  });
});
