// One alert, with all that is known of it: what it is made of, what became of it, who is told.
import type { ViewAlert, ViewSilence, ViewTimeline } from "../../../../core/view/view.ts";
import { ask, failureText } from "./api.ts";
import { summaryOf } from "./alerts.ts";
import { ago, byId, fill, make, outside, setAttributes, setText } from "./element.ts";
import type { Child } from "./element.ts";
import type { Filter } from "./look.ts";
import type { Reasons } from "./reasons.ts";
import { moment, short, sureText, valueText, webLink, whole } from "./words.ts";

export interface AlertPanel {
  /** Opens an alert; with an empty fingerprint it closes. */
  open(fingerprint: string): void;
  /** What is open has changed. */
  put(alert: ViewAlert): void;
  /** Its numbers have changed, and nothing else: they change where they stand. */
  count(alert: ViewAlert): void;
  /** What became of it may have changed. */
  again(): void;
}

export interface AlertPanelEvents {
  close(): void;
  silence(alert: ViewAlert): void;
  open(fingerprint: string): void;
  pick(filter: Filter): void;
  known(fingerprint: string): ViewAlert | undefined;
  silences(): readonly ViewSilence[];
  /** The fields that can be filtered by. */
  fields(): readonly string[];
}

export function makeAlertPanel(reasons: Reasons, events: AlertPanelEvents): AlertPanel {
  const dialog = byId<HTMLDialogElement>("alert");
  const title = make("h2", { id: "alert-title", tabindex: -1 });
  const silence = make("button", { type: "button", id: "alert-silence" }, "Silence…");
  const close = make("button", { type: "button", id: "alert-close" }, "Close");
  const body = make("div", { class: "drawer-body" });
  fill(
    dialog,
    make(
      "header",
      { class: "drawer-head" },
      title,
      make("div", { class: "controls" }, silence, close),
    ),
    body,
  );
  let fingerprint = "";
  let alert: ViewAlert | undefined;
  let timeline: ViewTimeline = [];
  let drawn = "";
  let isPressed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    fingerprint = "";
    events.close();
  });
  // A click beside it closes it, as everywhere.
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
  silence.addEventListener("click", () => {
    if (alert !== undefined) events.silence(alert);
  });

  /** Whether somebody holds on to what is shown: presses, has marked a text, or reads of a reason. */
  const isHeld = (): boolean => {
    const selection = getSelection();
    return isPressed || dialog.querySelector(":popover-open") !== null ||
      (selection !== null && !selection.isCollapsed && body.contains(selection.anchorNode));
  };
  body.addEventListener("pointerdown", () => void (isPressed = true));
  addEventListener("pointerup", () => void (isPressed = false));
  addEventListener("pointercancel", () => void (isPressed = false));

  const draw = (): void => {
    if (fingerprint === "") return;
    silence.hidden = alert === undefined;
    fill(title, alert?.alert ?? "Alert");
    if (alert !== undefined) {
      setAttributes(dialog, { "data-state": alert.state, "data-severity": alert.severity });
    }
    const silences = events.silences();
    const text = JSON.stringify([alert && stillOf(alert), timeline, silences]);
    if (text === drawn) return drawNumbers();
    drawn = text;
    const opened = new Set(
      [...body.querySelectorAll("details[open]")].map((each) => each.getAttribute("data-part")),
    );
    const hadFocus = body.contains(document.activeElement);
    const { scrollTop } = body;
    fill(
      body,
      ...(alert === undefined ? [] : bodyOf(alert, silences)),
      timeline.length > 0 && timelineOf(timeline),
    );
    for (const each of body.querySelectorAll("details")) {
      if (opened.has(each.getAttribute("data-part"))) each.open = true;
    }
    drawNumbers();
    body.scrollTop = scrollTop;
    if (hadFocus) title.focus({ preventScroll: true });
  };

  const drawNumbers = (): void => {
    const lead = body.querySelector(".lead");
    if (alert === undefined || lead === null) return;
    setText(lead, summaryOf(alert));
    for (const [name, text] of Object.entries(numbersOf(alert))) {
      setText(body.querySelector(`.numbers [data-number=${name}]`)!, text);
    }
  };

  const load = async (): Promise<void> => {
    const mine = fingerprint;
    const answer = await ask<{ alert: ViewAlert | null; timeline: ViewTimeline }>(
      `/api/v1/alerts/${encodeURIComponent(mine)}`,
    );
    if (mine !== fingerprint) return;
    if ("failed" in answer) {
      const { status } = answer.failed;
      if (alert === undefined) {
        drawn = "";
        fill(
          body,
          make(
            "p",
            { role: "alert" },
            status === 404
              ? `Nothing is known of an alert ${mine}: it is over for long, or of another machine.`
              : failureText(answer.failed),
          ),
        );
      }
      return;
    }
    alert = answer.value.alert ?? alert;
    timeline = answer.value.timeline;
    draw();
  };

  const bodyOf = (alert: ViewAlert, silences: readonly ViewSilence[]): Child[] => {
    const { annotations, labels } = alert;
    const runbook = annotations.runbook ?? annotations.runbook_url ?? "";
    const others = Object.entries(annotations)
      .filter(([name]) => !["summary", "runbook", "runbook_url"].includes(name));
    return [
      make(
        "p",
        { class: "badges" },
        make("span", { class: "state", "data-state": alert.state }, alert.state),
        make("span", { class: "severity", "data-severity": alert.severity }, alert.severity),
        ago(alert.startsAt, "since "),
        alert.endsAt !== null && alert.state === "resolved" && ago(alert.endsAt, "over since "),
        alert.shadow && make("span", { class: "quiet" }, "shadow: nobody is told"),
      ),
      make("p", { class: "lead" }),
      ...others.map(([name, text]) => make("p", {}, make("strong", {}, `${name}: `), text)),
      runbook !== "" &&
      make("p", {}, make("strong", {}, "runbook: "), outside(webLink(runbook), runbook)),
      ...suppression(alert, silences),
      make(
        "dl",
        { class: "facts numbers" },
        fact("value", "value"),
        fact("peak", "peak"),
        fact(alert.health ? "times" : "drops", "total"),
        fact("numbers", "sure"),
      ),
      make("h3", {}, "Labels"),
      make(
        "ul",
        { class: "labels" },
        ...Object.entries(labels).map(([field, label]) =>
          make(
            "li",
            {},
            events.fields().includes(field)
              ? make("button", {
                type: "button",
                class: "label",
                title: "look at these drops only",
                onclick: () => events.pick({ field, label }),
              }, `${field}=${label}`)
              : make("span", { class: "label" }, `${field}=${label}`),
          )
        ),
      ),
      evidenceOf(alert),
    ];
  };

  const suppression = (
    { silencedBy, inhibitedBy }: ViewAlert,
    silences: readonly ViewSilence[],
  ): Child[] => [
    ...silencedBy.map((id) => {
      const silence = silences.find((each) => each.id === id);
      const what = silence === undefined
        ? `silence ${id}`
        : `${silence.comment || "a silence"} (${silence.createdBy || "somebody"}, until ${
          moment(Date.parse(silence.endsAt), Date.now())
        })`;
      return make("p", { class: "notice" }, `Silenced: ${what}`);
    }),
    ...inhibitedBy.map((fingerprint) =>
      make(
        "p",
        { class: "notice" },
        "Inhibited by ",
        make("button", {
          type: "button",
          class: "link",
          onclick: () => events.open(fingerprint),
        }, events.known(fingerprint)?.alert ?? fingerprint),
      )
    ),
  ];

  const evidenceOf = ({ evidence }: ViewAlert): HTMLElement => {
    const {
      kept,
      ownerKnown = false,
      owners = [],
      site = "",
      at = "",
      source = "",
      flows = [],
      stacks = [],
      listeners = [],
      tcp,
      counters = [],
    } = evidence;
    if (kept === undefined) {
      return make(
        "div",
        { id: "alert-evidence" },
        make("h3", {}, "Evidence"),
        make("p", { class: "muted" }, "None was kept."),
      );
    }
    const end = (address: string, port: string): string =>
      `${address.includes(":") ? `[${address}]` : address}${port === "" ? "" : `:${port}`}`;
    const table = (
      caption: string,
      head: readonly string[],
      rows: readonly (readonly Child[])[],
    ): Child =>
      rows.length > 0 && make(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
        make(
          "table",
          {},
          make("caption", {}, caption),
          make(
            "thead",
            {},
            make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name))),
          ),
          make(
            "tbody",
            {},
            ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))),
          ),
        ),
      );
    const where = at || site;
    return make(
      "div",
      { id: "alert-evidence" },
      make("h3", {}, "Evidence"),
      make(
        "p",
        { class: "muted" },
        kept === 0
          ? "No packet of it was kept: others crowded them out. Labels and counters tell what they can."
          : `Of ${whole(kept)} drops that were kept whole, the first of each tick.`,
      ),
      ...(evidence.reasons ?? []).map(({ reason, means, drops }) =>
        make(
          "p",
          { class: "evidence-reason" },
          reasons.name(reason),
          reasons.classMark(reason),
          ` ${whole(drops)} drops. ${means}`,
        )
      ),
      where !== "" && make(
        "p",
        {},
        "Dropped in ",
        make("code", {}, outside(source === "" ? undefined : webLink(source), where)),
      ),
      kept > 0 && owners.length === 0 && make(
        "p",
        {},
        ownerKnown
          ? ""
          : "No socket: the packets belonged to none when they were dropped, or nobody knows to whose.",
      ),
      table(
        "Whose sockets",
        ["owner", "process", "drops"],
        owners.map(({ owner, pid, drops }) => [owner, pid, whole(drops)]),
      ),
      table(
        "Flows",
        ["protocol", "from", "to", "device", "drops"],
        flows.map(({ l4, saddr, sport, daddr, dport, dev, drops }) => [
          l4,
          end(saddr, sport),
          end(daddr, dport),
          dev,
          whole(drops),
        ]),
      ),
      table(
        "Who listened on the port, within the last minutes",
        ["port", "owner", "process", "last seen", "network namespace"],
        listeners.map(({ l4, port, owner, pid, lastSeen, netns }) => [
          `${l4} ${port}`,
          owner || "somebody",
          pid,
          moment(Date.parse(lastSeen), Date.now()),
          netns,
        ]),
      ),
      tcp !== undefined && tcp.kept > 0 && make(
        "p",
        {},
        `TCP sent again on the same flow after ${whole(tcp.retransmitted)} of ${
          whole(tcp.kept)
        } drops that were kept.`,
      ),
      table(
        "The kernel's own counters in the same time, of the whole machine",
        ["reason", "counted", "kernel", "agree?", "counters"],
        counters.map(({ reason, counted, kernel, agrees, names, less, note }) => [
          reason,
          whole(counted),
          whole(kernel),
          make("span", { class: agrees ? "ok" : "bad" }, agrees ? "agrees" : "disagrees"),
          `${[names.join(" + "), ...less].join(" − ")}${note === "" ? "" : ` (${note})`}`,
        ]),
      ),
      ...stacks.map(({ stack, drops }, i) =>
        make(
          "details",
          { "data-part": `stack-${i}`, open: i === 0 },
          make("summary", {}, `Stack of ${whole(drops)} drops, innermost first`),
          make("ol", { class: "mono stack" }, ...stack.map((frame) => make("li", {}, frame))),
        )
      ),
    );
  };

  return {
    open(next) {
      if (next === "") {
        if (dialog.open) dialog.close();
        return;
      }
      if (next !== fingerprint) {
        fingerprint = next;
        alert = events.known(next);
        timeline = [];
        drawn = "";
        fill(body, make("p", { class: "muted" }, "Reading…"));
        body.scrollTop = 0;
        setAttributes(dialog, { "data-fingerprint": next });
        draw();
        void load();
      }
      if (dialog.open) return;
      dialog.showModal();
      title.focus({ preventScroll: true });
    },
    put(next) {
      if (next.fingerprint !== fingerprint) return;
      alert = next;
      this.again();
    },
    count(next) {
      if (next.fingerprint !== fingerprint || alert === undefined) return;
      if (next.state !== alert.state) return this.put(next);
      const { value, peak, total, exact, lost, annotations } = next;
      alert = { ...alert, value, peak, total, exact, lost, annotations };
      drawNumbers();
    },
    again() {
      if (fingerprint === "") return;
      timer ??= setTimeout(() => {
        timer = undefined;
        if (isHeld()) this.again();
        else if (fingerprint !== "") void load();
      }, 1000);
    },
  };
}

function fact(name: string, number: string): HTMLElement {
  return make(
    "div",
    { class: "fact" },
    make("dt", {}, name),
    make("dd", { "data-number": number }),
  );
}

/** The numbers of an alert, by the facts that they stand in. */
function numbersOf(alert: ViewAlert): Readonly<Record<string, string>> {
  return {
    value: valueText(alert),
    peak: short(alert.peak),
    total: `${alert.exact ? "" : "at least "}${whole(alert.total)}`,
    sure: sureText(alert),
  };
}

/** An alert without what changes with each tick. */
function stillOf(alert: ViewAlert): ViewAlert {
  const { summary = "", ...annotations } = alert.annotations;
  return {
    ...alert,
    annotations: { ...annotations, summary: summary === "" ? "" : "some" },
    value: 0,
    peak: 0,
    total: 0,
    exact: true,
    lost: 0,
  };
}

function timelineOf(timeline: ViewTimeline): HTMLElement {
  return make(
    "div",
    {},
    make("h3", {}, "What became of it"),
    make(
      "ol",
      { id: "alert-timeline" },
      ...[...timeline].reverse().slice(0, 200).map(({ at, kind, sink, text }) =>
        make(
          "li",
          { "data-kind": kind },
          make(
            "time",
            { datetime: new Date(at).toISOString(), class: "mono" },
            moment(at, Date.now()),
          ),
          make("strong", {}, ` ${kind}`),
          sink !== "" && ` ${sink}`,
          text !== "" && ` ${text}`,
        )
      ),
    ),
  );
}
