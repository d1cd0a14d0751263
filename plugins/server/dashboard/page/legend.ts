// The table beside the chart: what its colours are, and the same numbers as text.
import type { Series } from "./board.ts";
import { byId, fill, make, reconcile, setAttributes, setText } from "./element.ts";
import type { Reasons } from "./reasons.ts";
import type { Picture } from "./stacking.ts";
import { labelMeaning, labelName, percent, short, whole } from "./words.ts";

export interface LegendEvents {
  pick(series: Series): void;
  /** The row under the pointer, or with the focus; undefined for none. */
  focus(key: string | undefined): void;
}

export interface Legend {
  /** `step` is the step under the pointer; null for now, which there is only where it is live. */
  draw(
    picture: Picture,
    colours: readonly string[],
    by: string,
    step: number | null,
    isLive: boolean,
  ): void;
}

export function makeLegend(reasons: Reasons, events: LegendEvents): Legend {
  const body = document.querySelector("#legend tbody")!;
  const now = document.querySelector("#legend thead .legend-now")!;
  const name = document.querySelector("#legend thead .legend-name")!;
  const chart = byId("chart");
  const current = new Map<string, Series>();

  const create = (series: Series, by: string, isRest: boolean): HTMLTableRowElement => {
    const { key, labels: [label = null] } = series;
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    const text = isRest ? make("span", { class: "rest-name" }) : make("button", {
      type: "button",
      class: "pick",
      title: labelMeaning(by, label) || `only ${labelName(by, label)}`,
      onclick: () => {
        const mine = current.get(key);
        if (mine !== undefined) events.pick(mine);
      },
    }, labelName(by, label));
    if (label === null || label === "") text.classList.add("absent");
    const isReason = by === "reason" && !isRest && label !== null && label !== "";
    const row = make(
      "tr",
      isRest ? { "data-rest": true } : { "data-series": label ?? "\\0" },
      make(
        "th",
        { scope: "row", class: "legend-name" },
        make(
          "span",
          { class: "legend-cell" },
          swatch,
          text,
          isReason && make("span", { class: "class-place" }),
          isReason && reasons.mark(label),
        ),
      ),
      make("td", { class: "number legend-now" }),
      make("td", { class: "number legend-share" }),
      make("td", { class: "number legend-total" }),
    );
    row.addEventListener("pointerenter", () => events.focus(key));
    row.addEventListener("pointerleave", () => events.focus(undefined));
    row.addEventListener("focusin", () => events.focus(key));
    row.addEventListener("focusout", () => events.focus(undefined));
    return row;
  };

  return {
    draw(picture, colours, by, step, isLive) {
      current.clear();
      for (const series of picture.series) current.set(series.key, series);
      setText(name, by);
      setText(now, step === null ? "now/s" : "then/s");
      const rows = picture.series.map((series, at) => ({
        series,
        at,
        isRest: picture.hasRest && at === picture.series.length - 1,
      }));
      reconcile(
        body,
        rows,
        ({ series }) => `${by} ${series.key}`,
        ({ series, isRest }) => create(series, by, isRest),
        (row, { series, at, isRest }) => {
          const [swatch, now, share, total] = row.querySelectorAll<HTMLElement>(".swatch, td");
          swatch!.style.backgroundColor = colours[at]!;
          const rate = step !== null
            ? picture.rates[at]![step] ?? null
            : isLive
            ? series.now
            : null;
          setText(now!, rate === null ? "–" : short(rate));
          setText(share!, percent(series.total, picture.total));
          setText(total!, whole(series.total));
          if (isRest) {
            const { restKeys } = picture;
            const rest = row.querySelector(".rest-name")!;
            setText(rest, `${whole(restKeys)} ${restKeys === 1 ? "other" : "others"}`);
          }
          const place = row.querySelector(".class-place:empty");
          if (place !== null) fill(place, reasons.classMark(series.labels[0] ?? ""));
        },
      );
      const [first] = picture.series;
      const lead = first === undefined || picture.total < 0.5
        ? "no drops"
        : `${labelName(by, first.labels[0] ?? null)} has ${percent(first.total, picture.total)}`;
      setAttributes(chart, {
        "aria-label": `Drops a second by ${by}: ${lead}; the legend has all`,
      });
    },
  };
}
