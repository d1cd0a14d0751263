// What stands for an OpenTelemetry collector: it takes what the protocol's JSON may be
// (opentelemetry-proto, logs/v1/logs.proto, metrics/v1/metrics.proto and docs/specification.md, "JSON
// Protobuf Encoding") and answers 400 with a Status to all else.
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

/** A point of a metric as a collector understands it. */
export interface MetricPoint {
  readonly resource: Json;
  readonly scope: string;
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: "sum" | "gauge";
  readonly attributes: Json;
  /** Absent for a gauge. */
  readonly start: bigint | undefined;
  readonly at: bigint;
  readonly as: "int" | "double";
  readonly value: number;
}

/**
 * Lets a receiver answer as a collector of logs, or of what `read` understands; what it refused is in what
 * this returns.
 */
export function standForCollector(
  receiver: Receiver,
  read: (received: Received) => unknown = recordsOf,
): string[] {
  const refused: string[] = [];
  receiver.answer = (_, response) => {
    const answer = { "content-type": "application/json" };
    try {
      read(receiver.received.at(-1)!);
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

/** The points of a request. Throws what is wrong with it. */
export function pointsOf({ method, headers, body }: Received): MetricPoint[] {
  if (method !== "POST") fail(`${method} is no POST`);
  if (headers["content-type"] !== "application/json") fail("the content type is not JSON");
  const all = object(JSON.parse(body), ["resourceMetrics"], "the request");
  return array(all.resourceMetrics, "resourceMetrics").flatMap((each) => {
    const { resource, scopeMetrics } = object(
      each,
      ["resource", "scopeMetrics"],
      "ResourceMetrics",
    );
    const of = attributes(object(resource, ["attributes"], "Resource").attributes, "Resource");
    return array(scopeMetrics, "scopeMetrics").flatMap((each) => {
      const { scope, metrics } = object(each, ["scope", "metrics"], "ScopeMetrics");
      const { name, version } = object(scope, ["name", "version"], "Scope");
      text(version, "Scope.version");
      const read = array(metrics, "metrics").map((metric) =>
        readMetric(metric, of, text(name, "Scope.name"))
      );
      const names = read.map(([first]) => first!.name.toLowerCase());
      if (new Set(names).size < names.length) fail("two metrics of a scope have one name");
      return read.flat();
    });
  });
}

function readMetric(value: unknown, resource: Json, scope: string): MetricPoint[] {
  const { name, description, unit, ...data } = object(
    value,
    ["name", "description", "unit", "sum", "gauge"],
    "Metric",
  );
  // The specification's syntax of an instrument's name and unit.
  if (!/^[a-z][\w./-]{0,254}$/i.test(text(name, "name"))) fail(`${name} is no name of a metric`);
  // deno-lint-ignore no-control-regex
  if (!/^[\x00-\x7f]{0,63}$/.test(text(unit, "unit"))) fail(`${unit} is no unit`);
  const [kind, ...more] = Object.keys(data);
  if (kind === undefined || more.length > 0) fail(`${name} is not of one kind`);
  const { dataPoints, ...rest } = kind === "sum"
    ? object(data.sum, ["aggregationTemporality", "isMonotonic", "dataPoints"], "Sum")
    : object(data.gauge, ["dataPoints"], "Gauge");
  if (kind === "sum" && rest.aggregationTemporality !== 2) fail(`${name} isn't cumulative`);
  if (kind === "sum" && rest.isMonotonic !== true) fail(`${name} isn't monotonic`);
  const points = array(dataPoints, "dataPoints").map((point): MetricPoint => {
    const keys = ["attributes", "startTimeUnixNano", "timeUnixNano", "asInt", "asDouble"];
    const own = object(point, keys, "NumberDataPoint");
    if (("asInt" in own) === ("asDouble" in own)) fail(`a point of ${name} is not one number`);
    if ("asDouble" in own && !Number.isFinite(own.asDouble)) fail(`${name}: asDouble is no number`);
    if ((kind === "sum") !== ("startTimeUnixNano" in own)) fail(`${name}: a start of its own`);
    const at = int64(own.timeUnixNano, "timeUnixNano");
    const start = kind === "sum" ? int64(own.startTimeUnixNano, "startTimeUnixNano") : undefined;
    if (at <= 0n || (start !== undefined && (start <= 0n || start > at))) fail(`${name}: times`);
    return {
      resource,
      scope,
      name: name as string,
      description: text(description, "description"),
      unit: unit as string,
      kind: kind as "sum" | "gauge",
      attributes: attributes(own.attributes, "NumberDataPoint"),
      start,
      at,
      as: "asInt" in own ? "int" : "double",
      value: "asInt" in own ? Number(int64(own.asInt, "asInt")) : own.asDouble as number,
    };
  });
  if (points.length === 0) fail(`${name} has no point`);
  // "Each timeseries … MUST have a unique set of attributes" within a metric.
  const series = new Set(
    points.map(({ attributes }) => JSON.stringify(Object.entries(attributes).sort())),
  );
  if (series.size < points.length) fail(`${name} has a series twice`);
  return points;
}
