import { describe, expect, test } from "bun:test";
import { hostileNames, rawControl } from "../test/alert.ts";
import * as errors from "./error.ts";
import {
  badOption,
  DropwatchError,
  jsonLine,
  printable,
  quote,
  reasonOf,
  showPlace,
} from "./error.ts";

describe("text that a stranger chose", () => {
  test("is printed without a control character, a line's end or a change of direction", () => {
    for (const name of hostileNames) {
      expect(printable(name)).not.toMatch(rawControl);
      expect(quote(name)).not.toMatch(rawControl);
      expect(reasonOf(new Error(name))).not.toMatch(rawControl);
      expect(jsonLine({ [name]: name })).not.toMatch(rawControl);
    }
  });

  test("shows what was there", () => {
    expect(printable("a\x1b[1m\u202e€")).toBe("a\\x1b[1m\\u202e€");
    expect(printable("plain, with ümläut and 日本")).toBe("plain, with ümläut and 日本");
  });

  test("is cut where it is long", () => {
    expect(quote("x".repeat(80))).toBe(`"${"x".repeat(80)}"`);
    expect(quote("x".repeat(81))).toBe(`"${"x".repeat(79)}…"`);
    expect(quote({ a: [1] })).toBe('"{"a":[1]}"');
    expect(quote(undefined)).toBe('"undefined"');
  });

  test("is quoted though JSON can't say it", () => {
    const endless: Record<string, unknown> = { name: "x\x1b[1m" };
    endless.self = endless;
    expect(quote(10n)).toBe('"10n"');
    expect(quote({ maxKeys: 10n })).toContain("maxKeys: 10n");
    expect(quote(endless)).toContain("self: [Circular");
    expect(quote(endless)).not.toMatch(rawControl);
    const bad = {
      toJSON() {
        throw new Error("no");
      },
    };
    expect(quote(bad)).toMatch(/^".*toJSON.*"$/);
  });

  test("in JSON is the same to whoever reads it", () => {
    for (const name of hostileNames) {
      expect(JSON.parse(jsonLine({ name }))).toEqual(JSON.parse(JSON.stringify({ name })));
    }
  });
});

describe("an error", () => {
  test("has a code, the exit code of the command line, a place and the value", () => {
    const error = errors.badCapture("drops.ndjson", 7, "the time jumps");
    expect(error).toBeInstanceOf(DropwatchError);
    expect([error.code, error.exit]).toEqual(["BAD_CAPTURE", 3]);
    expect(showPlace(error.place!)).toBe("drops.ndjson:7");
    expect(badOption("limit", "x\n", "a number")).toMatchObject({
      code: "BAD_OPTION",
      exit: 2,
      data: { option: "limit", value: "x\n" },
      message: 'Cannot use --limit "x\\x0a": expected a number',
    });
  });

  test("names the nearest, where there is one", () => {
    expect(errors.unknownOption("--ruels", ["--rules"]).message).toMatch(/; nearest: --rules$/);
    expect(errors.unknownOption("--ruels", []).message).not.toContain("nearest");
  });

  test("is the only one with its code, and ends without a full stop", () => {
    const place = { file: "f" };
    const made = [
      errors.unknownOption("", []),
      errors.unknownCommand("", []),
      errors.badOption("", "", ""),
      errors.missingArgument("", ""),
      errors.badConfig("", "", "", "x"),
      errors.unknownConfigKey("", "", []),
      errors.unreadableFile("", "x"),
      errors.unknownSink("", [], []),
      errors.unknownSource("", []),
      errors.badSinkOption("", "x"),
      errors.notARule(place, "x"),
      errors.ruleSyntax(place, "x"),
      errors.ruleThrew(place, "x"),
      errors.ruleHung(place, 1, "x"),
      errors.ruleCrashed(place, "x", "x"),
      errors.textFailed(place, "x", "x"),
      errors.hostFailed("x"),
      errors.ruleMistake(place, "x", "x", "x"),
      errors.duplicateAlert(place, "x", place),
      errors.unavailableField(place, "x", "x"),
      errors.noRules("x"),
      errors.badDuration("x"),
      errors.noRoot("x"),
      errors.noBpftrace("x", "x"),
      errors.noTracepoint("x"),
      errors.noReasonField("x"),
      errors.bpftraceFailed("x", ""),
      errors.badCapture("x", 1, "x"),
      errors.unknownReason("x", []),
    ];
    expect(new Set(made.map(({ code }) => code)).size).toBe(made.length);
    for (const { message, exit } of made) {
      expect(message).not.toMatch(/\.$/); // Behind a space it is the name of something.
      expect([1, 2, 3]).toContain(exit);
    }
  });
});
