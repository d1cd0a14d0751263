// What stands for an OpenTelemetry collector: it takes what the protocol's JSON may be
// (opentelemetry-proto, logs/v1/logs.proto and docs/specification.md, "JSON Protobuf Encoding") and
// answers 400 with a Status to all else.
import type { Received, Receiver } from "../receiver.ts";

type Json = Readonly<Record<string, unknown>>;

/** A log record as a collector understands it: attributes by their keys. */
export interface LogRecord {
  readonly resource: Json;
  readonly scope: string;
  readonly at: bigint;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: string;
  readonly attributes: Json;
}

/** Lets a receiver answer as a collector; what it refused is in what this returns. */
export function standForCollector(receiver: Receiver): string[] {
  const refused: string[] = [];
  receiver.answer = (_, response) => {
    const answer = { "content-type": "application/json" };
    try {
      recordsOf(receiver.received.at(-1)!);
    } catch (thrown) {
      const { message } = thrown as Error;
      refused.push(message);
      response.writeHead(400, answer).end(JSON.stringify({ code: 3, message }));
      return;
    }
    response.writeHead(200, answer).end(`{"partialSuccess":{}}`);
  };
  return refused;
}

function fail(what: string): never {
  throw new Error(what);
}

function object(value: unknown, keys: readonly string[], what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    fail(`${what} is no object`);
  }
  const odd = Object.keys(value as Json).find((key) => !keys.includes(key));
  return odd === undefined ? value as Json : fail(`${what} has no field ${odd}`);
}

function array(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(`${what} is no array`);
}

function text(value: unknown, what: string): string {
  return typeof value === "string" && value.isWellFormed()
    ? value
    : fail(`${what} is no UTF-8 text`);
}

/** fixed64 and int64: decimal digits in a text. */
function int64(value: unknown, what: string): bigint {
  if (!/^-?\d{1,19}$/.test(text(value, what))) fail(`${what} is no integer of 64 bits in a text`);
  const number = BigInt(value as string);
  return number === BigInt.asIntN(64, number) ? number : fail(`${what} is more than 64 bits`);
}

function anyValue(value: unknown, what: string): unknown {
  const keys = ["stringValue", "boolValue", "intValue", "doubleValue", "arrayValue"];
  const any = object(value, keys, what);
  if (Object.keys(any).length !== 1) fail(`${what} is not one value`);
  if ("stringValue" in any) return text(any.stringValue, what);
  if ("boolValue" in any) return typeof any.boolValue === "boolean" ? any.boolValue : fail(what);
  if ("intValue" in any) return Number(int64(any.intValue, what));
  if ("doubleValue" in any) {
    return typeof any.doubleValue === "number" ? any.doubleValue : fail(what);
  }
  return array(object(any.arrayValue, ["values"], what).values, what)
    .map((each) => anyValue(each, what));
}

function attributes(value: unknown, what: string): Json {
  const pairs = array(value, what).map((each) => {
    const { key, value } = object(each, ["key", "value"], what);
    return [text(key, what) || fail(`${what} has an empty key`), anyValue(value, what)] as const;
  });
  // "The collection of attributes MUST NOT contain more than one attribute with the same key."
  if (new Set(pairs.map(([key]) => key)).size < pairs.length) fail(`${what} has a key twice`);
  return Object.fromEntries(pairs);
}

/** The log records of a request. Throws what is wrong with it. */
export function recordsOf({ method, headers, body }: Received): LogRecord[] {
  if (method !== "POST") fail(`${method} is no POST`);
  if (headers["content-type"] !== "application/json") fail("the content type is not JSON");
  const all = object(JSON.parse(body), ["resourceLogs"], "the request");
  return array(all.resourceLogs, "resourceLogs").flatMap((each) => {
    const { resource, scopeLogs } = object(each, ["resource", "scopeLogs"], "ResourceLogs");
    const of = attributes(object(resource, ["attributes"], "Resource").attributes, "Resource");
    return array(scopeLogs, "scopeLogs").flatMap((each) => {
      const { scope, logRecords } = object(each, ["scope", "logRecords"], "ScopeLogs");
      const { name, version } = object(scope, ["name", "version"], "Scope");
      text(version, "Scope.version");
      return array(logRecords, "logRecords").map((record) =>
        readRecord(record, of, text(name, "Scope.name"))
      );
    });
  });
}

function readRecord(value: unknown, resource: Json, scope: string): LogRecord {
  const record = object(value, [
    "timeUnixNano",
    "observedTimeUnixNano",
    "severityNumber",
    "severityText",
    "eventName",
    "body",
    "attributes",
    "droppedAttributesCount",
  ], "LogRecord");
  const { severityNumber: severity, droppedAttributesCount: dropped } = record;
  if (!Number.isInteger(severity) || Number(severity) < 1 || Number(severity) > 24) {
    fail("severityNumber is no number of the enum");
  }
  if (!Number.isInteger(dropped)) fail("droppedAttributesCount is no number");
  int64(record.observedTimeUnixNano, "observedTimeUnixNano");
  return {
    resource,
    scope,
    at: int64(record.timeUnixNano, "timeUnixNano"),
    severityNumber: severity as number,
    severityText: text(record.severityText, "severityText"),
    eventName: text(record.eventName, "eventName"),
    body: text(anyValue(record.body, "body"), "body"),
    attributes: attributes(record.attributes, "LogRecord"),
  };
}
