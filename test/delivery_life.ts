// One life of a process that watches, judges, keeps and delivers as dropwatch does, over drops of its own:
// it kills itself at a point of its work. test/delivery_kill.test.ts gives it many lives.
import process from "node:process";
import { makeRouting } from "../core/alert/route.ts";
import type { AlertSink, GroupSink } from "../core/alert/sink.ts";
import { runPipeline } from "../core/pipeline.ts";
import { openStore } from "../core/store.ts";
import type { StateStore } from "../core/store.ts";
import { webhook } from "../plugins/sinks/webhook.ts";
import { drivenSource } from "./run.ts";
import { ruleOf, ruleSetOf } from "./rule.ts";
import { sinkOf } from "./sink.ts";

const [folder = "", url = "", life = "0", point = "0"] = process.argv.slice(2);
/** How many ports there are at which drops can be; each is an alert. */
const ports = 20;

let points = 0;
/** What a kill -9 can hit: it comes before or after what is done between two of these. */
function pass(): void {
  if (++points === Number(point)) process.kill(process.pid, "SIGKILL");
}

const opened = openStore(folder, (message) => console.error(message));
const store: StateStore = {
  ...opened,
  save(changes) {
    pass();
    opened.save(changes);
    pass();
  },
};
const hook = sinkOf<GroupSink>(webhook({ name: "hook", url: `${url}/hook` }));
const people: GroupSink = {
  name: "hook",
  async notify(notification, context) {
    pass();
    const delivered = await hook.notify(notification, context);
    pass();
    return delivered;
  },
};
const changes: AlertSink = {
  name: "log",
  async send(alert, { id, signal }) {
    pass();
    const headers = { "webhook-id": id };
    const body = JSON.stringify(alert);
    await (await fetch(`${url}/log`, { method: "POST", headers, body, signal })).text();
    pass();
  },
};

const rules = [
  ruleOf({
    alert: "Closed",
    where: { reason: "NO_SOCKET" },
    by: ["dport"],
    window: 2000,
    above: 5,
    texts: { summary: "drops" },
  }),
];
const driven = drivenSource({ at: Date.now() });
const ending = new AbortController();
const running = runPipeline({
  source: driven.source,
  rules: ruleSetOf(rules),
  sinks: [people, changes],
  routing: makeRouting(
    // A port may come and go in three lives of a chain, and would be held then.
    { route: { groupBy: ["..."], groupWait: "0s", groupInterval: "50ms" }, flapping: false },
    ["hook", "log"],
  ),
  interval: 1000,
  maxKeys: 4096,
  signal: ending.signal,
  log: () => {},
  store,
});
await driven.attached;
pass();
// In each life another port has drops, and that of the life before has none any more; in the last one
// nothing is dropped.
const dropped = life === "last" ? [] : [Number(life) % ports];
// The seconds of the life before may have been ahead of this one's: the last one outlives them.
for (let second = 0; second < (life === "last" ? 12 : 4); second++) {
  await driven.second(
    dropped.map((each) => [{ reason: "NO_SOCKET", l4: "UDP", dport: String(1000 + each) }, 10]),
  );
  pass();
  await new Promise((resolve) => setTimeout(resolve, 10));
}
ending.abort();
await running;
pass();
opened.close();
console.log(points);
