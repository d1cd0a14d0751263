// The flame graph of where in the kernel packets were dropped, and the same as a table.
import { select } from "d3-selection";
import type { Stacks } from "../../../../core/view/view.ts";
import { ask, failureText } from "./api.ts";
import { mix } from "./colour.ts";
import { byId, fill, make, reconcile, setText } from "./element.ts";
import { flameGraph } from "./flame_library.ts";
import type { FlameGraph, Frame } from "./flame_library.ts";
import { flameTree } from "./flame_tree.ts";
import { addFilters, windowOf } from "./look.ts";
import type { Look } from "./look.ts";
import type { Reasons } from "./reasons.ts";
import { percent, whole } from "./words.ts";

export interface Flame {
  /** Reads the stacks of a look, where `now` is the server's time. */
  load(look: Look, now: number): Promise<void>;
  /** Whether somebody reads in it: then it isn't drawn anew by itself. */
  readonly isBusy: boolean;
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
  let graph: FlameGraph | undefined;
  let stacks: Stacks | undefined;
  let told = "";
  let turn = 0;
  let isZoomed = false;
  let drawn = "";
  let colours: ReadonlyMap<string, string> = new Map();

  const nameOf = ({ data }: Frame): string => data.name;
  const label = (frame: Frame): string => {
    const { name, value, reason } = frame.data;
    const of = reason === "" || reason === name ? "" : ` (${reason})`;
    return `${name}${of}: ${whole(value)} drops, ${percent(value, stacks?.total ?? 0)} of all`;
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
          : `${whole(results.length)} places match, with ${percent(value, all)} of the drops`;
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
    get isBusy() {
      return isZoomed || search.value !== "" || root.matches(":hover") ||
        section.contains(document.activeElement);
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
      if ("failed" in answer) {
        setText(sum, failureText(answer.failed));
        return;
      }
      stacks = answer.value;
      const { kept, total } = stacks;
      fill(
        sum,
        kept === 0
          ? total === 0
            ? "No drops in this time."
            : `No stack was walked of the ${whole(total)} drops in this time.`
          : `Sampled: ${whole(kept)} stacks were walked, of ${whole(total)} counted drops${
            // Whole stacks of coarse times lie beside drops of the very time.
            kept > total ? "" : ` (${percent(kept, total)})`}. ` +
            "A width is what was counted of a reason, shared out over its stacks.",
      );
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
