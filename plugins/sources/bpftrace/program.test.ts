import { describe, expect, test } from "bun:test";
import { matches, randomPacket, randomWhere } from "../../../test/packet.ts";
import type { Packet, Where } from "../../../test/packet.ts";
import { randomFrom } from "../../../test/random.ts";
import type { Random } from "../../../test/random.ts";
import { kernel, olderKernel, planOf, sites, where, world } from "../../../test/world.ts";
import { fieldNames, fieldOf } from "../../../core/drop/field.ts";
import type { FieldName } from "../../../core/drop/field.ts";
import { fragmentCode, fragments } from "../../../core/drop/fragment.ts";
import type { FragmentName, KernelFacts } from "../../../core/drop/fragment.ts";
import { plumbing } from "../../../core/drop/site.ts";
import { keyReader, separator } from "../../../core/plan/key.ts";
import type { Layout } from "../../../core/plan/layout.ts";
import { makePlan } from "../../../core/plan/plan.ts";
import type { Count, Plan } from "../../../core/plan/plan.ts";
import { inRanges, readPredicate } from "../../../core/plan/predicate.ts";
import type { Range } from "../../../core/plan/predicate.ts";
import { usesSite, writeProgram } from "./program.ts";
import type { ProgramOptions } from "./program.ts";
import { takeApart } from "./shared.ts";

/** Each site is a function of one address; plumbing lies where no site does. */
const addresses = (names: readonly string[]): readonly Range[] => {
  if (names.includes([...plumbing][0]!)) return [[-50, -50]];
  return [...sites].filter(([, name]) => names.includes(name))
    .map(([address]): Range => [Number(address), Number(address)]);
};

function programOf(plan: Plan, on: KernelFacts = kernel): { text: string; lines: string[] } {
  const { text } = writeProgram(plan, { kernel: on, interval: 1000, addresses });
  return { text, lines: text.split("\n").map((line) => line.trim()) };
}

/** The text of each probe of a program, by what it is attached to. */
function probesOf(text: string): { at: string; lines: string[] }[] {
  return text.split(/^(?=\S+:)/m).filter((part) => part.trim() !== "").map((part) => {
    const [at = "", ...lines] = part.split("\n").map((line) => line.trim());
    return { at, lines: lines.filter((line) => line !== "") };
  });
}

/** Plans of many kinds: what is promised is promised for all of them. */
function somePlans(): Plan[] {
  const random = randomFrom(51);
  const fields = fieldNames.filter((name) => name !== "stack");
  // What happens after a drop can't be shown with it.
  const shown = fields.filter((name) => fieldOf(name).kind !== "later");
  const plans = Array.from({ length: 60 }, () => {
    const counts = randomCounts(random, random.int(0, 6), fields);
    return makePlan(
      counts.map(({ count }) => count),
      undefined,
      random.pick(["decisions", "keys"]),
    );
  });
  const predicate = where({ reason: "SOCKET_FILTER" });
  return [
    ...plans,
    planOf(),
    planOf({ by: ["stack", "reason"] }, { by: ["site", "dport"], sum: "len" }),
    makePlan([{ predicate, by: ["comm"] }], { fields: shown, perTick: 20, predicate }),
    makePlan([], { fields: [...shown, "stack"], perTick: 20, predicate: [] }),
  ];
}

function randomCounts(
  random: Random,
  n: number,
  fields: readonly FieldName[],
): { asked: Where; count: Count }[] {
  const counts: { asked: Where; count: Count }[] = [];
  while (counts.length < n) {
    const asked = randomWhere(random, fields, 2);
    const { predicate, mistakes } = readPredicate([asked], world);
    if (mistakes.length > 0) continue;
    const by = random.shuffle(fields).slice(0, random.int(0, 3));
    counts.push({ asked, count: { predicate, by, sum: random.chance(0.2) ? "len" : undefined } });
  }
  return counts;
}

const plans = somePlans();

const byPort = planOf({ by: ["dport"] });
const ms = 1_000_000n;

interface Looked {
  /** What was printed: a format without its newline, and its values. */
  readonly texts: (string | bigint)[][];
  /** What was done that user space does: `print(@b0)`, `clear(@busy)`, `printf`. */
  readonly done: string[];
}

/**
 * Runs the probe that ticks, as the kernel does: `at` holds the variables, `look` runs it once at so
 * many milliseconds; where time goes by while it runs, `later` is what it reads from the second time on.
 */
function tickerOf(
  plan: Plan,
  interval = 1000,
): { at: Record<string, bigint>; look(now: number, later?: number): Looked } {
  const { text } = writeProgram(plan, { kernel, interval, addresses });
  const probe = probesOf(text).find(({ at }) => at.startsWith("interval"))!;
  const script = probe.lines.slice(1, -1).join("\n")
    .replace(/printf\("([^"]*)\\n"((?:, [^,;]*)*)\);/g, 'did("printf", ["$1"$2]);')
    .replace(/^(print|clear)\(@(\w+)\);$/gm, 'did("$1(@$2)");')
    .replace(/\(u?int64\)/g, "")
    // All but what is in quotes.
    .replace(/"[^"]*"|@(\w+(?:\[\d+\])?)/g, (all, name) => name ? `at["${name}"]` : all)
    .replace(/"[^"]*"|\bnsecs\b/g, (all) => all === "nsecs" ? "nsecs()" : all)
    .replace(/"[^"]*"|(?<![\w$])\d+\b/g, (all) => all.startsWith('"') ? all : `${all}n`);
  const variables = [...new Set(script.match(/\$\w+/g) ?? [])];
  const run = new Function("at", "did", "nsecs", `let ${variables.join()};\n${script}`);
  const values: Record<string, bigint> = {};
  const at = new Proxy(values, { get: (all, name) => all[String(name)] ?? 0n });
  return {
    at,
    look(now, later = now) {
      const looked: Looked = { texts: [], done: [] };
      const times = [now, later];
      const did = (what: string, printed?: (string | bigint)[]): void => {
        looked.done.push(what);
        if (printed !== undefined) looked.texts.push(printed);
        if (what === "clear(@busy)") delete values["busy[0]"];
      };
      run(at, did, () => BigInt(Math.round((times.length > 1 ? times.shift()! : times[0]!) * 1e6)));
      return looked;
    },
  };
}

describe("a program", () => {
  test("reads each argument of the tracepoint once, and before anything else", () => {
    for (const on of [kernel, olderKernel]) {
      for (const plan of plans) {
        for (const { at, lines } of probesOf(programOf(plan, on).text)) {
          const body = lines.slice(1);
          const reading = body.filter((line) => line.includes("args->"));
          if (at.startsWith("interval")) {
            expect(reading).toEqual([]);
            continue;
          }
          // Nothing but plain assignments stands between or before them.
          const last = body.findLastIndex((line) => line.includes("args->"));
          for (const line of body.slice(0, last + 1)) expect(line).toMatch(/^\$\w+ = [^@{}]*;$/);
          const args = reading.flatMap((line) => line.match(/args->\w+/g) ?? []);
          expect(new Set(args).size).toBe(args.length);
          const known = at.startsWith("tracepoint:tcp") ? on.retransmitArgs : on.args;
          for (const arg of args) expect([...known]).toContain(arg.slice("args->".length));
        }
      }
    }
  });

  test("sets each variable before it reads it, in the same block or in one around it", () => {
    for (const on of [kernel, olderKernel]) {
      for (const plan of plans) {
        for (const { lines } of probesOf(programOf(plan, on).text)) {
          const scopes: Set<string>[] = [new Set()];
          const isSet = (name: string): boolean => scopes.some((scope) => scope.has(name));
          for (const part of lines.join("\n").split(/(?<=[{};])/)) {
            const assigned = /^\s*(\$\w+) = ([^]*)$/.exec(part);
            for (const [name] of (assigned?.[2] ?? part).matchAll(/\$\w+/g)) {
              expect([name, isSet(name)]).toEqual([name, true]);
            }
            if (assigned !== null && !isSet(assigned[1]!)) scopes.at(-1)!.add(assigned[1]!);
            if (part.endsWith("{")) scopes.push(new Set());
            if (part.endsWith("}")) scopes.pop();
          }
        }
      }
    }
  });

  test("prints numbers only: no name that a stranger chose is ever in the output", () => {
    for (const plan of plans) {
      const { text } = programOf(plan);
      for (const [, format, args] of text.matchAll(/printf\("([^"]*)"(.*?)\);/g)) {
        const conversions = format!.match(/%\w+/g) ?? [];
        const strings = conversions.filter((each) => each !== "%lld");
        const stack = plan.samples?.fields.includes("stack") === true && format!.startsWith("s ");
        expect(strings).toEqual(stack ? ["%s"] : []);
        // A stack is text, but the kernel's own; it comes last.
        if (stack) expect(args).toMatch(/, kstack$/);
        expect(conversions).toHaveLength(args!.split(", ").length - 1);
      }
      expect(text).not.toMatch(/\b(str|buf|comm|ksym|usym|join|cat|system)\b\(?(?=[,)\]( ])/);
    }
  });

  test("reads a name of the kernel's as two integers", () => {
    const { text } = programOf(planOf({ by: ["comm", "dev"] }));
    expect(text).toContain("[$dev_hi, $dev_lo, $comm_hi, $comm_lo]");
  });

  test("prints each map that it writes once a tick, in the copy that nobody writes any more", () => {
    for (const plan of plans) {
      const probes = probesOf(programOf(plan).text);
      const counting = probes.filter(({ at }) => at.startsWith("tracepoint")).flatMap(({ lines }) =>
        lines
      );
      const written = new Set(
        counting.flatMap((line) =>
          [...line.matchAll(/@(\w+)(?:\[.*?\])? = (?:count|stats)/g)].map((match) => match[1]!)
        ),
      );
      const ticking = probes.find(({ at }) => at.startsWith("interval"))!.lines;
      const printed = ticking.flatMap((line) => /^print\(@(\w+)\);$/.exec(line)?.[1] ?? []);
      expect(new Set(printed).size).toBe(printed.length);
      for (const name of written) expect(printed).toContain(name);
      // Each copy in a branch of its own: while packets write one, the other.
      const branch = ticking.findIndex((line) => line === "if ($copy == 1) {");
      const otherwise = ticking.indexOf("} else {", branch);
      const names = (lines: readonly string[]): string[] =>
        lines.flatMap((line) => /@(\w+)/.exec(line)?.[1] ?? []);
      for (const name of names(ticking.slice(branch + 1, otherwise))) expect(name).toMatch(/0$/);
      const end = ticking.indexOf("}", otherwise + 1);
      for (const name of names(ticking.slice(otherwise + 1, end))) expect(name).toMatch(/1$/);
      const outside = [...ticking.slice(0, branch), ...ticking.slice(end)];
      expect(outside.filter((line) => line.startsWith("print("))).toEqual([]);
    }
  });

  test("clears what it printed by key, and never what only grows", () => {
    for (const plan of plans) {
      const { lines } = programOf(plan);
      lines.forEach((line, i) => {
        const cleared = /^clear\(@(\w+)\);$/.exec(line)?.[1];
        if (cleared === undefined || cleared === "busy") return;
        expect(cleared).toMatch(/^[mw]\d+_[01]$|^f[01]$/);
        expect(lines[i - 1]).toBe(`print(@${cleared});`);
      });
      const printed = lines.flatMap((line) => /^print\(@([mw]\d+_[01])\);$/.exec(line)?.[1] ?? []);
      for (const name of printed) {
        const hasKey = lines.some((line) => line.includes(`@${name}[`));
        expect([name, lines.includes(`clear(@${name});`)]).toEqual([name, hasKey]);
      }
    }
  });

  test("frames a tick by its number, so that a reader knows what is whole", () => {
    for (const plan of plans) {
      const { at, look } = tickerOf(plan);
      at.next = 1000n * ms;
      look(990);
      const turning = look(1010);
      expect(turning.texts).toEqual([
        ["tick %lld %lld %lld %lld 1", 1n, 0n, 1000n * ms, 1010n * ms],
      ]);
      // The flag is turned before anything is printed.
      expect(turning.done.filter((each) => each.startsWith("print("))).toEqual([]);
      expect(at.e! & 3n).toBe(1n);
      const printing = look(1030);
      expect(printing.texts).toEqual([["end %lld", 1n]]);
      expect(printing.done.slice(-2)).toEqual(["printf", "clear(@busy)"]);
    }
  });

  test("has one map for all rules that count by the same fields", () => {
    const same = [53, 80, 443].map((dport) => ({ where: { dport }, by: ["saddr"] as const }));
    const { text } = programOf(planOf(...same, { where: { l4: "UDP" }, by: ["saddr"] }));
    expect(new Set(text.match(/@m\d+_0/g))).toEqual(new Set(["@m0_0"]));
  });

  test("reads of a packet only what its rules ask for", () => {
    const { text } = programOf(planOf({ where: { reason: "NO_SOCKET" }, by: ["cpu"] }));
    expect(text).not.toContain("$skb");
    expect(text).not.toContain("$head");
  });

  test("counts a reason in a variable where it is the only one in its branch, at most eight of them", () => {
    const { scalars } = writeProgram(
      planOf({ where: { reason: "NO_SOCKET" }, by: ["dport"] }),
      { kernel, interval: 1000, addresses },
    );
    expect([...scalars]).toEqual([["r3", 3]]);
    const many = Array.from({ length: 12 }, (_, i) => ({
      predicate: [{ field: "reason" as const, ranges: [[2 * i, 2 * i]] as const }],
      by: fieldNames.slice(i, i + 1),
    }));
    const program = writeProgram(makePlan(many), { kernel, interval: 1000, addresses });
    expect(program.scalars.size).toBe(8);
    for (const [name, reason] of program.scalars) expect(name).toBe(`r${reason}`);
  });

  test("gives variables up where its maps by key leave too few of the kernel's 64", () => {
    const fields = ["dev", "cpu", "dport", "sport", "saddr", "daddr", "len", "mark"] as const;
    const reasons = ["NO_SOCKET", "SOCKET_FILTER", "NETFILTER_DROP", "SOCKET_RCVBUFF"] as const;
    const counts = fields.flatMap((field, i) =>
      fields.slice(i + 1, i + 5).map((other): Count => ({
        predicate: where({ reason: reasons[i % 4]! }),
        by: [field, other],
      }))
    );
    const plan = makePlan(counts);
    const { scalars, text } = writeProgram(plan, { kernel, interval: 1000, addresses });
    expect([plan.maps.length, scalars.size]).toEqual([22, 2]);
    const probe = probesOf(text).find(({ at }) => at.startsWith("tracepoint:skb"))!;
    const maps = new Set(probe.lines.flatMap((line) => line.match(/@[a-z]+\w*/g) ?? []));
    expect(maps.size).toBeLessThanOrEqual(64);
  });

  test("ticks on multiples of the interval, and looks often enough to be on time", () => {
    const { text } = writeProgram(planOf({}), { kernel, interval: 500, addresses });
    const every = Number(/^interval:ms:(\d+)$/m.exec(text)![1]);
    expect(every).toBeLessThanOrEqual(50);
    expect(every).toBeGreaterThanOrEqual(1);
    const { look } = tickerOf(planOf({}), 500);
    const ticks: (string | bigint)[][] = [];
    for (let now = 1234; now < 4234; now += every) {
      ticks.push(...look(now).texts.filter(([format]) => `${format}`.startsWith("tick ")));
    }
    // The first is the one that says that all is attached.
    expect(ticks.map(([, , , at]) => at))
      .toEqual([1234n, 1500n, 2000n, 2500n, 3000n, 3500n, 4000n].map((each) => each * ms));
    for (const [, , , at, now] of ticks) {
      expect(Number((now as bigint) - (at as bigint))).toBeLessThan(every * 1e6);
    }
  });

  test("knows whether it needs the names of the kernel's functions", () => {
    expect(usesSite(planOf({ by: ["site"] }))).toBe(true);
    expect(usesSite(planOf({ where: { site: "tcp_v4_rcv" } }))).toBe(true);
    expect(usesSite(planOf({ by: ["dport", "reason"] }))).toBe(false);
    expect(usesSite(makePlan([], { fields: ["site"], perTick: 1, predicate: [] }))).toBe(true);
  });
});

describe("a boundary between ticks", () => {
  const evidence = {
    fields: ["reason"],
    perTick: 32,
    labels: [],
    perLabels: 0,
    lookedAt: 5000,
    counts: [0],
  } as const;
  const kept = makePlan(
    [{ predicate: where({ reason: "NO_SOCKET" }), by: ["dport"] }],
    undefined,
    "decisions",
    evidence,
  );
  const ticking = (plan: Plan): ReturnType<typeof tickerOf> => {
    const ticker = tickerOf(plan);
    ticker.at.next = 1000n * ms;
    return ticker;
  };

  test("arms the flag shortly before it, once, and leaves everything else of the flag", () => {
    for (const plan of [...plans, kept]) {
      const { at, look } = ticking(plan);
      look(920);
      const before = at.e!;
      expect([before & 3n, at.until]).toEqual([0n, 0n]);
      const { done } = look(960);
      expect([at.e, at.until, done]).toEqual([before + 2n, 1000n * ms, []]);
      look(980);
      expect([at.e, at.until]).toEqual([before + 2n, 1000n * ms]);
    }
  });

  test("is where it should be to the nanosecond, however late the look behind it comes", () => {
    for (const late of [0, 19, 300]) {
      const { at, look } = ticking(byPort);
      look(980);
      expect(look(1000 + late).texts).toEqual([
        ["tick %lld %lld %lld %lld 1", 1n, 0n, 1000n * ms, BigInt(1000 + late) * ms],
      ]);
      expect([at.e, at.next]).toEqual([1n, 2000n * ms]);
    }
  });

  test("stays what it was for a packet that was held up since it read the armed flag", () => {
    const { at, look } = ticking(byPort);
    for (const now of [980, 1000, 1020, 1040, 1900]) {
      look(now);
      expect(at.until).toBe(1000n * ms);
    }
    look(1960);
    expect(at.until).toBe(2000n * ms);
  });

  test("is not told as exact where no look came in time to arm the flag", () => {
    const { at, look } = ticking(byPort);
    look(900);
    expect(look(1004).texts)
      .toEqual([["tick %lld %lld %lld %lld 0", 1n, 0n, 1004n * ms, 1004n * ms]]);
    expect([at.e, at.next]).toEqual([1n, 2000n * ms]);
  });

  test("is not told as exact where arming was held up beyond it", () => {
    const { at, look } = ticking(byPort);
    expect(look(999, 1001).texts).toEqual([]);
    expect(at.e).toBe(0n);
    expect(look(1019).texts)
      .toEqual([["tick %lld %lld %lld %lld 0", 1n, 0n, 1019n * ms, 1019n * ms]]);
  });

  test("waits for user space to have printed and cleared the last copy", () => {
    const { at, look } = ticking(byPort);
    at["busy[0]"] = 1n;
    look(980);
    expect(at.e).toBe(0n);
    expect(look(1005).texts).toEqual([]);
    delete at["busy[0]"];
    look(1025);
    expect([at.e, at.next]).toEqual([1n, 2000n * ms]);
  });

  test("has its copy printed one look later, when nobody is still writing it", () => {
    for (const plan of plans) {
      const { at, look } = ticking(plan);
      for (const [second, copy] of [[1000, 0], [2000, 1]] as const) {
        look(second - 20);
        expect(look(second).done.filter((each) => each.startsWith("print("))).toEqual([]);
        const printed = look(second + 20).done.filter((each) => each.startsWith("print("));
        expect(printed).toContain(`print(@b${copy})`);
        for (const each of printed) expect(each).toMatch(new RegExp(`${copy}\\)$`));
        expect(look(second + 40).done).toEqual([]);
        expect(at.e! & 3n).toBe(BigInt(1 - copy));
      }
    }
  });

  test("opens the groups whose drops are kept whole; between two, what has had its share is closed", () => {
    const { at, look } = ticking(kept);
    look(980);
    look(1000);
    const opened = at.e! >> 2n;
    expect(opened).not.toBe(0n);
    look(1020);
    expect(at.e! >> 2n).toBe(opened);
    for (const name of Object.keys(at)) if (name.startsWith("quota[")) at[name] = 0n;
    look(1040);
    expect(at.e).toBe(1n);
  });

  test("closes a group that had its share at once in the look that prints", () => {
    const { at, look } = ticking(kept);
    look(980);
    look(1000);
    for (const name of Object.keys(at)) if (name.startsWith("quota[")) at[name] = 0n;
    look(1020);
    expect(at.e).toBe(1n);
  });
});

describe("single drops", () => {
  const sampling = (fields: readonly FieldName[], asked: Where): string[] => {
    const plan = makePlan([], { fields, perTick: 7, predicate: where(asked) });
    return probesOf(programOf(plan).text)[1]!.lines;
  };

  test("are printed so many a tick, and no more", () => {
    const lines = sampling(["dport"], {});
    expect(lines).toContain("if (@left[0] > 0) {");
    expect(lines).toContain("@left[0] = @left[0] - 1;");
    const { text } = programOf(makePlan([], { fields: ["dport"], perTick: 7, predicate: [] }));
    expect(text).toContain("@left[0] = 7;");
  });

  test("are those of the reasons that were asked for", () => {
    expect(sampling(["dport"], { reason: ["NO_SOCKET", "SOCKET_FILTER"] }))
      .toContain("if (@left[0] > 0 && ($reason == 3 || $reason == 5)) {");
    expect(sampling(["dport"], { reason: ["NO_SOCKET", "SOCKET_CLOSE"] }))
      .toContain("if (@left[0] > 0 && (($reason >= 3 && $reason <= 4))) {");
  });

  test("are a probe of their own: keys and arguments don't fit into one stack", () => {
    const plan = makePlan([{ predicate: [], by: ["dport"] }], {
      fields: ["dport"],
      perTick: 1,
      predicate: [],
    });
    const at = probesOf(programOf(plan).text).map((each) => each.at);
    expect(at).toEqual(["tracepoint:skb:kfree_skb", "tracepoint:skb:kfree_skb", "interval:ms:20"]);
  });
});

/** The flag, and the time at which a packet reads it. */
interface Flag {
  readonly e: bigint;
  readonly until: bigint;
  readonly nsecs: bigint;
}

/** A flag that isn't armed. */
const quiet = (copy: number): Flag => ({ e: BigInt(copy), until: 0n, nsecs: 1n });

/**
 * Runs the probe that counts on a packet: its own language, as far as a program uses it, is
 * close to JavaScript's. What fragments read is taken from the packet. Returns what was counted, by
 * map, as bpftrace would print the key.
 */
function compile(
  plan: Plan,
  more: Partial<ProgramOptions> = {},
): (packet: Packet, flag: Flag, location: bigint) => [string, string][] {
  const { text } = writeProgram(plan, { kernel, interval: 1000, addresses, ...more });
  const probe = probesOf(text).find(({ at }) => at === "tracepoint:skb:kfree_skb");
  const read = new Set(
    (Object.keys(fragments) as FragmentName[])
      .map((name) =>
        fragmentCode(name, kernel).split("\n").map((line) => line.trim()).filter((line) =>
          line !== ""
        )
          .join("\n")
      ),
  );
  let code = probe!.lines.slice(1, -1).filter((line) => !line.includes("args->")).join("\n");
  for (const fragment of [...read].sort((a, b) => b.length - a.length)) {
    code = code.split(`${fragment}\n`).join("");
  }
  const script = code
    .replace(/@(\w+)(?:\[([^\]]*)\])? = (count\(\)|stats\([^)]*\));/g, 'count("$1", [$2]);')
    .replace(/kstack(\(\d+\))?/g, '"kstack"')
    .replace(/@(e|until)\b/g, "flag.$1")
    .replace(/\bnsecs\b/g, "flag.nsecs")
    .replace(/(?<![\w$])(0x[0-9a-f]+|\d+)\b/g, "$1n")
    .replace(/\(uint64\)(\$?\w+)/g, "BigInt.asUintN(64, $1)")
    .replace(/\(int64\)/g, "");
  const variables = [...new Set(script.match(/\$\w+/g) ?? [])];
  const run = new Function("count", "flag", "cpu", "pid", ...variables, script);
  return (packet, flag, location) => {
    const counted: [string, string][] = [];
    const slots = new Map<string, bigint>([["$location", location]]);
    for (const field of fieldNames.filter((name) => !["site", "stack", "class"].includes(name))) {
      fieldOf(field).slots.forEach((name, i) => slots.set(name, packet.slots[field][i]!));
    }
    const count = (name: string, key: readonly (bigint | string)[]): void => {
      const shown = key.map((part) =>
        typeof part === "bigint"
          ? String(BigInt.asIntN(64, part))
          : `\n  kfree_skb+1\n  ip_rcv_core+1\n`
      );
      counted.push([name, shown.join(",")]);
    };
    run(
      count,
      flag,
      packet.slots.cpu[0],
      packet.slots.pid[0],
      ...variables.map((each) => slots.get(each)),
    );
    return counted;
  };
}

/** What was counted in maps that are shared, as if each were alone. */
function apart(
  counted: readonly (readonly [string, string])[],
  layout: Layout,
  copy: number,
): (readonly [string, string])[] {
  return counted.flatMap(([name, key]) => {
    const { maps, strangers } = takeApart(new Map([[name, { [key]: 1 }]]), layout, copy);
    expect(strangers).toBe(0);
    if (!/^[kt]\d$|^k\d+_/.test(name)) return [[name, key] as const];
    return [...maps].filter(([each]) => each !== name).flatMap(([each, value]) =>
      typeof value === "number"
        ? [[each, ""] as const]
        : Object.keys(value as object).map((own) => [each, own] as const)
    );
  });
}

describe("what a program counts", () => {
  const fields = fieldNames.filter((name) => name !== "stack");

  test.each([
    ["with maps of their own", {}, 120],
    ["with maps that key sets share", { mostMaps: 20 }, 40],
    ["with its branches the other way round", { turned: true }, 40],
  ])("%s is each drop once by its reason, and for just the rules that ask", (_, more, rounds) => {
    const random = randomFrom(52);
    for (let round = 0; round < rounds; round++) {
      const counts = randomCounts(random, random.int(0, 7), fields);
      const plan = makePlan(
        counts.map(({ count }) => count),
        undefined,
        random.pick(["decisions", "keys"]),
      );
      const program = writeProgram(plan, { kernel, interval: 1000, addresses, ...more });
      const { scalars, layout } = program;
      const readers = plan.maps.map((map) => keyReader(plan, map, world.names));
      const run = compile(plan, more);
      for (let i = 0; i < 25; i++) {
        const packet = randomPacket(random);
        const copy = random.int(0, 1);
        const counted = apart(run(packet, quiet(copy), packet.slots.site[0]!), layout, copy);
        for (const [name] of counted) expect(name).toMatch(new RegExp(`_${copy}$|^b${copy}$`));

        const reason = Number(packet.slots.reason[0]);
        const byReason = counted.filter(([name]) => /^[br]/.test(name));
        const scalar = [...scalars].find(([, id]) => id === reason)?.[0];
        expect(byReason).toEqual([
          scalar === undefined ? [`b${copy}`, String(reason)] : [`${scalar}_${copy}`, ""],
        ]);

        const found = new Map<number, string>();
        for (const [name, raw] of counted.filter(([each]) => each.startsWith("m"))) {
          const id = Number(/^m(\d+)_/.exec(name)![1]);
          const key = readers[id]!(raw)!;
          for (const served of key.counts) {
            expect(found.has(served)).toBe(false);
            found.set(served, key.text);
          }
          // Beside a map with conditions stands the number of all that belong to it.
          const total = counted.filter(([each]) => each === `t${id}_${copy}`);
          expect(total).toHaveLength(plan.maps[id]!.conditional ? 1 : 0);
        }
        plan.places.forEach((place, index) => {
          if (place.at === "reasons" && inRanges(place.ranges, reason)) found.set(index, "");
        });
        const expected = counts.flatMap(({ asked, count }, index): [number, string][] => {
          if (!matches(asked, packet)) return [];
          const by = fieldNames.filter((field) => count.by.includes(field));
          return [[index, by.map((field) => packet.labels[field]).join(separator)]];
        });
        expect([counts.map(({ asked }) => asked), [...found].sort(([a], [b]) => a - b)])
          .toEqual([counts.map(({ asked }) => asked), expected]);
      }
    }
  });

  test("goes to one copy whole: near a boundary to the one that the time says", () => {
    const random = randomFrom(54);
    for (let round = 0; round < 60; round++) {
      const counts = randomCounts(random, random.int(0, 4), fields).map(({ count }) => count);
      const run = compile(makePlan(counts));
      for (let i = 0; i < 25; i++) {
        const packet = randomPacket(random);
        const copy = random.int(0, 1);
        const armed = random.chance(0.5);
        const nsecs = BigInt(random.int(999, 1001));
        const flag = { e: BigInt(copy + (armed ? 2 : 0)), until: 1000n, nsecs };
        const expected = armed && nsecs >= 1000n ? 1 - copy : copy;
        for (const [name] of run(packet, flag, packet.slots.site[0]!)) {
          expect([flag, name.slice(-1)]).toEqual([flag, String(expected)]);
        }
      }
    }
  });

  test("where the location is plumbing goes to a map with the stack, which tells the site", () => {
    const plan = planOf({ by: ["site", "dport"] });
    const packet = randomPacket(randomFrom(53));
    const run = compile(plan);
    const [, walked] = run(packet, quiet(0), -50n);
    expect(walked![0]).toBe("w0_0");
    const key = keyReader(plan, plan.maps[0]!, world.names, true)(walked![1]);
    expect(key!.labels).toEqual(["ip_rcv_core", packet.labels.dport]);
    expect(run(packet, quiet(0), -1000n).map(([name]) => name)).toEqual(["b0", "m0_0"]);
  });

  test("with a stack in its key needs no second one", () => {
    expect(programOf(planOf({ by: ["site", "stack"] })).text).not.toContain("@w");
  });
});
