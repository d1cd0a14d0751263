// Silences: for some time nobody is told of what they match.
import { userInfo } from "node:os";
import { makeSilence, silenceState } from "../../core/alert/silence.ts";
import type { Silence } from "../../core/alert/silence.ts";
import { showMatcher, testOfAll } from "../../core/alert/matcher.ts";
import { exitCode, jsonLine, missingArgument, printable } from "../../core/error.ts";
import { plural } from "../../core/number.ts";
import { showDuration } from "../../core/rule/duration.ts";
import { findId, hasState, openBeside } from "../../core/store_beside.ts";
import type { Command } from "../command.ts";
import { readState } from "../setting.ts";
import { showTime, table } from "../table.ts";
import { verbOf, wordOf } from "../verb.ts";

export const silenceCommand: Command = {
  name: "silence",
  usage: "add MATCHER… | list | expire ID",
  doc: "keep alerts quiet for some time: nobody is told of what matches",
  words: Infinity,
  options: ["duration", "comment", "author", "all", "state", "config", "json"],
  optionDocs: { duration: "how long it lasts, such as 30m or 2h; `add` needs it" },
  examples: [
    `dropwatch silence add 'alertname="SocketFilterDrops"' 'owner=~"sync.*"' --duration 2h --comment "upgrade"`,
    "dropwatch silence list",
    "dropwatch silence expire 7c1f",
  ],
  async run(given, terminal) {
    const verb = verbOf("silence", given.words[0], ["add", "list", "expire"]);
    const folder = await readState(given);
    const isNew = !hasState(folder);
    const state = openBeside(folder, verb === "add");
    const now = Date.now();
    const show = (silence: Silence): void =>
      terminal.out(
        given.flag("json")
          ? jsonLine({
            type: "silence",
            timestamp: new Date(now).toISOString(),
            data: asJson(silence, now),
          })
          : `${silence.id}  ${silenceState(silence, now)} until ${showTime(silence.endsAt)} UTC`,
      );
    try {
      if (verb === "add") {
        const duration = given.time("duration");
        if (duration === undefined) throw missingArgument("silence add", "--duration, such as 2h");
        const silence = makeSilence({
          id: crypto.randomUUID(),
          matchers: given.words.slice(1),
          startsAt: now,
          duration,
          createdBy: given.text("author") ?? process.env.SUDO_USER ?? userName(),
          comment: given.text("comment") ?? "",
        });
        state.putSilence(silence);
        show(silence);
        if (isNew) {
          terminal.log(
            `${
              printable(folder)
            } had no state: the silence counts for a \`watch\` with this --state`,
          );
          return exitCode.done;
        }
        const matches = testOfAll(silence.matchers);
        const about = state.alerts().flatMap(({ message }) =>
          message?.data.status === "firing" && matches(message.data.labels)
            ? [printable(message.data.alert)]
            : []
        );
        terminal.log(
          about.length === 0
            ? "it matches no alert that fires now; `dropwatch alerts list` shows their labels"
            : `it matches ${plural(about.length, "alert")} of those that fire now: ` +
              [...new Set(about)].join(", "),
        );
      } else if (verb === "expire") {
        const all = state.silences();
        const id = findId(
          "silence",
          wordOf("silence expire", given.words, "the silence's id"),
          all.map((each) => each.id),
        );
        const silence = all.find((each) => each.id === id)!;
        const over = {
          ...silence,
          endsAt: Math.min(silence.endsAt, now),
          startsAt: Math.min(silence.startsAt, now),
        };
        state.putSilence(over);
        show(over);
      } else {
        const silences = state.silences()
          .filter((each) => given.flag("all") || silenceState(each, now) !== "expired")
          .sort((a, b) => a.endsAt - b.endsAt);
        if (given.flag("json")) silences.forEach(show);
        else if (silences.length === 0) terminal.log("no silence: everybody is told of everything");
        else terminal.out(tableOf(silences, now).join("\n"));
      }
      return exitCode.done;
    } finally {
      state.close();
    }
  },
};

/** Who runs this; in a container that may be a number without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

function tableOf(silences: readonly Silence[], now: number): string[] {
  return table(
    ["id", "state", "matches", "ends", "by", "comment"],
    silences.map((each) => {
      const state = silenceState(each, now);
      const { id, matchers, startsAt, endsAt, createdBy, comment } = each;
      return [
        id.slice(0, 8),
        state,
        printable(matchers.map(showMatcher).join(" ")),
        state === "expired"
          ? `${showDuration(now - endsAt)} ago`
          : state === "pending"
          ? `begins in ${showDuration(startsAt - now)}`
          : `in ${showDuration(endsAt - now)}`,
        printable(createdBy),
        printable(comment),
      ];
    }),
  );
}

function asJson(silence: Silence, now: number): unknown {
  const { id, matchers, startsAt, endsAt, createdBy, comment } = silence;
  return {
    id,
    state: silenceState(silence, now),
    matchers: matchers.map(showMatcher),
    startsAt: new Date(startsAt).toISOString(),
    endsAt: new Date(endsAt).toISOString(),
    createdBy,
    comment,
  };
}
