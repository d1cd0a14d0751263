// An error as the API answers it: its code and message, under the status that fits.
import { DropwatchError, internalFault, printable } from "../../core/error.ts";

/** The status of each code that the API answers with; what isn't here is a fault of ours. */
const statuses: Readonly<Record<string, number>> = {
  UNKNOWN_PARAMETER: 400,
  BAD_PARAMETER: 400,
  BAD_BODY: 400,
  BAD_REQUEST: 400,
  BAD_QUERY: 400,
  BAD_MATCHER: 400,
  BAD_SILENCE: 400,
  UNAUTHORIZED: 401,
  FOREIGN_HOST: 403,
  FOREIGN_ORIGIN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TOO_SLOW: 408,
  BODY_TOO_LARGE: 413,
  ADDRESS_TOO_LONG: 414,
  NOT_JSON: 415,
  TOO_MANY_REQUESTS: 429,
  HEADERS_TOO_LARGE: 431,
  INTERNAL_FAULT: 500,
  TOO_MANY_STREAMS: 503,
  NOT_READY: 503,
};

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string;
}

/** What is answered to something that was thrown; `log` is told of what is no error of the asker's. */
export function problemOf(thrown: unknown, log: (message: string) => void): Problem {
  const known = thrown instanceof DropwatchError && statuses[thrown.code] !== undefined;
  if (!known) log(`the server could not answer: ${stackOf(thrown)}`);
  const error = known ? thrown : internalFault();
  const { code, message, data } = error;
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (code === "UNAUTHORIZED") headers["www-authenticate"] = 'Bearer realm="dropwatch"';
  if (code === "METHOD_NOT_ALLOWED") headers["allow"] = (data["allowed"] as string[]).join(", ");
  if (code === "TOO_MANY_REQUESTS") headers["retry-after"] = String(data["seconds"]);
  if (code === "TOO_MANY_STREAMS" || code === "NOT_READY") headers["retry-after"] = "5";
  return {
    status: statuses[code]!,
    headers,
    body: `${JSON.stringify({ error: { code, message } })}\n`,
  };
}

const stackOf = (thrown: unknown): string =>
  printable(thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown));
