// The main process's side of the rule host: processes that run what rules are made of. All rules share
// one, until it ends in the middle of a rule's code. Whether that rule is to blame is found out by
// running it once more, alone; meanwhile the others go on. A rule that is to blame has a process of its
// own from then on, so that it delays nobody again. Where it isn't, what somebody else left running has
// done it, and the rules are divided over two processes, until one is alone.
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeFailed, hostFailed, ruleCrashed, showPlace, textFailed } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import type { Bundle } from "./bundle.ts";
import { bundleHost, shown } from "./bundle.ts";
import type { CheckedRule } from "./checked.ts";
import type {
  CodeResult,
  CodeRun,
  Failure,
  Question,
  Reply,
  UncheckedRule,
} from "./host_message.ts";
import { nobody, startHostProcess } from "./host_process.ts";
import type { End, HostProcess, Waiting } from "./host_process.ts";
import type { AlertFacts, TextName } from "./rule.ts";

const maxFailedStarts = 3;

/** What became of one file: its rules, or why it has none. */
export type Loaded =
  | { readonly rules: readonly UncheckedRule[] }
  | { readonly failure: Failure }
  | { readonly error: DropwatchError };

/** Which rule's code is to be run. */
export type RuleCodeOf = Pick<CheckedRule, "file" | "bundle" | "index">;

export interface RuleHost {
  /**
   * Runs the bundle of a file and hands over its rules. With `apart` it is run alone first, so that it
   * can't disturb the rules that run already.
   */
  load(file: string, bundle: Bundle, apart?: boolean): Promise<Loaded>;
  /** Lets go of a bundle. */
  forget(file: string, bundle: string): Promise<void>;
  /** Asks for a text of a rule; rejects with an error that says what the rule did wrong. */
  text(rule: RuleCodeOf, text: TextName, alert: AlertFacts): Promise<string>;
  /** Which of some combinations of values a filter of a rule keeps. */
  filter(
    rule: RuleCodeOf,
    filter: number,
    fields: readonly string[],
    values: readonly (readonly string[])[],
  ): Promise<boolean[]>;
  /** Runs `each` and `tick` of a rule; a result for each of its keys. */
  run(rule: RuleCodeOf, run: CodeRun): Promise<readonly CodeResult[]>;
  /** The first process's id, while it runs. */
  readonly pid: number | undefined;
  close(): Promise<void>;
}

interface KnownBundle {
  readonly file: string;
  readonly path: string;
  loaded: boolean;
}

/** Rules that share a process. */
interface Group {
  /** By the bundle's id. */
  readonly bundles: Map<string, KnownBundle>;
  process: HostProcess | undefined;
  failedStarts: number;
  /** How often its process ended while no rule was asked for anything. */
  idleEnds: number;
}

/** One such end may be anything: somebody has killed it. */
const maxIdleEnds = 3;

/**
 * Starts the host. `log` gets what rules print; `blame` is told of a bundle whose code ended its
 * process when nobody had asked it for anything.
 */
export async function startRuleHost(
  log: (message: string) => void,
  blame: (bundle: string, error: DropwatchError) => void = () => {},
): Promise<RuleHost> {
  const folder = await mkdtemp(join(tmpdir(), "dropwatch-rules-"));
  const root = process.getuid?.() === 0;
  const program = join(folder, "host.mjs");
  // The child's group may read, nobody but us may write, and others may not even look.
  const put = async (file: string, code: string): Promise<void> => {
    await writeFile(file, code, { mode: 0o400 });
    if (root) await chown(file, 0, nobody);
    if (root) await chmod(file, 0o440);
  };
  if (root) await chown(folder, 0, nobody);
  await chmod(folder, root ? 0o750 : 0o700);
  await put(program, await bundleHost());

  const newGroup = (): Group => ({
    bundles: new Map(),
    process: undefined,
    failedStarts: 0,
    idleEnds: 0,
  });
  /** The first one is where rules begin. */
  let groups: [Group, ...Group[]] = [newGroup()];
  const processes = new Set<HostProcess>();
  let nextBundle = 1;
  let closed = false;

  const launch = (onEnd: (end: End) => void): HostProcess => {
    const started = startHostProcess({
      folder,
      program,
      log,
      onEnd: (end) => {
        processes.delete(started);
        onEnd(end);
      },
    });
    processes.add(started);
    return started;
  };

  /** Starts a group's process. A fresh one knows nothing: it is told again what was loaded. */
  const start = (group: Group, asked: readonly Waiting[]): void => {
    const fresh = launch((end) => onEnd(group, fresh, end));
    group.process = fresh;
    const loading = new Set(
      asked.flatMap(({ request }) => request.do === "load" ? [request.bundle] : []),
    );
    for (const [bundle, { file, path, loaded }] of group.bundles) {
      if (!loaded || loading.has(bundle)) continue;
      fresh.ask(waiting({ do: "load", file, bundle, path }, () => {}, (error) => {
        log(`${showPlace(error.place ?? { file })}: ${error.message}`);
      }));
    }
    for (const each of asked) fresh.ask(each);
  };

  const onEnd = (group: Group, ended: HostProcess, end: End): void => {
    const { suspect, error, rest } = end;
    if (group.process === ended) group.process = undefined;
    if (closed) {
      suspect?.reject(error!);
      for (const each of rest) each.reject(hostFailed("it was closed"));
      return;
    }
    if (end.failedStart) {
      // It ended before any rule ran: no rule is to blame, and trying for ever would not help.
      if (++group.failedStarts < maxFailedStarts) start(group, rest);
      else for (const each of rest) each.reject(hostFailed(end.how));
      return;
    }
    group.failedStarts = 0;
    if (suspect === undefined) {
      if (group.process === undefined) onIdleEnd(group, end.how);
      if (rest.length > 0) start(group, rest);
      return;
    }
    const { bundle } = suspect.request;
    const known = group.bundles.get(bundle);
    const alone = [...group.bundles].every(([each, { loaded }]) => each === bundle || !loaded);
    if (alone || known === undefined) {
      suspect.reject(error!);
      if (rest.length > 0) start(group, rest);
      return;
    }
    // The others go on; the suspect is run again, alone.
    const own = newGroup();
    own.bundles.set(bundle, known);
    group.bundles.delete(bundle);
    groups = [...groups, own];
    const others = rest.filter(({ request }) => request.bundle !== bundle);
    if (others.length > 0) start(group, others);
    const again: Waiting = {
      ...suspect,
      token: crypto.randomUUID(),
      resolve: (reply) => {
        // Alone it does no harm: somebody else has done it.
        divide(group);
        suspect.resolve(reply);
      },
    };
    start(own, [again, ...rest.filter((each) => !others.includes(each))]);
  };

  const onIdleEnd = (group: Group, how: string): void => {
    if (++group.idleEnds < maxIdleEnds) return;
    group.idleEnds = 0;
    const [[bundle, { file }] = ["", { file: "" }], ...others] = [...group.bundles];
    if (others.length > 0) divide(group);
    else if (file !== "") {
      blame(bundle, ruleCrashed({ file: shown(file) }, "go on with", how));
    }
  };

  /** Two processes for a group in which somebody ends the process of others. */
  const divide = (group: Group): void => {
    const all = [...group.bundles];
    if (all.length < 2) return;
    const half = newGroup();
    for (const [bundle, known] of all.slice(all.length >> 1)) {
      group.bundles.delete(bundle);
      half.bundles.set(bundle, known);
    }
    groups = [...groups, half];
    const old = group.process;
    if (old === undefined) return;
    start(group, []);
    old.retire();
  };

  /** A question to a process of its own. */
  const askApart = (request: Question): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const own = launch(({ suspect, error, rest, how }) => {
        suspect?.reject(error!);
        for (const each of rest) each.reject(hostFailed(how));
      });
      own.ask(waiting(request, (reply) => {
        resolve(reply);
        own.kill();
      }, reject));
    });

  const groupOf = (bundle: string): Group =>
    groups.find(({ bundles }) => bundles.has(bundle)) ?? groups[0];

  const ask = (request: Question, group = groupOf(request.bundle)): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(hostFailed("it was closed"));
      const asked = waiting(request, resolve, reject);
      if (group.process === undefined) start(group, [asked]);
      else group.process.ask(asked);
    });

  start(groups[0], []);
  return {
    async load(file, bundle, apart = false) {
      const path = join(folder, `rule-${nextBundle++}.mjs`);
      await put(path, bundle.code);
      const question: Question = { do: "load", file, bundle: bundle.id, path };
      try {
        if (apart) {
          const reply = await askApart(question);
          if (reply.say !== "rules") return { failure: failureOf(reply) };
        }
        const mine: KnownBundle = { file, path, loaded: false };
        groups[0].bundles.set(bundle.id, mine);
        const reply = await ask(question);
        if (reply.say === "rules") {
          mine.loaded = true;
          return { rules: reply.rules };
        }
        groupOf(bundle.id).bundles.delete(bundle.id);
        return { failure: failureOf(reply) };
      } catch (error) {
        groupOf(bundle.id).bundles.delete(bundle.id);
        return { error: error as DropwatchError };
      }
    },
    async forget(file, bundle) {
      const group = groupOf(bundle);
      const known = group.bundles.get(bundle);
      if (known === undefined || closed) return;
      group.bundles.delete(bundle);
      await rm(known.path, { force: true });
      if (group !== groups[0] && group.bundles.size === 0) {
        groups = groups.filter((each) => each !== group) as [Group, ...Group[]];
        group.process?.kill();
      } else if (group.process !== undefined) await ask({ do: "forget", file, bundle }, group);
    },
    async text(rule, text, alert) {
      const reply = await ask({ do: "text", ...codeOf(rule), text, alert });
      if (reply.say === "text") return reply.text;
      throw textFailed({ file: shown(rule.file) }, text, failureOf(reply).message);
    },
    async filter(rule, filter, fields, values) {
      const reply = await ask({ do: "filter", ...codeOf(rule), filter, fields, values });
      if (reply.say === "kept" && reply.kept.length === values.length) {
        return [...reply.kept].map((kept) => kept === "1");
      }
      throw codeFailed({ file: shown(rule.file) }, "filter", failureOf(reply).message);
    },
    async run(rule, run) {
      const reply = await ask({ do: "run", ...codeOf(rule), run });
      if (reply.say === "ran" && reply.results.length === run.keys.length) return reply.results;
      throw codeFailed({ file: shown(rule.file) }, "code", failureOf(reply).message);
    },
    get pid() {
      return groups[0].process?.pid;
    },
    async close() {
      closed = true;
      const all = [...processes];
      for (const each of all) each.kill();
      await Promise.all(all.map(({ ended }) => ended));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const notThat: Failure = { message: "an answer to another question", at: "" };

function failureOf(reply: Reply): Failure {
  return reply.say === "failed" ? reply.failure : notThat;
}

function codeOf({ file, bundle, index }: RuleCodeOf): {
  file: string;
  bundle: string;
  rule: number;
} {
  return { file, bundle, rule: index };
}

function waiting(
  request: Question,
  resolve: (reply: Reply) => void,
  reject: (error: DropwatchError) => void,
): Waiting {
  return { request, token: crypto.randomUUID(), resolve, reject };
}
