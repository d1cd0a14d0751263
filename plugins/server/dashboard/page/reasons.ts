// What a reason means, where it stands: on hover, focus and tap.
import type { ViewReason } from "../../../../core/view/view.ts";
import { ask } from "./api.ts";
import { byId, fill, make } from "./element.ts";
import type { Child } from "./element.ts";
import { plural } from "./words.ts";

export interface Reasons {
  /** The class of a reason as a mark; nothing where it isn't known yet. */
  classMark(reason: string): Child;
  /** The name of a reason that tells what it means. */
  name(reason: string): HTMLElement;
  /** A button beside a reason's name, for where the name does something else. */
  mark(reason: string): HTMLElement;
  load(): Promise<void>;
}

/** What each class says, in a line. */
export const classes: Readonly<Record<string, string>> = {
  fault: "something was lost that somebody wanted",
  policy: "a rule, a program or a setting of this machine refuses such packets",
  teardown: "what was still queued when a socket, a device or a neighbour went away",
  normal: "protocols and links at work, or strangers' packets turned away",
  unknown: "the kernel gives no reason: the site and the stack decide",
};

/** For how many milliseconds numbers that were read count as those of now. */
const fresh = 10_000;

export function makeReasons(loaded: () => void): Reasons {
  const card = byId("reason-card");
  let known = new Map<string, ViewReason>();
  let anchor: HTMLElement | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** When the reasons were read last. */
  let readAt = 0;
  /** Tapped on, so it stays until it is tapped on again, or elsewhere. */
  let isPinned = false;

  const hide = (): void => {
    clearTimeout(timer);
    anchor?.setAttribute("aria-expanded", "false");
    anchor?.removeAttribute("aria-describedby");
    anchor = undefined;
    isPinned = false;
    if (card.matches(":popover-open")) card.hidePopover();
  };
  const show = (at: HTMLElement, reason: string): void => {
    if (anchor !== at) hide();
    clearTimeout(timer);
    anchor = at;
    at.setAttribute("aria-expanded", "true");
    at.setAttribute("aria-describedby", "reason-card");
    fill(card, ...cardOf(reason, known.get(reason)));
    // How many there were is of when it was read.
    if (Date.now() - readAt > fresh) void load();
    // What lies outside of an open dialog can't be reached.
    const home = at.closest("dialog") ?? document.body;
    if (card.parentElement !== home) home.append(card);
    if (!card.matches(":popover-open")) card.showPopover();
    place(card, at);
  };
  const load = async (): Promise<void> => {
    readAt = Date.now();
    const answer = await ask<{ readonly reasons: readonly ViewReason[] }>("/api/v1/reasons");
    if ("failed" in answer) {
      readAt = 0;
      return;
    }
    known = new Map(answer.value.reasons.map((each) => [each.reason, each]));
    loaded();
    const reason = anchor?.dataset.reason;
    if (anchor === undefined || reason === undefined) return;
    fill(card, ...cardOf(reason, known.get(reason)));
    place(card, anchor);
  };
  const later = (call: () => void, delay: number): void => {
    clearTimeout(timer);
    timer = setTimeout(call, delay);
  };

  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => {
    if (!isPinned) later(hide, 250);
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (anchor === undefined || !(target instanceof Node)) return;
    if (!card.contains(target) && !anchor.contains(target)) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || anchor === undefined) return;
    // Only the card is closed, not the dialog that it is shown in.
    event.preventDefault();
    event.stopImmediatePropagation();
    hide();
  }, { capture: true });
  addEventListener("scroll", () => {
    if (anchor !== undefined && !isPinned) hide();
  }, { passive: true });

  const tells = (button: HTMLElement, reason: string): HTMLElement => {
    button.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !isPinned) later(() => show(button, reason), 200);
    });
    button.addEventListener("pointerleave", () => {
      if (!isPinned) later(hide, 250);
    });
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible")) show(button, reason);
    });
    button.addEventListener("blur", () => {
      if (!isPinned) later(hide, 150);
    });
    button.addEventListener("click", () => {
      if (isPinned && anchor === button) return hide();
      show(button, reason);
      isPinned = true;
    });
    return button;
  };

  return {
    classMark(reason) {
      const name = known.get(reason)?.class;
      return name === undefined
        ? null
        : make("span", { class: "class", "data-class": name, title: classes[name] }, name);
    },
    name: (reason) =>
      tells(
        make("button", {
          type: "button",
          class: "reason",
          "data-reason": reason,
          "aria-expanded": "false",
        }, reason),
        reason,
      ),
    mark: (reason) =>
      tells(
        make("button", {
          type: "button",
          class: "reason-mark",
          "data-reason": reason,
          "aria-expanded": "false",
          "aria-label": `What ${reason} means`,
        }, "i"),
        reason,
      ),
    load,
  };
}

function cardOf(reason: string, known: ViewReason | undefined): Child[] {
  const head = make(
    "p",
    { class: "card-head" },
    make("strong", { class: "mono" }, reason),
    known && make("span", { class: "class", "data-class": known.class }, known.class),
  );
  if (known === undefined) {
    return [head, make("p", { class: "muted" }, "Nothing is known of this reason.")];
  }
  const list = (title: string, items: readonly string[], isCode = false): Child[] =>
    items.length === 0 ? [] : [
      make("h3", {}, title),
      make(
        "ul",
        {},
        ...items.map((item) => make("li", {}, isCode ? make("code", {}, item) : item)),
      ),
    ];
  return [
    head,
    make("p", { class: "muted" }, `${known.class}: ${classes[known.class] ?? ""}`),
    make("p", {}, known.means === "" ? "Nothing more is known of it." : known.means),
    ...list("Usual causes", known.causes),
    ...list("How to confirm", known.confirm, true),
    ...list("What to change", known.change),
    make("p", { class: "muted" }, `${plural(known.drops, "drop")} since the start`),
  ];
}

/** Below what it belongs to, or above where there is more room. */
function place(card: HTMLElement, at: HTMLElement): void {
  const box = at.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = card;
  const below = innerHeight - box.bottom;
  const top = below >= height + 12 || below >= box.top ? box.bottom + 6 : box.top - height - 6;
  card.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  card.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
}
