// Processes that share rules: all of them one, until it ends in the middle of a rule's code. Whether that
// rule is to blame is found out by running it once more, alone; meanwhile the others go on. A rule that
// is to blame has a process of its own from then on, so that it delays nobody again. Where it isn't,
// what somebody else left running has done it, and the rules are divided over two processes, until one
// is alone. While an answer is slow a process is started beforehand: should the slow one be ended, the
// others go on in that at once.
import { hostFailed, ruleCrashed, showPlace } from "../error.ts";
import type { DropwatchError } from "../error.ts";
import { shown } from "./bundle.ts";
import type { Question, Reply } from "./host_message.ts";
import { slowAnswer } from "./host_process.ts";
import type { End, HostProcess, Waiting } from "./host_process.ts";

const maxFailedStarts = 3;
/** One such end may be anything: somebody has killed it. */
const maxIdleEnds = 3;
/** So many slow answers are too many for others. */
const maxSlow = 3;

/** A bundle, and whether a fresh process is to load it before anything else. */
export interface KnownBundle {
  readonly file: string;
  readonly path: string;
  loaded: boolean;
  /** How many of its answers were slow. */
  slow?: number;
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

export interface HostGroups {
  /** Begins a bundle in the group where all begin. */
  add(bundle: string, known: KnownBundle): void;
  has(bundle: string): boolean;
  ask(request: Question): Promise<Reply>;
  /** Lets go of a bundle. */
  forget(bundle: string): Promise<void>;
  /** Starts the first process before it is needed. */
  prepare(): void;
  close(): void;
  /** The first process's id, while it runs. */
  readonly pid: number | undefined;
}

export interface HostGroupOptions {
  readonly launch: (onEnd: (end: End) => void, onSlow: () => void) => HostProcess;
  readonly log: (message: string) => void;
  /** Told of a bundle whose code ended its process when nobody had asked it for anything. */
  readonly blame: (bundle: string, error: DropwatchError) => void;
}

export function makeHostGroups({ launch, log, blame }: HostGroupOptions): HostGroups {
  const newGroup = (): Group => ({
    bundles: new Map(),
    process: undefined,
    failedStarts: 0,
    idleEnds: 0,
  });
  /** The first one is where rules begin. */
  let groups: [Group, ...Group[]] = [newGroup()];
  let closed = false;
  /** A process, and whose it is: nobody's yet, where it was started beforehand. */
  interface Launched {
    readonly process: HostProcess;
    group?: Group;
  }
  let spare: Launched | undefined;

  const launched = (): Launched => {
    const fresh: Launched = {
      process: launch((end) => {
        if (spare === fresh) spare = undefined;
        if (fresh.group !== undefined) onEnd(fresh.group, fresh.process, end);
      }, () => {
        // Alone in its process nobody waits for it.
        if (!closed && (fresh.group?.bundles.size ?? 0) > 1) spare ??= launched();
      }),
    };
    return fresh;
  };

  /** Starts a group's process. A fresh one knows nothing: it is told again what was loaded. */
  const start = (group: Group, asked: readonly Waiting[]): void => {
    const taken = spare ?? launched();
    spare = undefined;
    taken.group = group;
    const fresh = taken.process;
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

  /** What is slow again and again goes on in a process of its own: it may be, and others don't wait. */
  const noteTime = (request: Question, ms: number): void => {
    if (ms < slowAnswer) return;
    spare?.process.kill();
    spare = undefined;
    if (request.do === "load" || request.do === "forget") return;
    const group = groupOf(request.bundle);
    const known = group.bundles.get(request.bundle);
    if (known === undefined || group.bundles.size < 2) return;
    known.slow = (known.slow ?? 0) + 1;
    if (known.slow < maxSlow) return;
    const own = newGroup();
    group.bundles.delete(request.bundle);
    own.bundles.set(request.bundle, known);
    groups = [...groups, own];
    start(own, []);
  };

  const groupOf = (bundle: string): Group =>
    groups.find(({ bundles }) => bundles.has(bundle)) ?? groups[0];

  const askGroup = (request: Question, group: Group): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(hostFailed("it was closed"));
      const asked: Waiting = {
        ...waiting(request, resolve, reject),
        took: (ms) => noteTime(request, ms),
      };
      if (group.process === undefined) start(group, [asked]);
      else group.process.ask(asked);
    });

  return {
    add: (bundle, known) => void groups[0].bundles.set(bundle, known),
    has: (bundle) => groups.some(({ bundles }) => bundles.has(bundle)),
    ask: (request) => askGroup(request, groupOf(request.bundle)),
    async forget(bundle) {
      const group = groupOf(bundle);
      const known = group.bundles.get(bundle);
      if (known === undefined || closed) return;
      group.bundles.delete(bundle);
      if (group !== groups[0] && group.bundles.size === 0) {
        groups = groups.filter((each) => each !== group) as [Group, ...Group[]];
        group.process?.retire();
      } else if (group.process !== undefined) {
        // Where its process ends instead, it is forgotten all the same.
        await askGroup({ do: "forget", file: known.file, bundle }, group).catch(() => {});
      }
    },
    prepare: () => start(groups[0], []),
    close: () => void (closed = true),
    get pid() {
      return groups[0].process?.pid;
    },
  };
}

/** A question that is still to be asked. */
export function waiting(
  request: Question,
  resolve: (reply: Reply) => void,
  reject: (error: DropwatchError) => void,
): Waiting {
  return { request, token: crypto.randomUUID(), resolve, reject };
}
