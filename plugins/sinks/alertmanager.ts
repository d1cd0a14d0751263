// Alerts to Alertmanager, as Prometheus sends them: all that fire, again and again, to every member. Each
// time with an end that lies four rounds ahead, so that an alert ends by itself where nobody sends it
// any more. Alertmanager groups, silences and tells people; what is sent twice is one alert to it.
import * as v from "valibot";
import type { AlertData } from "../../core/alert/alert.ts";
import { DeliveryError } from "../../core/alert/sink.ts";
import type { MirrorSink } from "../../core/alert/sink.ts";
import { badSinkOption, jsonLine } from "../../core/error.ts";
import { milliseconds } from "../../core/rule/duration.ts";
import type { Duration } from "../../core/rule/duration.ts";
import { alertmanagerAlert } from "./alertmanager_alert.ts";
import { addressOf, basicAuthorization, request } from "../http.ts";
import { SecretSchema } from "../../core/secret.ts";
import { secretWord } from "../secret.ts";
import { everySchema } from "../option.ts";
import { sinkKind } from "./kind.ts";
import type { Secret } from "../../core/secret.ts";
import type { SinkContext, SinkMaker } from "./kind.ts";

export interface AlertmanagerOptions {
  /** Every member of the cluster: they share what they know of silences, not the alerts. */
  readonly urls: Secret | readonly Secret[];
  /** How often what fires is sent again; 1m. */
  readonly every?: Duration;
  /** Added to each alert that hasn't got them; `{ instance: HOST }`, this machine's name. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A name and a password, as a proxy in front of Alertmanager may want them. */
  readonly basic?: { readonly user: string; readonly password: Secret };
  /** A token, likewise. */
  readonly bearer?: Secret;
}

/** Prometheus sends so many at once, at most. */
const maxBatch = 256;
/** What nginx takes as a body where nobody has told it more; Alertmanager itself has no limit. */
const maxBytes = 1_000_000;
const keepResolved = 300_000;
/** Prometheus waits so long: a member that hangs must not hold up what the others are told next. */
const memberTimeout = 10_000;

/** Keeps Alertmanager's picture of the alerts. */
export const alertmanager: SinkMaker<AlertmanagerOptions> = sinkKind<AlertmanagerOptions>({
  name: "alertmanager",
  doc: "sends all alerts to Alertmanager, again and again, as Prometheus does",
  sort: "mirror",
  value: "URL[,URL…]",
  options: {
    urls: v.union(
      [SecretSchema, v.pipe(v.array(SecretSchema), v.minLength(1, "a URL, or a list of them"))],
      "a URL, or a list of them",
    ),
    every: v.optional(everySchema),
    labels: v.optional(v.record(
      v.pipe(v.string(), v.regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/)),
      v.string(),
      "labels with texts",
    )),
    basic: v.optional(v.strictObject(
      { user: v.string("a text"), password: SecretSchema },
      "{ user, password }",
    )),
    bearer: v.optional(SecretSchema),
  },
  fromWord: (value) => ({ urls: value.split(",").map(secretWord) }),
  make: (options, context) => alertmanagerSink(options, context),
});

interface Member {
  /** Where it is, for the log. */
  readonly host: string;
  readonly url: string;
  failing: boolean;
}

/**
 * A sink that mirrors alerts to the members of an Alertmanager, each of which has so many milliseconds
 * for a round.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL, or for two ways to say who we are.
 */
export function alertmanagerSink(
  options: AlertmanagerOptions,
  context: SinkContext,
  timeout: number = memberTimeout,
): MirrorSink {
  const members = ([options.urls].flat() as Secret[]).map((url) => memberAt(url, context));
  const headers = { "content-type": "application/json", ...authorization(options, context) };
  const every = milliseconds(options.every ?? "1m");
  // Without them the same alert of two machines is one, and its end on one of them the end of both.
  const { host } = context;
  const added = options.labels ?? (host === "" ? {} : { instance: host });
  return {
    name: context.name,
    every,
    keepResolved,
    async mirror(alerts, { signal }) {
      const now = context.now();
      const bodies = batches(
        alerts.map(({ data }) => posted(withLabels(data, added), now + 4 * every)),
      );
      const failures = await Promise.all(members.map(async (member) => {
        const failure = await sendAll(member.url, bodies);
        tellChange(member, failure);
        return failure === undefined ? [] : [{ host: member.host, failure }];
      }));
      const failed = failures.flat();
      if (failed.length === members.length) throw noneTook(failed);
      const took = members.length - failed.length;
      return { answer: members.length === 1 ? "200" : `${took} of ${members.length} members` };

      /** What is wrong with one alert doesn't keep the others away; who doesn't answer is let be. */
      async function sendAll(
        url: string,
        bodies: readonly string[],
      ): Promise<DeliveryError | undefined> {
        const waiting = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
        let refused: DeliveryError | undefined;
        for (const body of bodies) {
          try {
            await request({ url, headers, body, signal: waiting }, context);
          } catch (thrown) {
            if (!(thrown instanceof DeliveryError)) throw thrown;
            if (!thrown.final) return thrown;
            refused ??= thrown;
          }
        }
        return refused;
      }
    },
  };

  /** A member that is down is told of once, and so is its return. */
  function tellChange(member: Member, failure: DeliveryError | undefined): void {
    if (member.failing === (failure !== undefined)) return;
    member.failing = failure !== undefined;
    if (members.length === 1) return;
    context.log(
      failure === undefined
        ? `${context.name}: ${member.host} takes alerts again`
        : `${context.name}: ${member.host} didn't take all alerts: ${failure.message}`,
    );
  }
}

/** Where a member takes alerts: Alertmanager's API v2, under whatever path it is served. */
function memberAt(secret: Secret, context: SinkContext): Member {
  const url = new URL(addressOf("alertmanager", secret, context, "urls"));
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v2/alerts`;
  return { host: url.host, url: url.href, failing: false };
}

function authorization(
  { basic, bearer }: AlertmanagerOptions,
  context: SinkContext,
): { readonly authorization?: string } {
  if (basic !== undefined && bearer !== undefined) {
    throw badSinkOption("alertmanager", "it has both basic and bearer: one of them is enough");
  }
  if (bearer !== undefined) {
    const token = context.secret("bearer", bearer);
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw badSinkOption("alertmanager", "its bearer must be ASCII without white space");
    }
    return { authorization: `Bearer ${token}` };
  }
  if (basic === undefined) return {};
  if (basic.user.includes(":")) {
    throw badSinkOption("alertmanager", "its basic.user must be without a colon");
  }
  const password = context.secret("basic.password", basic.password);
  return basicAuthorization(basic.user, password, context);
}

/** As Prometheus adds its external labels: what the alert says itself stays. */
function withLabels(alert: AlertData, added: Readonly<Record<string, string>>): AlertData {
  const own = Object.entries(alert.labels).filter(([, value]) => value !== "");
  return { ...alert, labels: { ...added, ...Object.fromEntries(own) } };
}

/**
 * An alert as API v2 takes one (postableAlert in its openapi.yaml). An empty generatorURL is no URI, and
 * a start behind the end refuses the alert: clocks are set back.
 */
function posted(alert: AlertData, firingUntil: number): string {
  const { labels, annotations, startsAt: begun, generatorURL } = alertmanagerAlert(alert);
  const endsAt = alert.endsAt ?? new Date(firingUntil).toISOString();
  const startsAt = begun < endsAt ? begun : endsAt;
  return jsonLine({
    labels,
    annotations,
    startsAt,
    endsAt,
    ...(generatorURL === "" ? {} : { generatorURL }),
  });
}

/** Arrays of alerts that a member takes in one request each. */
function batches(alerts: readonly string[]): string[] {
  const bodies: string[] = [];
  let batch: string[] = [];
  let bytes = 2;
  const end = (): void => {
    if (batch.length > 0) bodies.push(`[${batch.join(",")}]`);
    batch = [];
    bytes = 2;
  };
  for (const alert of alerts) {
    const size = Buffer.byteLength(alert) + 1;
    if (batch.length === maxBatch || bytes + size > maxBytes) end();
    batch.push(alert);
    bytes += size;
  }
  end();
  return bodies;
}

/** What is said where no member took everything: with one, what it said. */
function noneTook(
  failed: readonly { readonly host: string; readonly failure: DeliveryError }[],
): DeliveryError {
  const [first] = failed;
  if (failed.length === 1) return first!.failure;
  const waits = failed.flatMap(({ failure }) => failure.retryAfter ?? []);
  return new DeliveryError(
    failed.map(({ host, failure }) => `${host} ${failure.message}`).join("; "),
    {
      final: failed.every(({ failure }) => failure.final),
      gone: failed.every(({ failure }) => failure.gone),
      // The first that can be asked again is enough.
      ...(waits.length === failed.length ? { retryAfter: Math.min(...waits) } : {}),
    },
  );
}
