// What keys do, and the dialog that says so.
import { byId, fill, make } from "./element.ts";
import { classes } from "./reasons.ts";
import type { Child } from "./element.ts";

export interface Key {
  readonly key: string;
  readonly does: string;
  readonly run: () => void;
}

/** Listens to keys, where nobody is typing and no dialog is open; `?` tells of all. */
export function listenToKeys(keys: readonly Key[]): void {
  const dialog = byId<HTMLDialogElement>("help");
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const row = (key: string, does: string): Child =>
    make("div", { class: "key" }, make("dt", {}, make("kbd", {}, key)), make("dd", {}, does));
  fill(
    dialog,
    make("h2", { id: "help-title" }, "Keys and words"),
    make(
      "div",
      { class: "help-body scroll", tabindex: 0, role: "region", "aria-label": "Keys and words" },
      make(
        "dl",
        { class: "keys" },
        ...keys.map(({ key, does }) => row(key, does)),
        row("← →", "in the chart: look at one moment"),
        row("Esc", "close what is open, or go back to live"),
        row("?", "this help"),
      ),
      make(
        "dl",
        { class: "words" },
        ...words.flatMap(([word, means]) => [make("dt", {}, word), make("dd", {}, means)]),
        ...Object.entries(classes).flatMap(([name, means]) => [
          make("dt", {}, make("span", { class: "class", "data-class": name }, name)),
          make("dd", {}, means),
        ]),
      ),
    ),
    close,
  );
  const help = (): void => {
    if (!dialog.open) dialog.showModal();
  };
  byId("help-open").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    const types = target instanceof HTMLElement && target.matches("input, textarea, select");
    if (types || document.querySelector("dialog[open]") !== null) return;
    if (event.key === "?") return void help();
    const found = keys.find(({ key }) => key === event.key);
    if (found === undefined) return;
    event.preventDefault();
    found.run();
  });
}

const words: readonly (readonly [string, string])[] = [
  ["exact", "Every drop was counted: seen = counted + other + lost, and the last two are 0."],
  ["at least", "Some are known to be missing, and where: the numbers are no less than that."],
  ["gap", "A time in which nobody counted. It is hatched, and in none of the numbers."],
  [
    "no socket",
    "The packet belonged to no socket: forwarded, filtered early, or for a closed port.",
  ],
  ["sampled", "Stacks are walked for the first drops of each tick; counts are of all."],
];
