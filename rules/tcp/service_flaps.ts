// Finds: a TCP port that closes again and again: clients meet nobody, then somebody, then nobody.
// Matters: a service in a crash loop. Each time is too short for a threshold, and health checks may
//   hit the moments in between.
// Misleads: clients that come in bursts (a job every few minutes) to a port that is always closed look
//   the same; so does a scanner that comes back. Ports from 32768 on are left out: they are clients'.
// A rule of code: how often something began is no number of drops.
import { drops, rule } from "dropwatch";

/** So many refused connections, in its first so many milliseconds, make a burst; strangers who try a
 * port are fewer. */
const enough = 20;
const soon = 10_000;
/** After so long without any, the next one begins another burst; in milliseconds. */
const pause = 15_000;
/** So many bursts in so long. */
const often = 4;
const within = 30 * 60_000;

export default rule({
  alert: "ServiceFlaps",
  // By the sender too, though nobody asks for it: so the kernel counts once for PortScan and for this.
  on: drops.where({ reason: "NO_SOCKET", l4: "TCP", tcpFlags: ["SYN", "SYN|ECE|CWR"] })
    .filter(["dport"], ({ dport }) => Number(dport) < 32768)
    .by("saddr", "dport"),
  by: ["dport"],
  state: {
    version: 1,
    init: (): { since: number; last: number; refused: number; bursts: number[] } => ({
      since: 0,
      last: 0,
      refused: 0,
      bursts: [],
    }),
  },
  each: ({ count }, { state, now, fire }) => {
    if (now - state.last > pause) [state.since, state.refused] = [now, 0];
    const before = state.refused;
    state.refused += count;
    state.last = now;
    const isBurst = before < enough && state.refused >= enough && now - state.since < soon;
    if (isBurst) state.bursts.push(now);
    if (state.bursts.length >= often) fire(state.bursts.length);
  },
  every: "10s",
  tick: ({ state, now, fire, resolve }) => {
    state.bursts = state.bursts.filter((at) => now - at < within);
    if (state.bursts.length >= often) fire(state.bursts.length);
    else resolve();
    if (now - state.last > pause) {
      state.refused = 0;
      // Like a new one again, so that it is forgotten.
      if (state.bursts.length === 0) [state.since, state.last] = [0, 0];
    }
  },
  severity: "warning",
  summary: ({ value, labels }) =>
    `TCP port ${labels.dport} was closed to its clients ${value} times in half an hour`,
  description:
    "The alert names who had the port within the last ten minutes. `systemctl list-units " +
    "--failed`, `systemctl show -p NRestarts UNIT` or `docker ps` shows what restarts, `journalctl " +
    "-u UNIT` and `coredumpctl` why.",
});
