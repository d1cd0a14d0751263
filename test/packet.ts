// Packets that were never sent, and conditions on them, for property tests: what a condition means
// is worked out here on labels, in the plainest way, by nothing of the code that is tested.
import { addressBytes, noAddress, wordsOf } from "../core/drop/bytes.ts";
import { fieldNames, fieldOf } from "../core/drop/field.ts";
import type { Drop, FieldName } from "../core/drop/field.ts";
import type { Random } from "./random.ts";
import { reasons, sites, subsystems, world } from "./world.ts";

/** A dropped packet: each field as the integers that the kernel reads, and as its label. */
export interface Packet {
  readonly slots: { readonly [F in FieldName]: readonly bigint[] };
  readonly labels: Required<Drop>;
}

export type Where = Readonly<Record<string, unknown>>;

const addresses = [
  "",
  "0.0.0.0",
  "10.0.0.1",
  "10.0.0.2",
  "10.200.3.4",
  "127.0.0.1",
  "192.0.2.1",
  "::",
  "::1",
  "2001:db8::1",
  "2001:db8:0:1::1",
  "fe80::1",
];
const deviceNames = ["", "lo", "eth0", "eth1", "eth10", "veth0a1b2c3d4e5", "br-lan"];
const taskNames = ["", "sh", "ssh", "sshd", "syncthing", "kworker/0:1-eve", "a\n, x"];
const stacks = ["a;b;c", "a;b", "entry;udp_rcv"];

const address = (text: string): bigint[] => [...wordsOf(addressBytes(text) ?? noAddress)];

/** A name, and behind its NUL what an older one left. */
function nameWords(text: string, random: Random): bigint[] {
  const bytes = random.bytes(16);
  const encoded = new TextEncoder().encode(text);
  bytes.set(encoded);
  bytes[encoded.length] = 0;
  return [...wordsOf(bytes)];
}

/** Some values of each number, its edges and its unknown among them. */
const numbers: { readonly [name: string]: readonly number[] } = {
  protocol: [0, 0x0800, 0x86dd, 0x0806, 0x88b5, 0xffff],
  l4: [1, 6, 17, 58, 253, 255, 256],
  sport: [0, 53, 80, 1024, 65_535, 65_536],
  dport: [0, 53, 80, 81, 443, 1024, 65_535, 65_536],
  tcpFlags: [0, 2, 0x12, 0x10, 255, 256],
  len: [0, 1, 40, 1500, 65_536],
  ifindex: [0, 1, 2, 7],
  netns: [0, 1, 4_026_531_840],
  mark: [0, 1, 0xffff_ffff],
  cpu: [0, 1, 2],
  pid: [0, 1, 4711],
  ownerInode: [0, 1, 5000, 2 ** 40],
  ownerPort: [0, 22, 53, 65_535],
  cgroupId: [0, 1, 77],
};

/** What some keys are looked up as, and what none is. */
const lookedUp: { readonly [name: string]: readonly (string | number)[] } = {
  owner: ["syncthing", "nginx", "nobody", ""],
  ownerPid: [100, 200, 300],
  ownerUid: [0, 33, 1000],
  unit: ["ssh.service", "docker-0123.scope", "cron.service", ""],
  container: ["0123", "4567", ""],
};

const reasonIds = [...reasons.keys(), 1, 200, 0x1_000b, 0x2_0003, 0x7_0001, 0xffff_ffff];

/** A packet with random fields. */
export function randomPacket(random: Random): Packet {
  const slots: { [name: string]: readonly bigint[] } = {};
  const reason = BigInt(random.pick(reasonIds));
  for (const field of fieldNames) {
    const { kind, bytes } = fieldOf(field);
    if (kind === "reason") slots[field] = [field === "subsystem" ? reason >> 16n : reason];
    else if (kind === "number") slots[field] = [BigInt(random.pick(numbers[field]!))];
    else if (kind === "site") slots[field] = [random.pick([...sites.keys(), -9_999_999n])];
    else if (kind === "stack") slots[field] = [];
    else if (kind === "later") {
      const flow = (["saddr", "daddr", "sport", "dport"] as const).flatMap((each) => slots[each]!);
      slots[field] = [...flow, BigInt(random.pick([0, 1, 0xffff_ffff]))];
    } else if (kind === "lookup") slots[field] = slots[fieldOf(field).lookedUpBy!]!;
    else if (bytes === "address") slots[field] = address(random.pick(addresses));
    else slots[field] = nameWords(random.pick(field === "dev" ? deviceNames : taskNames), random);
  }
  const labels = Object.fromEntries(
    fieldNames.map((field) => [
      field,
      field === "stack" ? random.pick(stacks) : fieldOf(field).label(slots[field]!, world.names),
    ]),
  );
  return { slots: slots as Packet["slots"], labels: labels as Required<Drop> };
}

/** What can be asked of a field by equality. */
function values(field: FieldName): readonly (string | number)[] {
  const { kind, bytes, named, max, unknown } = fieldOf(field);
  if (field === "reason") return [...reasons.values()];
  if (field === "subsystem") return [...subsystems.values()];
  if (field === "class") return ["fault", "policy", "teardown", "normal", "unknown"];
  if (kind === "site") return [...sites.values(), "nowhere_at_all"];
  if (kind === "lookup") return lookedUp[field]!;
  if (kind === "later") return fieldOf(field).choices!;
  if (bytes === "address") {
    return [
      ...addresses,
      "10.0.0.0/8",
      "10.0.0.0/31",
      "0.0.0.0/0",
      "2001:db8::/32",
      "::1/127",
      "2000::/3",
      "fe80::/10",
      "ff00::/8",
      "ffff::/16",
    ];
  }
  if (bytes === "text") return field === "dev" ? deviceNames : taskNames;
  const known = numbers[field]!.filter((n) => n <= max! && !(n === 0 && unknown === 0));
  if (named === undefined) return known;
  const labels = known.map((n) => fieldOf(field).label([BigInt(n)], world.names));
  return [...labels, Object.keys(named)[0]!];
}

/** A condition on some of `fields`, in any of the ways in which it can be written. */
export function randomWhere(random: Random, fields: readonly FieldName[], most: number): Where {
  const asked: { [field: string]: unknown } = {};
  for (let i = random.int(0, most); i > 0; i--) {
    const field = random.pick(fields);
    const { kind, bytes, named } = fieldOf(field);
    const some = random.shuffle(values(field)).slice(0, random.int(1, 3));
    const one = some[0]!;
    const forms: unknown[] = [one, one, some, { not: one }, { not: some }];
    if (kind === "number" && named === undefined) {
      const [lo, hi] = [random.pick(numbers[field]!), random.pick(numbers[field]!)]
        .sort((a, b) => a - b) as [number, number];
      const max = fieldOf(field).max!;
      if (hi <= max) forms.push({ gte: lo, lte: hi }, { gt: lo, lte: hi + 1 > max ? max : hi + 1 });
      if (lo <= max) forms.push({ gte: lo }, { lte: lo });
    }
    if (bytes === "text") {
      forms.push({ prefix: random.pick(["e", "eth", "eth1", "s", "ss", "veth0a1b2c"]) });
    }
    asked[field] = random.pick(forms);
  }
  return asked;
}

/** Whether a packet is what a condition asks for, told from its labels alone. */
export function matches(asked: Where, { labels }: Packet): boolean {
  return Object.entries(asked).every(([field, value]) =>
    fits(field as FieldName, value, labels[field as FieldName])
  );
}

function fits(field: FieldName, value: unknown, label: string): boolean {
  if (Array.isArray(value)) return value.some((each) => fits(field, each, label));
  if (typeof value !== "object" || value === null) return equals(field, value as string, label);
  if ("not" in value) return !fits(field, value.not, label);
  if ("prefix" in value) return label.startsWith(value.prefix as string);
  if (label === "") return false;
  const n = Number(label);
  return Object.entries(value as { [bound: string]: number }).every(([bound, limit]) =>
    ({ gte: n >= limit, gt: n > limit, lte: n <= limit, lt: n < limit })[bound]
  );
}

function equals(field: FieldName, value: string | number, label: string): boolean {
  if (fieldOf(field).bytes !== "address" || !String(value).includes("/")) {
    return label === String(value);
  }
  const [network = "", length = ""] = String(value).split("/");
  if (label === "" || network.includes(":") !== label.includes(":")) return false;
  const bits = (text: string): string =>
    [...addressBytes(text)!].slice(text.includes(":") ? 0 : 12)
      .map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits(label).startsWith(bits(network).slice(0, Number(length)));
}
