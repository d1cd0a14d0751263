// What the chart is switched with, and the filters of the page.
import { byId, fill, make, setAttributes } from "./element.ts";
import { timeWindows } from "./look.ts";
import type { Filter, Look } from "./look.ts";
import { labelName } from "./words.ts";

export interface Controls {
  draw(look: Look, fields: readonly string[], isPaused: boolean): void;
}

export function makeControls(
  go: (change: Partial<Look>) => void,
  pick: (filter: Filter) => void,
): Controls {
  const by = byId("by");
  const window = byId("window");
  const filters = byId("filters");
  const button = (attribute: string, name: string, run: () => void): HTMLElement =>
    make("button", { type: "button", [attribute]: name, onclick: run }, name);
  const press = (root: Element, isOn: (button: HTMLElement) => boolean): void => {
    for (const each of root.querySelectorAll<HTMLElement>("button")) {
      setAttributes(each, { "aria-pressed": String(isOn(each)) });
    }
  };
  byId("live").addEventListener("click", () => go({ zoom: null }));
  fill(
    window,
    ...timeWindows.map(({ name }) =>
      button("data-window", name, () => go({ window: name, zoom: null }))
    ),
  );
  let shown = "";

  const chip = (filter: Filter): HTMLElement => {
    const name = labelName(filter.field, filter.label);
    const remove = (): void => {
      pick(filter);
      (filters.querySelector("button") ?? byId("chart")).focus();
    };
    return make(
      "li",
      { "data-filter": filter.field, "data-label": filter.label ?? "\\0" },
      make("span", { class: "muted" }, `${filter.field} `),
      name,
      make("button", {
        type: "button",
        "aria-label": `Remove the filter ${filter.field} ${name}`,
        onclick: remove,
      }, "×"),
    );
  };

  return {
    draw(look, fields, isPaused) {
      // A button that is made anew loses the focus.
      if (shown !== fields.join()) {
        shown = fields.join();
        fill(by, ...fields.map((field) => button("data-by", field, () => go({ by: field }))));
      }
      press(by, ({ dataset }) => dataset.by === look.by);
      press(window, ({ dataset }) => look.zoom === null && dataset.window === look.window);
      byId("live").hidden = look.zoom === null;
      setAttributes(byId("pause"), { "aria-pressed": String(isPaused) });
      filters.hidden = look.filters.length === 0;
      fill(
        filters,
        ...look.filters.map(chip),
        look.filters.length > 1 && make(
          "li",
          { class: "clear" },
          make("button", { type: "button", onclick: () => go({ filters: [] }) }, "Clear all"),
        ),
      );
    },
  };
}
