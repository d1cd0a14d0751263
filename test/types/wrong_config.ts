// Configs and cases of routes that are wrong: each line below a `@ts-expect-error` doesn't compile, and all
// others do.
import { defineConfig } from "dropwatch";
import { routeTest } from "dropwatch/test";

const config = defineConfig({});
const fires = { at: 0, fires: { alertname: "X" } } as const;
const told = { name: "x", given: [fires] } as const;

// Routes.
// @ts-expect-error: there is no such key
defineConfig({ routes: {} });
// @ts-expect-error: there is no such key of a route
defineConfig({ route: { groupby: ["dev"] } });
// @ts-expect-error: there is no such key, further down
defineConfig({ route: { routes: [{ routes: [{ reciever: "ops" }] }] } });
// @ts-expect-error: a list
defineConfig({ route: { groupBy: "dev" } });
// @ts-expect-error: a list
defineConfig({ route: { routes: [{ matchers: "a=b" }] } });
// @ts-expect-error: no unit
defineConfig({ route: { groupWait: "30" } });
// @ts-expect-error: a text
defineConfig({ route: { groupInterval: 300 } });
// @ts-expect-error: no unit
defineConfig({ route: { repeatInterval: "0" } });
// @ts-expect-error: true or false
defineConfig({ route: { routes: [{ continue: "true" }] } });
// @ts-expect-error: names
defineConfig({ route: { receiver: 5 } });
// @ts-expect-error: names of times
defineConfig({ route: { muteTimeIntervals: [{ weekdays: ["monday"] }] } });

// Times.
// @ts-expect-error: a list of times
defineConfig({ timeIntervals: { night: { weekdays: ["monday"] } } });
// @ts-expect-error: there is no such key
defineConfig({ timeIntervals: { night: [{ weekday: ["monday"] }] } });
// @ts-expect-error: a list
defineConfig({ timeIntervals: { night: [{ weekdays: "monday" }] } });
// @ts-expect-error: no end
defineConfig({ timeIntervals: { night: [{ times: [{ startTime: "22:00" }] }] } });
// @ts-expect-error: days are texts
defineConfig({ timeIntervals: { night: [{ daysOfMonth: [1] }] } });

// Inhibitions and what comes and goes.
// @ts-expect-error: no target
defineConfig({ inhibitRules: [{ sourceMatchers: ["a=b"] }] });
// @ts-expect-error: there is no such key
defineConfig({ inhibitRules: [{ sourceMatchers: [], targetMatchers: [], equals: ["dev"] }] });
// @ts-expect-error: settings, or false
defineConfig({ flapping: true });
// @ts-expect-error: there is no such key
defineConfig({ flapping: { change: 6 } });
// @ts-expect-error: a duration
defineConfig({ flapping: { quiet: 5 } });

// Cases.
// @ts-expect-error: no name
routeTest(config, [{ given: [], expect: [] }]);
// @ts-expect-error: nothing is expected
routeTest(config, [{ name: "x", given: [] }]);
// @ts-expect-error: there is no such key
routeTest(config, [{ name: "x", given: [], expect: [], untl: "1h" }]);
// @ts-expect-error: a duration
routeTest(config, [{ name: "x", given: [], expect: [], until: "later" }]);
// @ts-expect-error: no time
routeTest(config, [{ name: "x", given: [{ fires: { alertname: "X" } }], expect: [] }]);
// @ts-expect-error: there is no such thing
routeTest(config, [{ name: "x", given: [{ at: 0, fire: { alertname: "X" } }], expect: [] }]);
// @ts-expect-error: a label is a text
routeTest(config, [{ name: "x", given: [{ at: 0, fires: { alertname: 5 } }], expect: [] }]);
// @ts-expect-error: a severity
routeTest(config, [{ name: "x", given: [{ ...fires, severity: "page" }], expect: [] }]);
// @ts-expect-error: no matchers
routeTest(config, [{ name: "x", given: [{ at: 0, silence: { duration: "1h" } }], expect: [] }]);
// @ts-expect-error: it is killed, or nothing happens
routeTest(config, [{ name: "x", given: [{ at: 0, restart: false }], expect: [] }]);
// @ts-expect-error: no receiver
routeTest(config, [{ ...told, expect: [{ at: 0 }] }]);
// @ts-expect-error: there is no such key
routeTest(config, [{ ...told, expect: [{ at: 0, reciever: "ops" }] }]);
// @ts-expect-error: a status
routeTest(config, [{ ...told, expect: [{ at: 0, receiver: "o", status: "pending" }] }]);
// @ts-expect-error: a reason
routeTest(config, [{ ...told, expect: [{ at: 0, receiver: "o", reason: "first" }] }]);
// @ts-expect-error: a list of labels
routeTest(config, [{ ...told, expect: [{ at: 0, receiver: "o", alerts: { a: "b" } }] }]);
// @ts-expect-error: a text or a pattern
routeTest(config, [{ ...told, expect: [{ at: 0, receiver: "o", text: 5 }] }]);
