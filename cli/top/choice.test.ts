import { describe, expect, test } from "bun:test";
import type { FieldName } from "../../core/drop/field.ts";
import { newChoice, press, showFilters } from "./choice.ts";
import type { Choice, Effect, Shown } from "./choice.ts";
import { readKeys } from "./key.ts";
import type { Row } from "./row.ts";

const fields: readonly FieldName[] = ["reason", "owner", "dev", "site"];
const rowOf = (...labels: string[]): Row => ({
  key: JSON.stringify(labels),
  labels,
  rate: 1,
  average: 1,
  total: 1,
  minute: 1,
  share: 1,
  values: [],
});
const rows = ["A", "B", "C", "D"].map((name) => rowOf(name));
const shown: Shown = { fields, rows, page: 2 };

function typed(input: string, from: Choice = newChoice(), what: Shown = shown): Choice {
  return readKeys(input, true).keys.reduce((choice, key) => press(choice, key, what).choice, from);
}

const effect = (input: string, from?: Choice): Effect | undefined =>
  press(from ?? newChoice(), readKeys(input, true).keys[0]!, shown).effect;

describe("keys", () => {
  test("group by any subset of the fields", () => {
    expect(typed("2").by).toEqual(["reason", "owner"]);
    expect(typed("42").by).toEqual(["reason", "owner", "site"]);
    expect(typed("31").by).toEqual(["dev"]);
    expect(typed("1").by).toEqual([]);
    expect(typed("9").by).toEqual(["reason"]);
  });

  test("go round the fields: each alone, then all", () => {
    expect(typed("g").by).toEqual(["owner"]);
    expect(typed("ggg").by).toEqual(["site"]);
    expect(typed("gggg").by).toEqual([...fields]);
    expect(typed("ggggg").by).toEqual(["reason"]);
  });

  test("sort by the next column or the one before, and the other way round", () => {
    expect(typed("s").sort).toBe("average");
    expect(typed(">>").sort).toBe("total");
    expect(typed("<").sort).toBe("name");
    expect(typed("sssss").sort).toBe("rate");
    expect(typed("r").reverse).toBe(true);
    expect(typed("rr").reverse).toBe(false);
  });

  test("move the selection within the rows, and it stays with its row", () => {
    expect(typed("j").selected).toBe(rows[1]!.key);
    expect(typed("\x1b[B\x1b[B\x1b[A").selected).toBe(rows[1]!.key);
    expect(typed("jjjjjjjj").selected).toBe(rows[3]!.key);
    expect(typed("kkk").selected).toBe(rows[0]!.key);
    expect(typed("\x1b[6~").selected).toBe(rows[2]!.key);
    expect(typed("\x1b[F\x1b[5~").selected).toBe(rows[1]!.key);
    expect(typed("\x1b[F\x1b[H").selected).toBeNull();
    expect(typed("j", newChoice(), { ...shown, rows: [] }).selected).toBeNull();
    const turned = { ...shown, rows: rows.toReversed() };
    expect(typed("j", newChoice({ selected: rows[1]!.key }), turned).selected).toBe(rows[0]!.key);
  });

  test("go into a row and out again: its drops, by one field more", () => {
    const inside = typed("j\r");
    expect(inside.filters).toEqual([{ is: { reason: ["B"] }, before: ["reason"] }]);
    expect(inside.by).toEqual(["reason", "owner"]);
    expect(inside.selected).toBeNull();
    expect(typed("\x7f", inside)).toMatchObject({ filters: [], by: ["reason"] });
    const deeper = typed("\r", inside, { ...shown, rows: [rowOf("B", "nginx")] });
    expect(deeper.by).toEqual(["reason", "owner", "dev"]);
    expect(showFilters(deeper.filters)).toBe("reason=B  owner=nginx");
    expect(typed("\x1b", deeper).by).toEqual(["reason", "owner"]);
    expect(typed("\r", newChoice(), { ...shown, rows: [] }).filters).toEqual([]);
  });

  test("type a filter: letters are letters then, and Esc gives it up", () => {
    expect(typed("/qs d").typing).toBe("qs d");
    expect(typed("/qs\r")).toMatchObject({ filters: [{ text: "qs" }], typing: null });
    expect(typed("/q\x7f\x7f").typing).toBeNull();
    expect(typed("/日本\x7f\r").filters).toEqual([{ text: "日" }]);
    expect(typed("/abc\x1b")).toMatchObject({ filters: [], typing: null });
    expect(typed("/\r").filters).toEqual([]);
    expect(typed(`/${"x".repeat(500)}`).typing!.length).toBe(100);
    expect(effect("q", newChoice({ typing: "" }))).toBeUndefined();
    expect(effect("\x03", newChoice({ typing: "" }))).toBe("end");
  });

  test("take filters off one by one, the last one first", () => {
    const two = typed("/a\r/b\r");
    expect(typed("\x1b", two).filters).toEqual([{ text: "a" }]);
    expect(typed("\x1b\x1b\x1b", two).filters).toEqual([]);
  });

  test("open panes, and the help over everything", () => {
    expect(typed("d").pane).toBe("stack");
    expect(typed("\t\t").pane).toBe("alerts");
    expect(typed("ddd").pane).toBe("none");
    expect(typed("i").pane).toBe("reason");
    expect(typed("ii").pane).toBe("none");
    expect(typed("dJJK").scrolled).toBe(1);
    expect(typed("dJJj").scrolled).toBe(0);
    expect(typed("?").help).toBe(true);
    expect(typed("?s")).toMatchObject({ help: false, sort: "rate" });
  });

  test("stand still, end, go to the shell, draw again", () => {
    expect(typed(" ").paused).toBe(true);
    expect(typed("  ").paused).toBe(false);
    expect(effect("q")).toBe("end");
    expect(effect("\x03")).toBe("end");
    expect(effect("\x1a")).toBe("suspend");
    expect(effect("\x0c")).toBe("redraw");
    expect(effect("q", newChoice({ help: true }))).toBe("end");
  });

  test("that mean nothing change nothing", () => {
    expect(typed("zZ%日")).toEqual(newChoice());
  });
});
