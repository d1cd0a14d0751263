// From alerts to what has arrived: it groups them, keeps some quiet, delivers the rest, and says what went
// wrong. What must survive is handed out as changes, and kept before it is sent.
import type { AlertData, AlertMessage } from "./alert.ts";
import type { Changes, StateStore } from "../store.ts";
import { reasonOf } from "../error.ts";
import type { Happened } from "../watch/health.ts";
import type { Clock } from "./clock.ts";
import { makeDispatcher } from "./dispatch.ts";
import type { DispatchOptions, Quieting } from "./dispatch.ts";
import { makeHeartbeats } from "./heartbeat.ts";
import { makeJournal } from "./journal.ts";
import type { AlertEvent } from "./journal.ts";
import { makeOutbox } from "./outbox.ts";
import type { OutboxOptions, OutboxRow, Receiver } from "./outbox.ts";
import { makeSilencer, silenceRetention } from "./silence.ts";
import type { Silence } from "./silence.ts";
import type { HeartbeatSink, Sink } from "./sink.ts";

export interface DeliveryOptions
  extends
    Pick<DispatchOptions, "routing" | "log" | "externalURL" | "current" | "rates">,
    Pick<OutboxOptions, "random" | "makeId" | "limit"> {
  readonly sinks: readonly Sink[];
  readonly clock: Clock;
  readonly store: StateStore;
  /** Keeps what has changed. */
  readonly save: () => void;
  /** Nobody else can change the state: it needn't be looked at again and again. */
  readonly alone?: boolean;
  /** Why dropwatch doesn't do its work, beside what goes wrong here; undefined where it does. */
  readonly trouble: () => string | undefined;
}

export interface Delivery {
  /** Goes on where the run before was: it reads what is kept; `told` are alerts that somebody was told of. */
  begin(told: readonly AlertData[]): void;
  /** Alerts fire, or are over. They aren't told before `tell`. */
  receive(messages: readonly AlertMessage[]): void;
  /** Decides what is to be told now: it is among the changes, to be kept together with the alerts. */
  decide(): void;
  /** Tells what is due, after it was kept. */
  tell(): void;
  /** What is to be kept, all of it or what has changed; `kept` says that it is. */
  changes(all?: boolean): Changes;
  kept(): void;
  /** What happened since the last call, and what still is so. */
  take(): Happened[];
  silences(): readonly Silence[];
  /** Adds a silence, or puts it in the place of the one with its id. */
  silence(silence: Silence): void;
  /** The alerts that fire, as they were received. */
  firing(): AlertData[];
  /** What keeps an alert with some labels quiet. */
  quieting(labels: Readonly<Record<string, string>>): Quieting;
  /** What became of an alert, the oldest first. */
  timeline(fingerprint: string): AlertEvent[];
  /** All messages that aren't delivered. */
  outbox(): OutboxRow[];
  /** Sends a message at once, or once more; false where there is none. */
  retry(id: string): boolean;
  /** Forgets a message; false where there is none. */
  drop(id: string): boolean;
  /**
   * Ends, after it has told what there is to tell, for at most so many milliseconds; at once without any.
   * Returns how many messages remain, by sink. Sinks are left open.
   */
  close(patience?: number): Promise<ReadonlyMap<string, number>>;
}

/** Milliseconds between two looks at what is due. */
const interval = 1000;
const longestWait = 3_600_000;
/** Milliseconds between two times at which receipts are kept. */
const receiptsWithin = 20;

export function makeDelivery(options: DeliveryOptions): Delivery {
  const { clock, store, log, save } = options;
  const journal = makeJournal();
  const silencer = makeSilencer();
  let receipts: (() => void) | undefined;
  let receivedAt = -Infinity;
  const outbox = makeOutbox({
    ...options,
    sinks: options.sinks.filter((sink): sink is Receiver => !("beat" in sink)),
    journal,
    mirrored: (sink) => dispatcher.mirrored(sink, clock.now()),
    // At once, since whoever is killed before sends it again; where many come, together.
    onChange() {
      const now = clock.now();
      if (now - receivedAt >= receiptsWithin || now < receivedAt) {
        receivedAt = now;
        return save();
      }
      receipts ??= clock.after(receiptsWithin, () => {
        receipts = undefined;
        receivedAt = clock.now();
        save();
      });
    },
  });
  const dispatcher = makeDispatcher({ ...options, silencer, outbox, journal });
  let troubles: Happened[] = [];
  const heartbeats = makeHeartbeats({
    sinks: options.sinks.filter((sink): sink is HeartbeatSink => "beat" in sink),
    clock,
    log,
    trouble() {
      const sink = troubles.find(({ event }) =>
        event === "sinkFailing" || event === "sinkDisabled"
      );
      return options.trouble() ?? (sink === undefined ? undefined : `${sink.sink}: ${sink.why}`);
    },
  });
  let timer: (() => void) | undefined;
  let waiting = 0;
  /** From then on nothing begins any more: what has the delivery may outlive it. */
  let isClosing = false;

  /** Silences that aren't kept yet. */
  const fresh = new Map<string, Silence>();
  const useSilences = (silences: readonly Silence[]): void => {
    const all = new Map([...silences.map((each) => [each.id, each] as const), ...fresh]);
    const since = clock.now() - silenceRetention;
    silencer.set([...all.values()].filter(({ endsAt }) => endsAt > since));
  };
  const readSilences = (): void => useSilences(store.loadSilences());
  let unread = "";
  /** What people did with `dropwatch silence` and `dropwatch outbox` takes effect. */
  const lookElsewhere = (): void => {
    try {
      const changed = store.changedElsewhere();
      unread = "";
      if (!changed) return;
      readSilences();
      const kept = store.outboxStates();
      const unsaved = new Set([...outbox.changes().rows].map(({ id }) => id));
      for (const { id, state } of outbox.rows()) {
        const there = kept.get(id);
        if (there === undefined && !unsaved.has(id)) outbox.drop(id);
        else if (there?.state === "pending" && (state === "dead" || there.hurried)) {
          outbox.retry(id);
        }
      }
    } catch (thrown) {
      const why = reasonOf(thrown);
      if (why !== unread) log(`what others did with the state can't be read: ${why}`);
      unread = why;
    }
  };
  const decide = (): void => dispatcher.step(clock.now());
  const tell = (): void => {
    decide();
    save();
    outbox.send();
    arm();
  };
  /** Looks again when something is due, or others may have changed the state. */
  const arm = (): void => {
    timer?.();
    if (isClosing) return;
    const due = dispatcher.nextAt(clock.now()) - clock.now();
    const wait = Math.max(1, Math.min(due, options.alone === true ? longestWait : interval));
    timer = clock.after(wait, () => {
      lookElsewhere();
      tell();
    });
  };

  return {
    begin(told) {
      const rows = store.loadMemory(["notice", "group", "memo"]);
      const of = (kind: string): typeof rows => rows.filter((row) => row.kind === kind);
      readSilences();
      outbox.restore(
        store.loadOutbox(),
        of("memo").map(({ owner, key, data }) => ({ sink: owner, group: key, memo: data })),
      );
      dispatcher.restore(of("notice"), of("group"), clock.now());
      for (const data of told) dispatcher.adopt(data, clock.now());
      store.changedElsewhere();
      heartbeats.begin();
      arm();
    },
    receive(messages) {
      for (const message of messages) dispatcher.receive(message, clock.now());
    },
    decide,
    tell,
    changes(all = false) {
      const { notices, goneNotices, groups, goneGroups } = dispatcher.changes(all);
      const { rows, gone, memos } = outbox.changes(all);
      waiting = journal.waiting.length;
      return {
        rows: [
          ...notices.map((row) => ({ kind: "notice", owner: "", ...row })),
          ...groups.map((row) => ({ kind: "group", ...row })),
          ...memos.filter(({ memo }) => memo !== "").map(({ sink, group, memo }) => ({
            kind: "memo",
            owner: sink,
            key: group,
            data: memo,
          })),
        ],
        goneRows: [
          ...goneNotices.map((key) => ({ kind: "notice", owner: "", key })),
          ...goneGroups.map((row) => ({ kind: "group", ...row })),
          ...memos.filter(({ memo }) => memo === "")
            .map(({ sink, group }) => ({ kind: "memo", owner: sink, key: group })),
        ],
        outbox: rows,
        goneOutbox: gone,
        events: journal.waiting,
        silences: [...fresh.values()],
      };
    },
    kept() {
      fresh.clear();
      dispatcher.kept();
      outbox.kept();
      journal.kept(waiting);
      waiting = 0;
    },
    silences: () => silencer.all,
    silence(silence) {
      fresh.set(silence.id, silence);
      useSilences(silencer.all);
      // Its end keeps it, and tells what there is to tell.
      if (!isClosing) tell();
    },
    take: () => troubles = outbox.take(),
    firing: () => dispatcher.firing(),
    quieting: (labels) => dispatcher.quieting(labels, clock.now()),
    timeline: (fingerprint) => [
      ...store.events(fingerprint),
      ...journal.waiting.filter((event) => event.fingerprint === fingerprint),
    ],
    outbox: () => outbox.rows(),
    retry(id) {
      const found = !isClosing && outbox.retry(id);
      if (found) tell();
      return found;
    },
    drop(id) {
      const found = !isClosing && outbox.drop(id);
      if (found) save();
      return found;
    },
    async close(patience = 0) {
      isClosing = true;
      timer?.();
      if (patience > 0) {
        dispatcher.flush(clock.now());
        save();
      }
      const left = await outbox.close(patience);
      receipts?.();
      await heartbeats.end();
      save();
      return left;
    },
  };
}
