// Asks the server that the page came from. Nothing is thrown: an answer is a value, or why there is none.

export interface Failure {
  /** The status of HTTP; 0 where there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export type Answer<Value> = { readonly value: Value } | { readonly failed: Failure };

/** How long an answer may take, in milliseconds. */
const patience = 20_000;
/** How often something is asked for again of a server that says it has too much to do. */
const mostTries = 3;
const longestWait = 10_000;

/** What is done where the server wants to know who asks. */
let refused: () => void = () => {};

export function whenRefused(call: () => void): void {
  refused = call;
}

/**
 * The JSON under a path. It is the answer of the very program that brought this page, so it has the shape
 * that its types say; a page that is older than the program is loaded anew (see main.ts).
 */
export async function ask<Value>(
  path: string,
  method: "GET" | "POST" | "DELETE" = "GET",
  body?: unknown,
): Promise<Answer<Value>> {
  try {
    let response = await fetch(path, requestOf(method, body));
    for (let tries = 0; method === "GET" && response.status === 429 && tries < mostTries; tries++) {
      await response.body?.cancel();
      await pause(waitOf(response.headers.get("retry-after")));
      response = await fetch(path, requestOf(method, body));
    }
    const text = await response.text();
    if (response.ok) return { value: (text === "" ? undefined : JSON.parse(text)) as Value };
    if (response.status === 401 && path !== "/login") refused();
    return { failed: failureOf(response.status, text) };
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return { failed: { status: 0, code: "NO_ANSWER", message } };
  }
}

function requestOf(method: string, body: unknown): RequestInit {
  return {
    method,
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(patience),
    ...(body === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  };
}

/** Milliseconds that a server that has too much to do wants to be left alone for, within bounds. */
export function waitOf(retryAfter: string | null): number {
  const seconds = Number(retryAfter ?? NaN);
  return Number.isFinite(seconds) ? Math.max(500, Math.min(longestWait, 1000 * seconds)) : 1000;
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function failureOf(status: number, text: string): Failure {
  try {
    const { error } = JSON.parse(text) as { error: { code: unknown; message: unknown } };
    return { status, code: String(error.code), message: String(error.message) };
  } catch {
    // A proxy between, say: its page is nothing to show.
    return { status, code: `HTTP ${status}`, message: `the server answered with status ${status}` };
  }
}

/** Why something didn't work, in a line. */
export function failureText({ code, message }: Failure): string {
  return `${code}: ${message}`;
}
