// A request to a receiver, and what its answer means: delivered, try again, never again, gone. An error
// never tells the URL or a secret.
import { DeliveryError } from "../core/alert/sink.ts";
import { badSinkOption, printable, quote, reasonOf } from "../core/error.ts";
import type { Secret } from "../core/secret.ts";
import type { Secrets } from "./secret.ts";

export interface Request {
  readonly url: string;
  /** POST where it is left out. */
  readonly method?: "POST" | "PUT" | "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal: AbortSignal;
  /** Whether the text of a good answer is wanted: 64 KB of it. */
  readonly wantsText?: boolean;
  /** Which other answers than 2xx are worth another try; 408, 425, 429 and 5xx without it. */
  readonly again?: (status: number) => boolean;
  /** Milliseconds that the text of a refusal asks to wait, for a receiver that says so there. */
  readonly waitIn?: (text: string) => number | undefined;
}

/** Who looks at what is sent. */
export interface Traced {
  /** What goes out and comes in, for `sink test`: lines without secrets. */
  readonly trace: ((direction: "sent" | "got", lines: string) => void) | undefined;
}

export interface Answer {
  readonly status: number;
  /** Empty where it wasn't wanted. */
  readonly text: string;
  /** Milliseconds of its Retry-After: some say with 200 that they took nothing. */
  readonly retryAfter: number | undefined;
}

const maxText = 65_536;
const maxErrorText = 2000;

const worthAnother = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || status >= 500;

/**
 * Sends a request and returns a good answer (2xx). Redirects aren't followed.
 *
 * @throws DeliveryError that says whether to try again.
 */
export async function request(
  asked: Request,
  { hide, trace }: Pick<Secrets, "hide"> & Traced,
): Promise<Answer> {
  const { url, method = "POST", headers = {}, body, signal, wantsText = false } = asked;
  const { again = worthAnother, waitIn } = asked;
  const safe = (text: string): string => hide(withoutUrl(text, url));
  const all = { "user-agent": "dropwatch", ...headers };
  trace?.(
    "sent",
    hide([
      `${method} ${hiddenUrl(url)}`,
      ...Object.entries(all).map(([name, value]) => `${name}: ${value}`),
      "",
      typeof body === "string" ? body : body === undefined ? "" : `${body.length} bytes`,
    ].join("\n")),
  );
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers: all,
      signal,
      redirect: "manual",
      ...(body === undefined ? {} : { body: body as NonNullable<RequestInit["body"]> }),
    });
  } catch (thrown) {
    throw new DeliveryError(`no answer (${safe(reasonOf(thrown))})`);
  }
  const { status, ok } = response;
  const waits = retryAfter(response.headers.get("retry-after"));
  // What is wanted of a good answer is read whole: without it, it isn't known what it says.
  if (ok && wantsText) {
    const text = await bytesOf(response, maxText, true, safe);
    trace?.("got", `${status}\n\n${safe(printableLines(text))}`);
    return { status, text, retryAfter: waits };
  }
  const text = ok && trace === undefined ? "" : await bytesOf(response, maxErrorText, false, safe);
  if (ok && trace === undefined) await response.body?.cancel();
  trace?.("got", `${status}\n\n${safe(printableLines(text))}`);
  if (ok) return { status, text: "", retryAfter: waits };
  const short = printable(safe(text).trim().slice(0, 200));
  const wait = waits ?? waitIn?.(text);
  throw new DeliveryError(`answered ${status}${short === "" ? "" : `: ${short}`}`, {
    final: !again(status),
    gone: status === 410,
    ...(wait === undefined ? {} : { retryAfter: Math.min(longestWait, Math.max(0, wait)) }),
  });
}

/** Whether a text is a URL that can be posted to. */
export function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

/**
 * A URL that a sink was given, as it is.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL.
 */
export function httpUrl(kind: string, url: string, what = "URL"): string {
  if (isHttpUrl(url)) return url;
  throw badSinkOption(kind, `its ${what} must begin with http:// or https://`);
}

/**
 * The address of a receiver. It alone is no secret; where it is one, it is in the environment or a file.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL.
 */
export function addressOf(
  kind: string,
  url: Secret,
  context: Pick<Secrets, "secret">,
  option = "url",
): string {
  return httpUrl(kind, typeof url === "string" ? url : context.secret(option, url));
}

/**
 * The address of a receiver, where it has no path of its own with that of the receiver's interface.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what is no http(s) URL.
 */
export function receiverUrl(
  kind: string,
  url: Secret,
  path: string,
  context: Pick<Secrets, "secret">,
): string {
  const given = addressOf(kind, url, context);
  const { pathname, search } = new URL(given);
  return pathname === "/" && search === "" ? new URL(path, given).href : given;
}

/** The header of a name and a password, which is a secret as they are (RFC 7617). */
export function basicAuthorization(
  user: string,
  password: string,
  context: Pick<Secrets, "keepSecret">,
): { readonly authorization: string } {
  const pair = Buffer.from(`${user}:${password}`).toString("base64");
  context.keepSecret(pair);
  return { authorization: `Basic ${pair}` };
}

/** A header's name (RFC 9110), and what undici, Bun and Deno take as its value. */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Headers of a config. A text is a secret where its name says so: `authorization`, `x-api-key`.
 *
 * @throws DropwatchError BAD_SINK_OPTION for what can't be a header.
 */
export function readHeaders(
  kind: string,
  headers: Readonly<Record<string, Secret>>,
  context: Pick<Secrets, "secret">,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, given]) => {
      if (!headerName.test(name)) throw badSinkOption(kind, `${quote(name)} can't be a header`);
      const open = typeof given === "string" && !/auth|cookie|key|secret|token/i.test(name);
      const value = open ? given.trim() : context.secret(`header ${name}`, given);
      if (!headerValue.test(value)) {
        throw badSinkOption(kind, `its header ${quote(name)} has characters that no header has`);
      }
      return [name.toLowerCase(), value];
    }),
  );
}

/** Where a URL leads, without what may be secret in it. */
export function hiddenUrl(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}/…`;
}

/**
 * A text without the URL, as it was written or as it was sent, and without its path, which a
 * receiver likes to repeat: they may hold a token, and stay out of the log.
 */
function withoutUrl(text: string, url: string): string {
  const { href, pathname, search } = new URL(url);
  return [url, href, `${pathname}${search}`, pathname].filter((part) => part.length > 1)
    .reduce((rest, part) => rest.replaceAll(part, "URL"), text);
}

const printableLines = (text: string): string => text.split("\n").map(printable).join("\n");

/**
 * The beginning of an answer, however long it is. Where it breaks off: as much of it as came, or an
 * error where the whole is needed.
 */
async function bytesOf(
  response: Response,
  most: number,
  whole: boolean,
  safe: (text: string) => string,
): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (text.length < most) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
    }
    await reader.cancel();
  } catch (thrown) {
    // Elsewhere the status has come, and that is what counts.
    if (whole) throw new DeliveryError(`the answer broke off (${safe(reasonOf(thrown))})`);
  }
  return text;
}

const longestWait = 3_600_000;

/** Milliseconds of a Retry-After: seconds, or an HTTP date; undefined for anything else. */
export function retryAfter(value: string | null, now: number = Date.now()): number | undefined {
  const text = value?.trim() ?? "";
  // Date.parse takes nearly everything for a date: RFC 9110 has only those that end in GMT.
  const wait = /^\d+$/.test(text)
    ? Number(text) * 1000
    : text.endsWith("GMT")
    ? Date.parse(text) - now
    : NaN;
  return Number.isNaN(wait) ? undefined : Math.min(longestWait, Math.max(0, wait));
}
