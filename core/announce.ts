// What was judged becomes messages for whoever is to be told: those of a rule in order, and nobody waits
// for another's. What is told is kept first.
import type { AlertMessage } from "./alert/alert.ts";
import type { Delivery } from "./alert/delivery.ts";
import { printable, reasonOf } from "./error.ts";
import type { Keeper } from "./keep.ts";
import type { LookUp, Notifier } from "./notify.ts";
import type { CheckedRule } from "./rule/checked.ts";
import type { Mode } from "./rule/rule.ts";
import type { ActiveAlert, Transition, Watch } from "./watch/watch.ts";

/** How many texts of a rule are asked for at once: one that hangs isn't asked for many more. */
const textsAtOnce = 8;

export interface AnnounceOptions {
  readonly delivery: Pick<Delivery, "receive" | "decide" | "tell">;
  readonly notifier: Notifier;
  readonly keeper: () => Keeper;
  /** Whether anybody is told, or anything kept: without it no texts are needed. */
  readonly anybody: boolean;
  readonly log: (message: string) => void;
  /** Every alert that changed its state, those in shadow too. */
  readonly onTransition: (transition: Transition) => void;
  /** What is said of an alert, whether somebody is told or its rule is in shadow. */
  readonly onMessage: (message: AlertMessage) => void;
}

export interface Announcer {
  announce(transitions: readonly Transition[], at: number): void;
  /**
   * Who was told of an alert is told of its end when its rule goes into shadow, and of one that fires
   * when its rule comes out of it.
   */
  settleModes(watch: Watch, at: number): void;
  /** Makes texts anew that are of other numbers than now: what is told later says what is so then. */
  renew(at: number, look: LookUp): void;
  /** Settles when all that was announced so far is in the outbox. */
  settled(): Promise<void>;
}

export function makeAnnouncer(options: AnnounceOptions): Announcer {
  const { delivery, notifier, keeper, log } = options;
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
    for (const { message, mode } of messages) {
      options.onMessage(message);
      if (mode !== "shadow") continue;
      const { alert, status, annotations } = message.data;
      const summary = printable(annotations["summary"] ?? "");
      log(`${alert} would be ${status}, and is in shadow: ${summary}`);
    }
    delivery.receive(
      messages.filter(({ mode }) => mode !== "shadow").map(({ message }) => message),
    );
    delivery.decide();
    // Kept together with what is to be told of them, and before it is told: whoever is killed in between
    // must know both.
    keeper().keep(at, transitions);
    delivery.tell();
  };

  return {
    announce(transitions, at) {
      for (const each of transitions) options.onTransition(each);
      if (!options.anybody) return;
      for (const each of transitions) notifier.notice(each);
      for (const [alert, own] of Map.groupBy(transitions, ({ rule }) => rule.alert)) {
        inOrder(alert, () => notify(own, at));
      }
      keeper().keep(at, []);
    },
    renew(at, look) {
      if (!options.anybody) return;
      for (const { alert, make } of notifier.outdated(at, look)) {
        inOrder(alert, () =>
          make((message) => {
            delivery.receive([message]);
            options.onMessage(message);
          }));
      }
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
          ends.forEach(options.onMessage);
          delivery.receive(ends);
          delivery.decide();
          keeper().keep(
            at,
            own.map(({ labels, state }) => transitionOf(rule, "firing", labels, state, at)),
          );
          delivery.tell();
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
