// The drops that the page shows: the history of its time, and then tick by tick. Two boards of it: one
// for the chart, by one field, and a coarser one for the culprits, by all of them.
import type { Drops, HistoryLabel, ViewTick } from "../../../../core/view/view.ts";
import type { Answer, Failure } from "./api.ts";
import { makeBoard } from "./board.ts";
import type { Board } from "./board.ts";
import { addFilters, filterTest, windowOf, zoomStep } from "./look.ts";
import type { Look } from "./look.ts";

export interface Shown {
  readonly look: Look;
  readonly chart: Board;
  readonly culprits: Board;
  /** The fields that culprits are told apart by. */
  readonly culpritFields: readonly string[];
  /** Drops of its time that are known to be missing. */
  missing: number;
  /** Whether somebody counted all the time, and nothing is missing. */
  exact: boolean;
}

export interface Feed {
  /** What there is to show; undefined until the first history came. */
  readonly shown: Shown | undefined;
  /** Whether what was asked for last is still on its way. */
  readonly isLoading: boolean;
  /** Reads what a look asks for; what was shown stays until it is there. */
  load(look: Look): Promise<void>;
  /** What the ticks' labels are, in their order. */
  fields(fields: readonly string[]): void;
  tick(tick: ViewTick): void;
  /** The moment up to which the server had counted, where no later tick came yet. */
  startAt(at: number): void;
}

/** Those of the history's fields that make up a culprit, in the order of the table's columns. */
export const culpritFields: readonly string[] = ["owner", "reason", "site", "dev"];

const mostCharted = 200;
const mostCulprits = 1000;
const sparkSteps = 60;
/** Ticks that came while the history was on its way; it takes seconds at most. */
const mostWaiting = 600;

/** `read` asks for drops; `failed` is called with why that gave none, and with undefined once it did. */
export function makeFeed(
  read: (path: string) => Promise<Answer<Drops>>,
  changed: (what: "history" | "tick") => void,
  failed: (failure: Failure | undefined) => void,
): Feed {
  let shown: Shown | undefined;
  let fields: readonly string[] = [];
  let last = 0;
  /** How often something was asked for: only the last answer counts. */
  let turn = 0;
  let isLoading = false;
  let waiting: ViewTick[] = [];
  let charted: (labels: readonly HistoryLabel[]) => readonly HistoryLabel[] | undefined = () =>
    undefined;
  let blamed = charted;

  const aim = ({ look, culpritFields: own }: Shown): void => {
    const fits = filterTest(look.filters, fields);
    const by = fields.indexOf(look.by);
    const places = own.map((field) => fields.indexOf(field));
    charted = (labels) => fits(labels) ? [labels[by] ?? null] : undefined;
    blamed = (labels) => fits(labels) ? places.map((at) => labels[at] ?? null) : undefined;
  };
  const take = (into: Shown, tick: ViewTick): void => {
    into.chart.add(tick, charted);
    into.culprits.add(tick, blamed);
    into.missing += tick.other + tick.lost;
    into.exact &&= tick.gap === null && tick.other + tick.lost === 0;
  };

  return {
    get shown() {
      return shown;
    },
    get isLoading() {
      return isLoading;
    },
    startAt(at) {
      last = Math.max(last, at);
    },
    fields(next) {
      fields = next;
      if (shown !== undefined) aim(shown);
    },
    tick(tick) {
      last = tick.at;
      if (isLoading) {
        waiting.push(tick);
        if (waiting.length > mostWaiting) waiting.shift();
      }
      if (shown === undefined || shown.look.zoom !== null) return;
      take(shown, tick);
      changed("tick");
    },
    async load(look) {
      const mine = ++turn;
      isLoading = true;
      const own = culpritFields.filter((field) => fields.length === 0 || fields.includes(field));
      const [until, chart, culprits] = boardsOf(look, last || Date.now());
      const [first, second] = await Promise.all([
        read(pathOf(look, chart, until, [look.by], 50)),
        read(pathOf(look, culprits, until, own, 200)),
      ]);
      // Somebody looks at something else by now.
      if (mine !== turn) return;
      isLoading = false;
      const ticks = waiting;
      waiting = [];
      if ("failed" in first || "failed" in second) {
        failed("failed" in first ? first.failed : "failed" in second ? second.failed : undefined);
        return;
      }
      failed(undefined);
      chart.fill(first.value, [look.by], until);
      culprits.fill(second.value, own, until);
      const { missing, exact } = first.value;
      shown = { look, chart, culprits, culpritFields: own, missing, exact };
      aim(shown);
      if (look.zoom === null) { for (const tick of ticks) if (tick.at > until) take(shown, tick); }
      changed("history");
    },
  };
}

/** Empty boards for a look, and up to when the history fills them. */
function boardsOf(
  { window, zoom }: Look,
  now: number,
): [until: number, chart: Board, culprits: Board] {
  if (zoom !== null) {
    const step = zoomStep(zoom.from, zoom.to);
    const size = Math.max(1, Math.ceil(zoom.to / step) - Math.floor(zoom.from / step));
    const coarse = step * Math.max(1, Math.ceil(size / sparkSteps));
    const spark = Math.max(1, Math.ceil(zoom.to / coarse) - Math.floor(zoom.from / coarse));
    return [
      zoom.to,
      makeBoard({ step, size, most: mostCharted }),
      makeBoard({ step: coarse, size: spark, most: mostCulprits }),
    ];
  }
  const { length, step } = windowOf(window);
  const phase = Math.ceil(now / 1000) * 1000 - now;
  return [
    now,
    makeBoard({ step, size: length / step, most: mostCharted, phase }),
    makeBoard({ step: length / sparkSteps, size: sparkSteps, most: mostCulprits, phase }),
  ];
}

function pathOf(
  { filters }: Look,
  { step, size }: Board,
  until: number,
  by: readonly string[],
  limit: number,
): string {
  // The board's first step begins here, whatever part of its last one is over.
  const to = Math.ceil(until / step) * step;
  const query = new URLSearchParams({
    by: by.join(),
    from: String(to - size * step),
    to: String(until),
    step: String(step),
    limit: String(limit),
  });
  addFilters(query, filters);
  return `/api/v1/drops?${query}`;
}
