// The stream of what happens. The browser connects again by itself and says what it got last; where that
// is refused, all is read again.
import type { Changeable, ViewAlert, ViewTick } from "../../../../core/view/view.ts";

export interface StreamEvents {
  /** The stream is there. `isResumed`: it says what was missed, if it is of the same instance. */
  hello(instance: string, fields: readonly string[], isResumed: boolean): void;
  tick(tick: ViewTick): void;
  alert(alert: ViewAlert): void;
  changed(what: readonly Changeable[]): void;
  /** What the page has is too old to be added to. */
  reset(): void;
  /** There is no connection since a moment, in milliseconds since 1970. */
  down(since: number): void;
}

export interface Stream {
  /** Connects no more, until {@linkcode Stream.again}. */
  stop(): void;
  /** Connects anew, as where the server has let go of it without a word. */
  again(): void;
}

const longestWait = 15_000;

export function openStream(events: StreamEvents): Stream {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = 1000;
  let since: number | undefined;
  const connect = (): void => {
    clearTimeout(timer);
    source?.close();
    const mine = source = new EventSource("/api/v1/events");
    let isResumed = false;
    const on = (name: string, call: (data: unknown) => void): void => {
      mine.addEventListener(name, (event) => {
        if (mine === source) call(JSON.parse((event as MessageEvent<string>).data || "null"));
      });
    };
    on("hello", (data) => {
      wait = 1000;
      since = undefined;
      const { instance, fields } = data as { instance: string; fields: readonly string[] };
      events.hello(instance, fields, isResumed);
      isResumed = true;
    });
    on("tick", (data) => events.tick(data as ViewTick));
    on("alert", (data) => events.alert(data as ViewAlert));
    on("changed", (data) => events.changed((data as { what: readonly Changeable[] }).what));
    on("reset", () => events.reset());
    mine.addEventListener("error", () => {
      if (mine !== source) return;
      since ??= Date.now();
      events.down(since);
      if (mine.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(connect, wait);
      wait = Math.min(longestWait, wait * 2);
    });
  };
  connect();
  return {
    again: connect,
    stop() {
      clearTimeout(timer);
      source?.close();
      source = undefined;
    },
  };
}
