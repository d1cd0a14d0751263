// Silences: the list, and the dialog that makes one.
import type { ViewAlert, ViewSilence } from "../../../../core/view/view.ts";
import { ask, failureText } from "./api.ts";
import { ago, byId, fill, make, reconcile, setText } from "./element.ts";
import { remember, remembered } from "./remembered.ts";
import { matcherOf, moment, readDuration } from "./words.ts";

export interface Silences {
  readonly all: readonly ViewSilence[];
  load(): Promise<void>;
  /** Opens the dialog, filled in for an alert. */
  make(alert: ViewAlert | undefined): void;
}

const durations: readonly (readonly [name: string, text: string])[] = [
  ["1h", "1 hour"],
  ["4h", "4 hours"],
  ["1d", "1 day"],
];
const mostShown = 100;
const order = ["active", "pending", "expired"];

export function makeSilences(changed: () => void): Silences {
  const list = byId("silences-list");
  const dialog = byId<HTMLDialogElement>("silence-dialog");
  let all: readonly ViewSilence[] = [];

  const expire = async (id: string, button: HTMLButtonElement): Promise<void> => {
    button.disabled = true;
    const answer = await ask(`/api/v1/silences/${encodeURIComponent(id)}`, "DELETE");
    if ("failed" in answer) {
      button.disabled = false;
      setText(button, failureText(answer.failed));
      return;
    }
    await load();
  };

  const draw = (): void => {
    const sorted = [...all].sort((a, b) =>
      order.indexOf(a.state) - order.indexOf(b.state) || Date.parse(b.endsAt) - Date.parse(a.endsAt)
    );
    const active = sorted.filter(({ state }) => state !== "expired").length;
    setText(byId("silences-count"), active === 0 ? "" : String(active));
    if (sorted.length === 0) {
      reconcile(
        list,
        ["none"],
        () => "none",
        () => make("p", { class: "muted" }, "none"),
        () => {},
      );
      return;
    }
    reconcile(
      list,
      sorted.slice(0, mostShown),
      ({ id, state }) => `${id} ${state}`,
      ({ id, state, matchers, startsAt, endsAt, createdBy, comment }) => {
        const button = make("button", { type: "button", class: "expire" }, "End now");
        button.addEventListener("click", () => void expire(id, button));
        return make(
          "article",
          { class: "silence", "data-silence": id, "data-state": state },
          make(
            "p",
            { class: "badges" },
            make("span", { class: "state", "data-state": state }, state),
            state === "expired"
              ? ago(endsAt, "over since ")
              : make("span", {}, `until ${moment(Date.parse(endsAt), Date.now())}`),
            state !== "expired" && button,
          ),
          make(
            "p",
            { class: "labels" },
            ...matchers.map((text) => make("span", { class: "label" }, text)),
          ),
          make(
            "p",
            { class: "muted" },
            `${comment || "no comment"} (${createdBy || "somebody"}, ${
              moment(Date.parse(startsAt), Date.now())
            })`,
          ),
        );
      },
      () => {},
    );
  };

  const load = async (): Promise<void> => {
    const answer = await ask<{ readonly silences: readonly ViewSilence[] }>("/api/v1/silences");
    if ("failed" in answer) return;
    all = answer.value.silences;
    draw();
    changed();
  };

  const open = (alert: ViewAlert | undefined): void => {
    const matchers = make("div", { class: "matchers" });
    const error = make("p", { id: "silence-error", class: "error", role: "alert" });
    const submit = make(
      "button",
      { type: "submit", id: "silence-submit", class: "primary" },
      "Silence",
    );
    const addMatcher = (text: string): HTMLInputElement => {
      const input = make("input", {
        class: "matcher mono",
        "aria-label": "Matcher",
        placeholder: 'alertname="X" or dev=~"eth.*"',
        spellcheck: "false",
        autocomplete: "off",
      });
      input.value = text;
      const row = make(
        "div",
        { class: "matcher-row" },
        input,
        make("button", {
          type: "button",
          "aria-label": "Leave this matcher out",
          onclick: () => {
            row.remove();
            matchers.querySelector("input")?.focus();
          },
        }, "×"),
      );
      matchers.append(row);
      return input;
    };
    const labels = Object.entries(alert?.labels ?? {});
    for (const [name, value] of labels) addMatcher(matcherOf(name, value));
    if (labels.length === 0) addMatcher("");
    const own = make("input", {
      name: "own",
      "aria-label": "Own duration",
      placeholder: "2h30m",
      autocomplete: "off",
      oninput: () => void (ownChoice.checked = true),
    });
    const ownChoice = make("input", { type: "radio", name: "duration", value: "own" });
    const author = make("input", { name: "author", autocomplete: "name", maxlength: 1000 });
    author.value = remembered("author") ?? "";
    const comment = make("textarea", { name: "comment", rows: 2, maxlength: 1000 });
    const form = make(
      "form",
      {},
      make("h2", { id: "silence-title" }, "Silence"),
      make("p", { class: "muted" }, "Nobody is told of alerts that all of these match."),
      make(
        "fieldset",
        {},
        make("legend", {}, "Matchers"),
        matchers,
        make("button", { type: "button", onclick: () => addMatcher("").focus() }, "Add a matcher"),
      ),
      make(
        "fieldset",
        { class: "durations" },
        make("legend", {}, "For how long"),
        ...durations.map(([value, text], i) =>
          make(
            "label",
            {},
            make("input", { type: "radio", name: "duration", value, checked: i === 0 }),
            text,
          )
        ),
        make("label", {}, ownChoice, "own"),
        own,
      ),
      make("label", { class: "field" }, make("span", {}, "Who you are"), author),
      make("label", { class: "field" }, make("span", {}, "Why"), comment),
      error,
      make(
        "div",
        { class: "controls" },
        submit,
        make("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      ),
    );
    const send = async (): Promise<void> => {
      const texts = [...matchers.querySelectorAll<HTMLInputElement>("input")]
        .map(({ value }) => value.trim()).filter((text) => text !== "");
      const chosen = String(new FormData(form).get("duration"));
      const duration = readDuration(chosen === "own" ? own.value : chosen);
      if (duration === undefined) {
        setText(error, `"${own.value}" is no duration: write 90m, 2h30m or 1d.`);
        own.focus();
        return;
      }
      remember("author", author.value);
      submit.disabled = true;
      const answer = await ask<ViewSilence>("/api/v1/silences", "POST", {
        matchers: texts,
        duration,
        createdBy: author.value,
        comment: comment.value,
      });
      submit.disabled = false;
      if ("failed" in answer) {
        setText(error, failureText(answer.failed));
        return;
      }
      dialog.close();
      await load();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void send();
    });
    fill(dialog, form);
    dialog.showModal();
  };

  byId("silence-new").addEventListener("click", () => open(undefined));
  return {
    get all() {
      return all;
    },
    load,
    make: open,
  };
}
