// Who loses packets, why and where, as a table: the same drops by all fields at once.
import type { Series } from "./board.ts";
import { byId, fill, make, makeSvg, reconcile, setAttributes, setText } from "./element.ts";
import type { Shown } from "./feed.ts";
import type { Filter } from "./look.ts";
import type { Reasons } from "./reasons.ts";
import { sparkPath } from "./spark.ts";
import { labelMeaning, labelName, percent, short, whole } from "./words.ts";

export interface Culprits {
  draw(shown: Shown): void;
}

const few = 12;
const many = 100;

export function makeCulprits(reasons: Reasons, pick: (filter: Filter) => void): Culprits {
  const table = byId("culprits-table");
  const head = table.querySelector("thead")!;
  const body = table.querySelector("tbody")!;
  const more = byId<HTMLButtonElement>("culprits-more");
  let isLong = false;
  let last: Shown | undefined;
  let headOf = "";

  more.addEventListener("click", () => {
    isLong = !isLong;
    if (last !== undefined) draw(last);
  });

  const create = ({ key, labels }: Series, fields: readonly string[]): HTMLTableRowElement =>
    make(
      "tr",
      { "data-culprit": key },
      ...labels.map((label, i) => {
        const field = fields[i]!;
        const isReason = field === "reason" && label !== null && label !== "";
        return make(
          i === 0 ? "th" : "td",
          { "data-field": field, scope: i === 0 ? "row" : null },
          make(
            "span",
            { class: "cell" },
            make("button", {
              type: "button",
              class: label === null || label === "" ? "pick absent" : "pick",
              title: labelMeaning(field, label) || `only ${labelName(field, label)}`,
              onclick: () => pick({ field, label }),
            }, labelName(field, label)),
            isReason && make("span", { class: "class-place" }),
            isReason && reasons.mark(label),
          ),
        );
      }),
      make("td", { class: "number culprit-rate" }),
      make("td", { class: "number culprit-share" }),
      make("td", { class: "number culprit-total" }),
      make(
        "td",
        { class: "culprit-spark" },
        makeSvg(
          "svg",
          {
            class: "spark",
            viewBox: "0 0 120 24",
            preserveAspectRatio: "none",
            "aria-hidden": "true",
          },
          makeSvg("path", { class: "spark-area" }),
        ),
      ),
    );

  const draw = (shown: Shown): void => {
    last = shown;
    const { culprits: board, culpritFields: fields } = shown;
    if (headOf !== fields.join()) {
      headOf = fields.join();
      fill(
        head,
        make(
          "tr",
          {},
          ...fields.map((field) => make("th", { scope: "col" }, field)),
          make("th", { scope: "col", class: "number" }, "now/s"),
          make("th", { scope: "col", class: "number" }, "share"),
          make("th", { scope: "col", class: "number" }, "total"),
          make("th", { scope: "col", class: "culprit-spark" }, "over the time"),
        ),
      );
    }
    const all = board.top();
    const sum = all.reduce((sum, { total }) => sum + total, board.rest.total);
    const rows = all.slice(0, isLong ? many : few);
    reconcile(
      body,
      rows,
      ({ key }) => `${headOf} ${key}`,
      (series) => create(series, fields),
      (row, series) => {
        const [rate, share, total] = row.querySelectorAll("td.number");
        // The last step of a time that was zoomed into isn't now.
        setText(rate!, shown.look.zoom === null ? short(series.now) : "–");
        setText(share!, percent(series.total, sum));
        setText(total!, whole(series.total));
        setAttributes(row.querySelector(".spark-area")!, { d: sparkPath(board.rates(series)) });
        const place = row.querySelector(".class-place:empty");
        const reason = series.labels[fields.indexOf("reason")];
        if (place !== null && typeof reason === "string") fill(place, reasons.classMark(reason));
      },
    );
    const others = all.length - rows.length + board.restKeys;
    const left = sum - rows.reduce((sum, { total }) => sum + total, 0);
    setText(
      byId("culprits-sum"),
      rows.length === 0
        ? "no drops in this time"
        : others > 0
        ? `${whole(others)} more, with ${percent(left, sum)} of the drops`
        : "all there are",
    );
    more.hidden = !isLong && all.length <= few;
    setText(more, isLong ? "Show fewer" : `Show ${whole(Math.min(many, all.length) - few)} more`);
  };
  return { draw };
}
