// The rules: what they do now, what of each runs where, and what can't be loaded.
import type { ViewRule, ViewRules } from "../../../../core/view/view.ts";
import { ask, failureText } from "./api.ts";
import { byId, fill, make, reconcile, setText } from "./element.ts";
import { moment, plural, whole } from "./words.ts";

export interface Rules {
  load(): Promise<void>;
}

const mostShown = 500;
const order = ["disabled", "firing", "pending", "inactive"];

export function makeRules(): Rules {
  const list = byId("rules-list");
  const errors = byId("rule-errors");
  let shownErrors = "";
  return {
    async load() {
      const answer = await ask<ViewRules>("/api/v1/rules");
      if ("failed" in answer) {
        setText(byId("rules-sum"), failureText(answer.failed));
        return;
      }
      const { rules, errors: wrong, loadedAt, cost } = answer.value;
      errors.hidden = wrong.length === 0;
      // Who marks a text of it keeps what was marked.
      const text = JSON.stringify(wrong);
      if (text !== shownErrors) {
        fill(
          errors.querySelector("ul")!,
          ...wrong.slice(0, 50).map(({ code, file, line, column, message }) =>
            make(
              "li",
              { "data-code": code },
              make("code", {}, [file, line, column].filter((part) => part !== null).join(":")),
              make("strong", {}, ` ${code} `),
              message,
            )
          ),
        );
      }
      shownErrors = text;
      setText(byId("rules-count"), wrong.length > 0 ? `${wrong.length} broken` : "");
      const loaded = moment(Date.parse(loadedAt), Date.now());
      setText(byId("rules-sum"), `${whole(rules.length)}, loaded ${loaded}. ${cost}`);
      const sorted = [...rules].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
      reconcile(
        list,
        sorted.slice(0, mostShown),
        ({ alert, file, line }) => JSON.stringify([alert, file, line]),
        ({ alert }) => make("details", { class: "rule", "data-rule": alert }),
        (element, rule) => {
          const { pending, firing, total, ...rest } = rule;
          const text = JSON.stringify(rest);
          if (shownIn.get(element) !== text) draw(element, rule);
          shownIn.set(element, text);
          setText(
            element.querySelector(".rule-numbers")!,
            `${firing} firing, ${pending} pending, ${plural(total, "drop")} matched`,
          );
        },
      );
    },
  };
}

const shownIn = new WeakMap<Element, string>();

function draw(element: Element, rule: ViewRule): void {
  const { alert, file, line, severity, by, state, shadow, plan, why } = rule;
  const hadFocus = element.contains(document.activeElement);
  element.setAttribute("data-state", state);
  fill(
    element,
    make(
      "summary",
      {},
      make("span", { class: "state", "data-state": state }, state),
      make("strong", { class: "rule-name" }, alert),
      shadow && make("span", { class: "quiet" }, "shadow"),
      make("span", { class: "muted rule-numbers" }),
    ),
    make(
      "div",
      { class: "rule-body" },
      why !== "" && make("p", { class: "notice bad" }, `Its code isn't run any more: ${why}`),
      make(
        "p",
        { class: "muted" },
        file === "" ? "dropwatch's own" : `${file}:${line}`,
        `; ${severity}; ${by.length === 0 ? "one alert" : `an alert for each ${by.join(", ")}`}`,
        shadow && "; tried out: nobody is told",
      ),
      make("pre", { class: "plan mono", tabindex: 0 }, plan.join("\n")),
    ),
  );
  if (hadFocus) element.querySelector<HTMLElement>("summary")?.focus({ preventScroll: true });
}
