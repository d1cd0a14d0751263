// Completion as bash itself does it.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "bun:test";
import { commands } from "./commands.ts";
import { completionScript } from "./completion.ts";
import { options } from "./option.ts";

/** What bash offers at the end of a line. */
function offered(...words: string[]): string[] {
  const script = `${completionScript("bash", commands)}
COMP_WORDS=(dropwatch "$@")
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_dropwatch
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", script, "bash", ...words], {
    encoding: "utf8",
    cwd: "/",
  });
  expect([stderr, status]).toEqual(["", 0]);
  return stdout.split("\n").filter((line) => line !== "");
}

describe("bash completes", () => {
  test("commands, and options without one", () => {
    expect(offered("re")).toEqual(["record", "reasons", "reason", "replay"]);
    expect(offered("")).toContain("watch");
    expect(offered("--ru")).toEqual(["--rules"]);
  });

  test("the options of a command, and no others", () => {
    expect(offered("tail", "--r")).toEqual(["--reason"]);
    for (const { name, options: own } of commands) {
      expect(offered(name, "--")).toEqual([...own, "help", "version"].map((each) => `--${each}`));
    }
  });

  test("verbs, names of reasons, files", () => {
    expect(offered("silence", "")).toEqual(["add", "list", "expire"]);
    expect(offered("reason", "SOCKET_R")).toEqual(["SOCKET_RCVBUFF"]);
    expect(offered("check", "/et")).toEqual(["/etc"]);
    expect(offered("help", "doc")).toEqual(["doctor"]);
  });

  test("the value of an option, behind a space and behind an equals sign", () => {
    expect(offered("stacks", "--format", "s")).toEqual(["speedscope"]);
    expect(offered("--sink", "=", "sl")).toEqual(["slack="]);
    expect(offered("--state", "/et")).toEqual(["/etc"]);
    expect(offered("--interval", "")).toEqual([]);
  });
});

test("fish is told of each option of each command, with its doc", () => {
  const script = completionScript("fish", commands);
  for (const { name, options: own } of commands) {
    expect(script).toContain(`__fish_use_subcommand -a ${name} `);
    for (const option of own) {
      expect(
        script.split("\n").some((line) =>
          line.includes(`__fish_seen_subcommand_from ${name}'`) && line.includes(` -l ${option} `)
        ),
      ).toBe(true);
    }
  }
  const doc = options.sink.doc.replaceAll("'", "\\'");
  expect(script).toContain(doc);
});

test("zsh runs what bash runs", () => {
  expect(completionScript("zsh", commands)).toContain(completionScript("bash", commands));
});
