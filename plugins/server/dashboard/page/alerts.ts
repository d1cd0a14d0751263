// The list of alerts: what fires first, then what may, then what is over.
import type { ViewAlert } from "../../../../core/view/view.ts";
import { alertOrder, fitsFilters, isQuiet } from "./alert_order.ts";
import { ago, byId, fill, make, reconcile, setAttributes, setText } from "./element.ts";
import type { Child } from "./element.ts";
import type { Filter } from "./look.ts";
import { plural, short, valueText, whole } from "./words.ts";

export interface Alerts {
  /** All there are, in place of those that were. */
  set(alerts: readonly ViewAlert[]): void;
  /** One that began, is over, or has changed. */
  put(alert: ViewAlert): void;
  get(fingerprint: string): ViewAlert | undefined;
  /** Whether any fires, or may soon. */
  readonly isActive: boolean;
  /** Returns how many fire, whatever the filters. */
  draw(filters: readonly Filter[]): number;
}

const mostKept = 2500;
const mostShown = 200;
const mostOver = 50;

export function makeAlerts(
  open: (fingerprint: string) => void,
  href: (fingerprint: string) => string,
): Alerts {
  const announce = byId("announce");
  let all = new Map<string, ViewAlert>();
  let isFirst = true;
  /** What is to be told of, together where much happens at once. */
  let news: ViewAlert[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const tell = (alert: ViewAlert): void => {
    news.push(alert);
    if (news.length > 100) news.shift();
    timer ??= setTimeout(() => {
      timer = undefined;
      const [first] = news;
      const verb = first!.state === "firing" ? "Fires" : "Over";
      const more = news.length === 1 ? "" : `; and ${plural(news.length - 1, "more change")}`;
      setText(
        announce,
        `${verb}: ${first!.alert}, ${first!.severity}. ${summaryOf(first!)}${more}`,
      );
      news = [];
    }, 500);
  };

  const list = (root: Element, alerts: readonly ViewAlert[]): void =>
    reconcile(
      root,
      alerts,
      ({ fingerprint }) => fingerprint,
      ({ fingerprint }) =>
        make("article", { class: "alert-card", "data-fingerprint": fingerprint }),
      (card, alert) => {
        // Numbers change each second: what is clicked on must not be made anew between press and release.
        const { state, severity, labels, startsAt, endsAt, shadow, silencedBy, inhibitedBy } =
          alert;
        const text = JSON.stringify(
          [state, severity, labels, startsAt, endsAt, shadow, silencedBy, inhibitedBy],
        );
        if (shownIn.get(card) === text) return drawNumbers(card, alert);
        shownIn.set(card, text);
        const hadFocus = card.contains(document.activeElement);
        card.setAttribute("data-state", alert.state);
        card.setAttribute("data-severity", alert.severity);
        card.setAttribute("data-suppressed", String(isQuiet(alert)));
        fill(card, ...cardOf(alert));
        drawNumbers(card, alert);
        if (hadFocus) card.querySelector<HTMLElement>("a")?.focus({ preventScroll: true });
      },
    );

  const cardOf = (alert: ViewAlert): Child[] => {
    const { fingerprint, state, severity, labels } = alert;
    const own = Object.entries(labels)
      .filter(([name]) => name !== "alertname" && name !== "severity");
    return [
      make(
        "div",
        { class: "alert-head" },
        make("span", { class: "severity", "data-severity": severity }, severity),
        make(
          "h3",
          {},
          make("a", {
            href: href(fingerprint),
            onclick: (event) => {
              const { ctrlKey, metaKey, shiftKey, button } = event as MouseEvent;
              if (ctrlKey || metaKey || shiftKey || button !== 0) return;
              event.preventDefault();
              open(fingerprint);
            },
          }, alert.alert),
        ),
        make(
          "span",
          { class: "since" },
          state === "resolved"
            ? ago(alert.endsAt ?? alert.startsAt, "over since ")
            : ago(alert.startsAt, `${state} since `),
        ),
      ),
      make("p", { class: "summary" }),
      own.length > 0 && make(
        "p",
        { class: "labels" },
        ...own.map(([name, value]) => make("span", { class: "label" }, `${name}=${value}`)),
      ),
      make(
        "p",
        { class: "numbers muted" },
        make("span", { class: "values" }),
        ...quietOf(alert),
      ),
    ];
  };

  const drawNumbers = (card: Element, alert: ViewAlert): void => {
    const { peak, total, exact, health } = alert;
    setText(card.querySelector(".summary")!, summaryOf(alert));
    setText(
      card.querySelector(".values")!,
      `value ${valueText(alert)}, peak ${short(peak)}, ${exact ? "" : "at least "}${
        plural(total, health ? "time" : "drop")
      }`,
    );
  };

  const quietOf = ({ silencedBy, inhibitedBy, shadow, health }: ViewAlert): Child[] => [
    health && make("span", { class: "quiet" }, "about dropwatch itself"),
    silencedBy.length > 0 && make("span", { class: "quiet" }, "silenced"),
    inhibitedBy.length > 0 && make("span", { class: "quiet" }, "inhibited"),
    shadow && make("span", { class: "quiet" }, "shadow: nobody is told"),
  ];

  return {
    set(alerts) {
      if (!isFirst) {
        for (const alert of alerts) {
          if (alert.state === "firing" && all.get(alert.fingerprint)?.state !== "firing") {
            tell(alert);
          }
        }
      }
      isFirst = false;
      all = new Map(alerts.map((alert) => [alert.fingerprint, alert]));
    },
    put(alert) {
      const before = all.get(alert.fingerprint)?.state;
      all.delete(alert.fingerprint);
      all.set(alert.fingerprint, alert);
      if (all.size > mostKept) {
        const over = [...all.values()].find(({ state }) => state === "resolved");
        all.delete(over?.fingerprint ?? all.keys().next().value!);
      }
      if (before === alert.state) return;
      if (alert.state === "firing" || before === "firing") tell(alert);
    },
    get: (fingerprint) => all.get(fingerprint),
    get isActive() {
      return [...all.values()].some(({ state }) => state !== "resolved");
    },
    draw(filters) {
      const sorted = [...all.values()].sort(alertOrder);
      const fitting = sorted.filter((alert) => fitsFilters(alert, filters));
      const now = fitting.filter(({ state }) => state !== "resolved");
      const over = fitting.filter(({ state }) => state === "resolved").slice(0, mostOver);
      const firing = now.filter(({ state }) => state === "firing").length;
      const { length: pending } = sorted.filter(({ state }) => state === "pending");
      const { length: fires } = sorted.filter(({ state }) => state === "firing");
      const count = byId("alerts-count");
      setText(
        count,
        fires + pending === 0 ? "" : pending === 0 ? `${fires}` : `${fires} + ${pending}`,
      );
      setAttributes(count, { "data-firing": fires > 0 });
      const hidden = sorted.length - fitting.length;
      list(byId("alerts-now"), now.slice(0, mostShown));
      list(byId("alerts-resolved"), over);
      const parts = [
        now.length === 0
          ? "none"
          : `${whole(firing)} firing, ${whole(now.length - firing)} pending`,
        now.length > mostShown && `the first ${mostShown} are shown`,
        hidden > 0 && `${whole(hidden)} hidden by the filters`,
      ];
      setText(byId("alerts-sum"), parts.filter((part) => part !== false).join("; "));
      const details = byId("alerts-over");
      details.hidden = over.length === 0;
      setText(details.querySelector(".count")!, `(${over.length})`);
      return fires;
    },
  };
}

const shownIn = new WeakMap<Element, string>();

/** What the rule says of it, or its name at least. */
export function summaryOf({ annotations, alert }: ViewAlert): string {
  return annotations.summary ?? alert;
}
