// What doctor has found out, as people read it.
import { plural, showNumber } from "../../core/number.ts";
import type { Cost } from "./cost.ts";
import { aspects } from "./judge.ts";
import type { Aspect, Check } from "./judge.ts";

const titles: Readonly<Record<Aspect, string>> = {
  name: "name",
  owner: "owner",
  site: "site",
  count: "count",
  flow: "flow",
  counters: "cross-check",
};

const marks = { right: "✓", wrong: "✗", none: "–" } as const;

/** A row for each check, with what was expected and found below those that are wrong. */
export function showChecks(checks: readonly Check[]): string {
  const kind = Math.max(4, ...checks.map((check) => check.kind.length));
  const row = (name: string, family: string, sent: string, rest: string): string =>
    `${name.padEnd(kind)}  ${family.padEnd(4)}  ${sent.padStart(5)}  ${rest}`.trimEnd();
  const cells = (cell: (aspect: Aspect) => string): string =>
    aspects.map((aspect) => cell(aspect).padEnd(titles[aspect].length)).join("  ");
  return [
    row("drop", "IP", "sent", cells((aspect) => titles[aspect])),
    ...checks.flatMap(({ kind, family, sent, findings, why = "" }) => {
      const start = [kind, `v${family}`] as const;
      if (findings === undefined) return [row(...start, "–", `skipped: ${why}`)];
      return [
        row(...start, showNumber(sent), cells((aspect) => marks[findings[aspect].verdict])),
        ...aspects.filter((aspect) => findings[aspect].verdict === "wrong").flatMap((aspect) => [
          `    ${titles[aspect]}: expected ${findings[aspect].expected}`,
          `    ${" ".repeat(titles[aspect].length)}     found ${findings[aspect].found}`,
        ]),
      ];
    }),
  ].join("\n");
}

/** How many there were of each. */
export interface Sums {
  readonly checks: number;
  readonly right: number;
  readonly wrong: number;
  readonly skipped: number;
}

/** Counts verdicts. */
export function sumsOf(checks: readonly Check[]): Sums {
  const of = (verdict: Check["verdict"]): number =>
    checks.filter((check) => check.verdict === verdict).length;
  return {
    checks: checks.length,
    right: of("right"),
    wrong: of("wrong"),
    skipped: of("skipped"),
  };
}

/** Whether nothing is wrong. Where nothing could be tried, nothing is known to be right. */
export function allRight({ right, wrong }: Sums): boolean {
  return wrong === 0 && right > 0;
}

/** `19 checks: 19 right, 0 wrong, 0 skipped` */
export function showSums({ checks, right, wrong, skipped }: Sums): string {
  return `${plural(checks, "check")}: ${right} right, ${wrong} wrong, ${skipped} skipped`;
}

/** `+640 ns a drop (plain send 1,200 ns)` */
export function showCost({ plain, added }: Cost): string {
  return `${added < 0 ? "" : "+"}${showNumber(added)} ns a drop (plain send ${
    showNumber(plain)
  } ns)`;
}
