// What is read from arguments, what is refused and how, and that the help lists what can be given.
import { describe, expect, test } from "bun:test";
import { rawControl } from "../test/alert.ts";
import { DropwatchError } from "../core/error.ts";
import { sinkUsages } from "../plugins/sinks/registry.ts";
import { commands } from "./commands.ts";
import { optionHelp, options, readOptions } from "./option.ts";
import type { Given, OptionName } from "./option.ts";

const names = Object.keys(options) as OptionName[];
const switches: readonly OptionName[] = [
  "all",
  "force",
  "json",
  "once",
  "sweep",
  "help",
  "version",
];
const many: readonly OptionName[] = ["rules", "sink", "metrics", "reason", "where", "allow-host"];
const withValue = names.filter((name) => !switches.includes(name));
const single = withValue.filter((name) => !many.includes(name));
/** Those that a command names itself. */
const asked = names.filter((name) => name !== "help" && name !== "version");

const read = (...args: readonly string[]): Given => readOptions(args, asked);

/** What is wrong: the code, the exit code and the message. */
function mistake(body: () => unknown): [code: string, exit: number, message: string] {
  try {
    body();
  } catch (thrown) {
    if (thrown instanceof DropwatchError) return [thrown.code, thrown.exit, thrown.message];
    throw thrown;
  }
  throw new Error("it was taken");
}

describe("an option with a value", () => {
  for (const name of withValue) {
    test(`--${name} takes it behind a space or an equals sign, as it is written`, () => {
      expect(read(`--${name}`, "007").text(name)).toBe("007");
      expect(read(`--${name}=a=b c`).text(name)).toBe("a=b c");
      expect(read(`--${name}=-5`).text(name)).toBe("-5");
      expect(read(`--${name}=\ttrue`).list(name)).toEqual(["\ttrue"]);
    });

    test(`--${name} is not there where it isn't given`, () => {
      const given = read();
      expect([given.text(name), given.list(name)]).toEqual([undefined, []]);
      expect([given.time(name), given.number(name, 0, 9)]).toEqual([undefined, undefined]);
    });

    test(`--${name} needs one`, () => {
      for (
        const args of [[`--${name}`], [`--${name}=`], [`--${name}`, ""], [`--${name}`, "--json"]]
      ) {
        const [code, exit, message] = mistake(() => read(...args));
        expect([code, exit]).toEqual(["BAD_OPTION", 2]);
        expect(message).toBe(
          `Cannot use --${name} "": expected ${(options[name] as { value: string }).value}`,
        );
      }
    });
  }

  test.each(many)("--%s may be given several times, and keeps their order", (name) => {
    expect(read(`--${name}`, "b", `--${name}=a`, `--${name}`, "b").list(name))
      .toEqual(["b", "a", "b"]);
  });

  test.each(single)("--%s may be given once", (name) => {
    expect(mistake(() => read(`--${name}=a`, `--${name}=b`)))
      .toEqual(["BAD_OPTION", 2, `Cannot use --${name} "a b": expected one value`]);
  });
});

describe("a switch", () => {
  test.each(switches)("--%s is on where it is given, and off where it isn't", (name) => {
    expect([read(`--${name}`).flag(name), read().flag(name)]).toEqual([true, false]);
    expect(read(`--${name}`, `--${name}`).flag(name)).toBe(true);
    expect(read(`--${name}`, "word").words).toEqual(["word"]);
  });

  test("has a short name where it is asked for often: -h and -V", () => {
    expect(read("-h").flag("help")).toBe(true);
    expect(read("-V").flag("version")).toBe(true);
    expect([read("-hV").flag("help"), read("-hV").flag("version")]).toEqual([true, true]);
  });

  test("is there for every command: --help and --version", () => {
    expect(readOptions(["--help"], []).flag("help")).toBe(true);
    expect(readOptions(["--version"], []).flag("version")).toBe(true);
  });

  test("takes no value", () => {
    for (const args of [["--json=yes"], ["--json=0"], ["--json", "false"], ["-V5"]]) {
      const [code, exit] = mistake(() => read(...args));
      expect([code, exit]).toEqual(["BAD_OPTION", 2]);
    }
  });
});

describe("words", () => {
  test("are kept in order, and as they are written", () => {
    expect(read("b", "--limit", "3", "007", "a", "1e3", "-").words)
      .toEqual(["b", "007", "a", "1e3", "-"]);
  });

  test("may look like options behind --", () => {
    expect(read("--", "--json", "-x").words).toEqual(["--json", "-x"]);
  });
});

describe("a duration", () => {
  test("is read as milliseconds", () => {
    const of = (text: string): unknown => read("--duration", text).time("duration");
    expect(["500ms", "10s", "1.5s", "5m", "1h30m"].map(of))
      .toEqual([500, 10_000, 1500, 300_000, 5_400_000]);
  });

  test.each(["10", "0s", "s", "ten", "-5s", "1 s", "10s\n", "1s1h", "\x1b[2J"])(
    "is not %j",
    (text) => {
      const [code, exit, message] = mistake(() => read(`--interval=${text}`).time("interval"));
      expect([code, exit]).toEqual(["BAD_OPTION", 2]);
      expect(message).toMatch(/^Cannot use --interval ".*": expected a duration such as /);
      expect(message).not.toMatch(rawControl);
    },
  );
});

describe("a number", () => {
  test("is whole, and in its bounds", () => {
    const of = (text: string): unknown => read("--limit", text).number("limit", 1, 1000);
    expect(["1", "20", "007", "1000"].map(of)).toEqual([1, 20, 7, 1000]);
  });

  test.each(["0", "1001", "1.5", "1e2", "0x10", "ten", "10 ", "-5", "9".repeat(40), "١"])(
    "is not %s",
    (text) => {
      const [code, exit, message] = mistake(() => read(`--limit=${text}`).number("limit", 1, 1000));
      expect([code, exit]).toEqual(["BAD_OPTION", 2]);
      expect(message).toMatch(/: expected a whole number from 1 to 1000$/);
      expect(message.length).toBeLessThan(200);
    },
  );
});

describe("a size", () => {
  test("is in bytes, or in K, M or G of 1024, and in its bounds", () => {
    const of = (text: string): unknown => read("--max-size", text).size("max-size", 100, 2 ** 32);
    expect(["100", "64K", "10m", "2G", "4G"].map(of))
      .toEqual([100, 65_536, 10_485_760, 2 ** 31, 2 ** 32]);
    expect(read().size("max-size", 0, 1)).toBe(undefined);
  });

  test.each(["99", "5G", "1.5M", "M", "10 M", "10MB", "1e3", "-1", "9".repeat(40)])(
    "is not %s",
    (text) => {
      const [code, exit, message] = mistake(() =>
        read(`--max-size=${text}`).size("max-size", 100, 2 ** 32)
      );
      expect([code, exit]).toEqual(["BAD_OPTION", 2]);
      expect(message).toMatch(/: expected a size from 100 bytes to 4 GiB, such as 100M or 2G$/);
    },
  );
});

describe("an option that there isn't", () => {
  test.each([
    ["--ruels", "--rules"],
    ["--rulse=x", "--rules"],
    ["--JSON", "--json"],
    ["--no-json", "--json"],
    ["---json", "--json"],
    ["--maxKeys", "--max-keys"],
    ["--hel", "--help"],
    ["--verson", "--version"],
  ])("%s is refused, and %s is named", (arg, near) => {
    const [code, exit, message] = mistake(() => read(arg));
    expect([code, exit]).toEqual(["UNKNOWN_OPTION", 2]);
    const option = arg.replace(/=.*/, "");
    const told = `Cannot read the option "${option}": there is no such option; nearest: ${near}`;
    expect(message.slice(0, told.length)).toBe(told);
  });

  test.each([
    "-x",
    "-hx",
    "-5",
    "-=x",
    "--=x",
    "--_=x",
    "--wholly-different",
    "--__proto__",
    "--__proto__=x",
    "--constructor=x",
    "--toString",
  ])("%s is refused, and nothing is guessed", (arg) => {
    const [code, exit, message] = mistake(() => read(arg));
    expect([code, exit]).toEqual(["UNKNOWN_OPTION", 2]);
    expect(message).not.toContain("nearest");
  });

  test("is one that only another command has", () => {
    const [code, , message] = mistake(() => readOptions(["--limit", "5"], ["json"]));
    expect([code, message]).toEqual([
      "UNKNOWN_OPTION",
      `Cannot read the option "--limit": there is no such option`,
    ]);
  });

  test("is told without its value, which may be a secret, and without control characters", () => {
    const [, , message] = mistake(() => read("--snik\x1b[31m=https://x.example/s3cret\nand more"));
    expect(message).not.toMatch(/s3cret|more/);
    expect(message).not.toMatch(rawControl);
    expect(message).toContain("--snik\\x1b[31m");
  });
});

describe("the help", () => {
  test("has a line for each option, with its letter, value and what it does, and for --help", () => {
    // A text that is too long goes on in the lines below it.
    const lines = optionHelp(asked).join("\n").replace(/\n {12,}(?=\S)/g, " ").split("\n");
    const names = [...asked, "help", "version"] as const;
    expect(lines).toHaveLength(names.length);
    for (const [at, name] of names.entries()) {
      const { value, doc, short } = options[name] as {
        value?: string;
        doc: string;
        short?: string;
      };
      const letter = short === undefined ? "" : `-${short}, `;
      expect(lines[at]!.trim().replace(/ {2,}/, "|"))
        .toBe(`${letter}--${name}${value === undefined ? "" : ` ${value}`}|${doc}`);
    }
    expect(new Set(lines.map((line) => line.search(/(?<=\S {2,})\S/))).size).toBe(1);
  });

  test("fits on a terminal of 100 columns", () => {
    for (const line of optionHelp(asked)) expect([line, line.length <= 100]).toEqual([line, true]);
  });

  test("names every sink that there is", () => {
    for (const usage of sinkUsages) expect(options.sink.doc).toContain(usage);
  });

  for (const { name, options: taken, examples } of commands) {
    test(`of ${name} has examples, and its options take all that they give`, () => {
      expect(examples.length).toBeGreaterThan(0);
      for (const example of examples) {
        const [program, ...args] = (example.replace(/ [|>] .*/, "").match(/"[^"]*"|\S+/g) ?? [])
          .map((word) => word.replaceAll('"', ""));
        expect(program).toBe("dropwatch");
        const rest = args[0] === name ? args.slice(1) : args;
        expect(() => readOptions(rest, taken)).not.toThrow();
      }
    });
  }

  test("every option is one that some command takes", () => {
    expect([...new Set(commands.flatMap((command) => command.options))].sort())
      .toEqual([...asked].sort());
  });
});
