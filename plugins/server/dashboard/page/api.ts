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
    const response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(patience),
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return { value: (text === "" ? undefined : JSON.parse(text)) as Value };
    if (response.status === 401 && path !== "/login") refused();
    return { failed: failureOf(response.status, text) };
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return { failed: { status: 0, code: "NO_ANSWER", message } };
  }
}

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
