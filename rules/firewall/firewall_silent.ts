// Finds: a firewall that refused something all day, and now nothing for an hour.
// Matters: its rules may be gone: flushed by a script, or not loaded after a restart. Nothing else tells,
//   since everything works.
// Misleads: where one burst (a single large scan) makes the day's number, the quiet after it isn't
//   news. A machine whose firewall refuses little is left alone.
import { drops, rule } from "dropwatch";

const refused = drops.where({ reason: "NETFILTER_DROP" });

export default rule({
  alert: "FirewallSilent",
  when: refused.absent("1h").and(refused.count("24h").above(10_000)),
  severity: "warning",
  summary: ({ value }) =>
    `the firewall has refused nothing for ${
      (value / 60).toFixed(0)
    } minutes: are its rules loaded?`,
  description: "`nft list ruleset` or `iptables-save -c` shows what is loaded, with counters; " +
    "`systemctl status nftables firewalld ufw` and `journalctl -u nftables` who loaded it last. " +
    "If traffic has moved to another machine, that is the cause.",
});
