// The outbox: what waits to be sent, and what was given up.
import type { ViewMessage } from "../../../../core/view/view.ts";
import { ask, failureText } from "./api.ts";
import { ago, byId, fill, make, reconcile, setAttributes, setText } from "./element.ts";
import { moment, plural, whole } from "./words.ts";

export interface Outbox {
  load(): Promise<void>;
}

const mostShown = 100;

export function makeOutbox(): Outbox {
  const list = byId("outbox-list");

  const load = async (): Promise<void> => {
    const answer = await ask<{ readonly messages: readonly ViewMessage[] }>("/api/v1/outbox");
    if ("failed" in answer) {
      setText(byId("outbox-sum"), failureText(answer.failed));
      return;
    }
    const { messages } = answer.value;
    const dead = messages.filter(({ state }) => state === "dead").length;
    const sorted = [...messages].sort((a, b) =>
      Number(b.state === "dead") - Number(a.state === "dead")
    );
    setText(
      byId("outbox-sum"),
      messages.length === 0
        ? "all was delivered"
        : `${whole(messages.length - dead)} wait, ${whole(dead)} given up${
          messages.length > mostShown ? `; the first ${mostShown} are shown` : ""
        }`,
    );
    const count = byId("outbox-count");
    setText(count, dead > 0 ? `${dead} given up` : messages.length > 0 ? `${messages.length}` : "");
    setAttributes(count, { "data-dead": dead > 0 });
    reconcile(
      list,
      sorted.slice(0, mostShown),
      ({ id }) => id,
      ({ id }) => make("article", { class: "message", "data-message": id }),
      (element, message) => {
        const text = JSON.stringify(message);
        if (shownIn.get(element) === text) return;
        shownIn.set(element, text);
        draw(element, message);
      },
    );
  };

  const draw = (element: Element, message: ViewMessage): void => {
    const { id, sink, state, title, createdAt, attempts, nextAt, error } = message;
    const problem = make("p", { class: "error", role: "alert" });
    const act = async (button: HTMLButtonElement, method: "POST" | "DELETE"): Promise<void> => {
      button.disabled = true;
      const path = `/api/v1/outbox/${encodeURIComponent(id)}${method === "POST" ? "/retry" : ""}`;
      const answer = await ask(path, method);
      if ("failed" in answer) {
        button.disabled = false;
        setText(problem, failureText(answer.failed));
        return;
      }
      await load();
    };
    const retry = make("button", { type: "button", class: "retry" }, "Send again");
    retry.addEventListener("click", () => void act(retry, "POST"));
    const drop = make("button", { type: "button", class: "drop" }, "Drop");
    // What is dropped is gone: the first click only asks.
    drop.addEventListener("click", () => {
      if (drop.dataset.sure === "true") return void act(drop, "DELETE");
      drop.dataset.sure = "true";
      setText(drop, "Really drop it");
    });
    drop.addEventListener("blur", () => {
      delete drop.dataset.sure;
      setText(drop, "Drop");
    });
    element.setAttribute("data-state", state);
    const next = nextAt === null ? "" : `, next ${moment(Date.parse(nextAt), Date.now())}`;
    fill(
      element,
      make(
        "p",
        { class: "badges" },
        make(
          "span",
          { class: "state", "data-state": state },
          state === "dead" ? "given up" : "waits",
        ),
        make("strong", {}, sink),
        make("span", { class: "controls" }, retry, drop),
      ),
      make(
        "p",
        { class: "muted" },
        ago(createdAt, "made "),
        `, ${plural(attempts, "attempt")}${next}`,
      ),
      make("p", {}, title),
      error !== "" && make("p", { class: "error mono" }, error),
      problem,
    );
  };

  return { load };
}

const shownIn = new WeakMap<Element, string>();
