// Finds: answers of DNS servers that come after the program which asked has given up.
// Matters: names resolve slowly or not at all, and everything that needs them waits: the resolver is
//   overloaded, or the way to it is.
// Misleads: programs that ask several servers at once and take the first answer (dnsdist, some
//   browsers) leave the others' answers behind; forged answers look the same, from strangers.
import { drops, rule } from "dropwatch";

export default rule({
  alert: "LateDnsReplies",
  when: drops.where({ reason: "NO_SOCKET", l4: "UDP", sport: 53 }).count("5m")
    .above(300, { recovery: 60 }),
  keepFiringFor: "5m",
  severity: "warning",
  summary: ({ value }) =>
    `${value.toFixed(0)} DNS answers in five minutes came after nobody waited for them any more`,
  description: "`dropwatch tail --reason NO_SOCKET` shows the servers (source port 53). " +
    "`dig @SERVER example.org | grep 'Query time'` says how long one takes, `resolvectl statistics` " +
    "how many time out.",
});
