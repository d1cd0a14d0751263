// The flame graph of where in the kernel packets were dropped, and the same as a table.
import { select } from "d3-selection";
import type { Stacks } from "../../../../core/view/view.ts";
import { ask, failureText } from "./api.ts";
import { mix } from "./colour.ts";
import { byId, make, reconcile, setText } from "./element.ts";
import { flameGraph } from "./flame_library.ts";
import type { FlameGraph, Frame } from "./flame_library.ts";
import { stacksText } from "./flame_sum.ts";
import { flameTree } from "./flame_tree.ts";
import { addFilters, windowOf } from "./look.ts";
import type { Look } from "./look.ts";
import type { Reasons } from "./reasons.ts";
import { moment, percent, plural, whole } from "./words.ts";

export interface Flame {
  /** Reads the stacks of a look, where `now` is the server's time. */
  load(look: Look, now: number): Promise<void>;
  /** Whether a part of it is looked at: drawn anew it would be whole again. */
  readonly isZoomed: boolean;
  /** Whether what was asked for last couldn't be read, and may be a moment later. */
  readonly isMissing: boolean;
  /** Draws it in other colours. */
  recolour(): void;
}

const cellHeight = 20;
const mostRows = 30;

/** `coloursOf` gives the colours of reasons that are shown together, the most frequent first. */
export function makeFlame(
  reasons: Reasons,
  coloursOf: (reasons: readonly string[]) => readonly string[],
): Flame {
  const section = byId("flame");
  const root = byId("flame-graph");
  const sum = byId("flame-sum");
  const details = byId("flame-details");
  const search = byId<HTMLInputElement>("flame-search");
  const reset = byId<HTMLButtonElement>("flame-reset");
  const body = document.querySelector("#flame-table tbody")!;
  const more = byId("flame-more");
  let graph: FlameGraph | undefined;
  let stacks: Stacks | undefined;
  let told = "";
  let turn = 0;
  let isZoomed = false;
  let isMissing = false;
  let drawn = "";
  let colours: ReadonlyMap<string, string> = new Map();

  const nameOf = ({ data }: Frame): string => data.name;
  const label = (frame: Frame): string => {
    const { name, value, reason } = frame.data;
    const of = reason === "" || reason === name ? "" : ` (${reason})`;
    return `${name}${of}: ${plural(value, "drop")}, ${percent(value, stacks?.total ?? 0)} of all`;
  };
  const makeGraph = (): FlameGraph =>
    flameGraph()
      .cellHeight(cellHeight)
      .transitionDuration(matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150)
      .minFrameSize(1)
      .inverted(true)
      .resetHeightOnZoom(true)
      .sort(true)
      .getName(nameOf)
      .setLabelHandler(label)
      .setDetailsHandler((text) => setText(details, text ?? told))
      .setSearchMatch(({ data }, term) =>
        term !== "" && data.name.toLowerCase().includes(term.toLowerCase())
      )
      .setSearchHandler((results, value, all) => {
        told = search.value === ""
          ? ""
          : `${plural(results.length, "place")} found, with ${percent(value, all)} of the drops`;
        setText(details, told);
      })
      .setColorMapper(({ data, highlight, depth }) => {
        if (highlight) return "#e3b505";
        if (data.reason === "") return getComputedStyle(root).borderTopColor;
        // One hue a reason, fainter with each other name, so that neighbours can be told apart.
        return mix(
          colours.get(data.reason) ?? "#808080",
          "#ffffff",
          depth === 1 ? 0.25 : 0.45 + 0.25 * faint(data.name),
        );
      })
      .onClick((frame) => {
        isZoomed = frame.parent !== null;
        reset.hidden = !isZoomed;
      });

  const draw = (): void => {
    if (stacks === undefined) return;
    const tree = flameTree(stacks.stacks);
    const isEmpty = tree.children.length === 0;
    root.hidden = isEmpty;
    if (isEmpty || root.clientWidth === 0) return;
    isZoomed = false;
    reset.hidden = true;
    const shown = [...tree.children].sort((a, b) => b.value - a.value).map(({ name }) => name);
    const own = coloursOf(shown);
    colours = new Map(shown.map((name, i) => [name, own[i]!]));
    if (graph === undefined) {
      graph = makeGraph().width(root.clientWidth);
      graph(select(root).datum(tree));
    } else graph.width(root.clientWidth).update(tree);
    if (search.value !== "") graph.search(search.value);
  };

  const drawTable = (): void => {
    if (stacks === undefined) return;
    const { length } = stacks.stacks;
    setText(more, length > mostRows ? `The first ${mostRows} of ${whole(length)}.` : "");
    reconcile(
      body,
      stacks.stacks.slice(0, mostRows),
      ({ reason, frames }) => JSON.stringify([reason, frames]),
      ({ reason, frames }) =>
        make(
          "tr",
          { "data-stack": reason },
          make("th", { scope: "row" }, reasons.name(reason)),
          make("td", { class: "number" }),
          make("td", { class: "number" }),
          make("td", { class: "mono stack" }, [...frames].reverse().join(" ← ")),
        ),
      (row, { drops, kept }) => {
        const [first, second] = row.querySelectorAll(".number");
        setText(first!, whole(drops));
        setText(second!, whole(kept));
      },
    );
  };

  search.addEventListener("input", () => {
    if (graph === undefined) return;
    if (search.value === "") {
      told = "";
      graph.clear();
    } else graph.search(search.value);
  });
  reset.addEventListener("click", () => graph?.resetZoom());
  let width = 0;
  new ResizeObserver(() => {
    if (root.clientWidth === 0 || Math.abs(root.clientWidth - width) < 2) return;
    width = root.clientWidth;
    draw();
  }).observe(section);

  return {
    get isZoomed() {
      return isZoomed;
    },
    get isMissing() {
      return isMissing;
    },
    recolour() {
      draw();
    },
    async load(look, now) {
      const mine = ++turn;
      const from = look.zoom?.from ?? now - windowOf(look.window).length;
      // Stacks are kept by coarser times: what comes until the answer is made is to be in all of it.
      const to = look.zoom?.to ?? now + 60_000;
      const query = new URLSearchParams({ from: String(from), to: String(to) });
      addFilters(query, look.filters);
      const answer = await ask<Stacks>(`/api/v1/stacks?${query}`);
      if (mine !== turn) return;
      isMissing = "failed" in answer && answer.failed.status !== 400;
      if ("failed" in answer) {
        // What is drawn is of something else, or of before: it must not pass for what was asked for.
        stacks = undefined;
        drawn = told = "";
        root.hidden = true;
        reconcile(body, [], String, () => make("tr"), () => {});
        setText(details, "");
        setText(more, "");
        setText(sum, failureText(answer.failed));
        return;
      }
      stacks = answer.value;
      const said = Date.now();
      const asOf = look.zoom === null ? ` As of ${moment(now, said)}.` : "";
      setText(sum, stacksText(stacks, { from, to }, said) + asOf);
      const next = JSON.stringify(stacks.stacks);
      if (next === drawn) return;
      drawn = next;
      draw();
      drawTable();
    },
  };
}

/** From 0 to 1, the same for the same name. */
function faint(name: string): number {
  let sum = 0;
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) % 97;
  return sum / 97;
}
