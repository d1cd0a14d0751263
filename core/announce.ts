// What was judged becomes messages in the queues of sinks: those of a rule in order, and nobody waits for
// another's. What is sent is kept first.
import type { AlertMessage } from "./alert/alert.ts";
import type { Queue } from "./alert/queue.ts";
import { printable, reasonOf } from "./error.ts";
import type { Keeper } from "./keep.ts";
import type { Notifier } from "./notify.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { Mode } from "./rule/rule.ts";
import type { ActiveAlert, Transition, Watch } from "./watch/watch.ts";

/** How many texts of a rule are asked for at once: one that hangs isn't asked for many more. */
const textsAtOnce = 8;

export interface AnnounceOptions {
  readonly queues: readonly Queue[];
  readonly notifier: Notifier;
  /** What keeps alerts, where anything does. */
  readonly keeper: () => Keeper | undefined;
  readonly log: (message: string) => void;
  /** Every alert that changed its state, those in shadow too. */
  readonly onTransition: (transition: Transition) => void;
}

export interface Announcer {
  announce(transitions: readonly Transition[], at: number): void;
  /** Sends a message as it is. */
  push(message: AlertMessage): void;
  /**
   * Who was told of an alert is told of its end when its rule goes into shadow, and of one that fires
   * when its rule comes out of it.
   */
  settleModes(watch: Watch, at: number): void;
  /** Settles when all that was announced so far is in the queues. */
  settled(): Promise<void>;
}

export function makeAnnouncer(options: AnnounceOptions): Announcer {
  const { queues, notifier, keeper, log } = options;
  /** By rule, what is still to be done. */
  const orders = new Map<string, Promise<void>>();
  const inOrder = (alert: string, work: () => Promise<void>): void => {
    const last = (orders.get(alert) ?? Promise.resolve()).then(work)
      .catch((thrown) => log(`${alert}: ${reasonOf(thrown)}`))
      .finally(() => {
        if (orders.get(alert) === last) orders.delete(alert);
      });
    orders.set(alert, last);
  };
  const push = (message: AlertMessage): void => queues.forEach((queue) => queue.push(message));

  const notify = async (transitions: readonly Transition[], at: number): Promise<void> => {
    const due = transitions.filter(({ change }) => change === "firing" || change === "resolved");
    const messages: { readonly message: AlertMessage; readonly mode: Mode }[] = [];
    for (let from = 0; from < due.length; from += textsAtOnce) {
      messages.push(
        ...await Promise.all(
          due.slice(from, from + textsAtOnce).map(async (transition) => ({
            message: await notifier.message(transition),
            mode: transition.rule.mode,
          })),
        ),
      );
    }
    // Kept before they are sent: whoever is killed in between must know that they may have been.
    keeper()?.keep(at, transitions);
    for (const { message, mode } of messages) {
      if (mode === "shadow") {
        const { alert, status, annotations } = message.data;
        const summary = printable(annotations["summary"] ?? "");
        log(`${alert} would be ${status}, and is in shadow: ${summary}`);
      } else push(message);
    }
  };

  return {
    push,
    announce(transitions, at) {
      for (const each of transitions) options.onTransition(each);
      // Where nobody is told, and nothing is kept, no texts are needed.
      if (queues.length === 0 && keeper() === undefined) return;
      for (const [alert, own] of Map.groupBy(transitions, ({ rule }) => rule.alert)) {
        inOrder(alert, () => notify(own, at));
      }
      keeper()?.keep(at, []);
    },
    settleModes(watch, at) {
      const firing = watch.active().filter(({ state }) => state.state === "firing")
        .map((active) => ({ ...active, state: { ...active.state } }));
      for (const [rule, own] of Map.groupBy(firing, ({ rule }) => rule)) {
        inOrder(rule.alert, async () => {
          const untold: Transition[] = [];
          const ends: AlertMessage[] = [];
          for (const { labels, state } of own) {
            const sent = notifier.sent(rule, labels);
            if (rule.mode === "alert" && sent === undefined) {
              untold.push(transitionOf(rule, "firing", labels, state, at));
            } else if (rule.mode === "shadow" && sent !== undefined) {
              ends.push(notifier.orphan(sent, at));
            }
          }
          if (untold.length > 0) await notify(untold, at);
          if (ends.length === 0) return;
          keeper()?.keep(
            at,
            own.map(({ labels, state }) => transitionOf(rule, "firing", labels, state, at)),
          );
          for (const end of ends) push(end);
        });
      }
    },
    async settled() {
      while (orders.size > 0) await Promise.all(orders.values());
    },
  };
}

/** What an alert's state is to those who are told, where no tick has changed it. */
export function transitionOf(
  rule: CheckedRule,
  change: Transition["change"],
  labels: Transition["labels"],
  { value, peak, total, since }: ActiveAlert["state"],
  at: number,
): Transition {
  return { rule, change, labels, value, peak, total, since, at, exact: true, lost: 0 };
}
