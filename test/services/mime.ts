// A reader of letters that takes what RFC 5322 and MIME (RFC 2045 to 2047) allow, and nothing else.

/** A letter, or a part of one. */
export interface MimePart {
  /** In their order, unfolded and decoded; names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly type: string;
  /** Empty for a text. */
  readonly parts: readonly MimePart[];
  /** Decoded; empty for what has parts. */
  readonly body: Buffer;
}

function fail(what: string): never {
  throw new Error(what);
}

/** The only value of a header; undefined where there is none. */
export function headerOf({ headers }: MimePart, name: string): string | undefined {
  const values = headers.filter(([each]) => each === name);
  if (values.length > 1) fail(`the header ${name} is there ${values.length} times`);
  return values[0]?.[1];
}

/** The parts of a letter that have no parts themselves, by their type. */
export function leavesOf(part: MimePart): Record<string, MimePart> {
  const all = part.parts.length === 0
    ? [part]
    : part.parts.flatMap((each) => Object.values(leavesOf(each)));
  const byType = Object.fromEntries(all.map((each) => [each.type, each]));
  if (Object.keys(byType).length < all.length) fail("two parts are of one type");
  return byType;
}

/** Reads a letter as it came over SMTP: lines end in CRLF. Throws what is wrong with it. */
export function readMime(raw: string): MimePart {
  const end = raw.indexOf("\r\n\r\n");
  if (end === -1) fail("the headers don't end");
  const headers = readHeaders(raw.slice(0, end));
  const of = (name: string): string | undefined => headers.find(([each]) => each === name)?.[1];
  const [type = "", ...parameters] = (of("content-type") ?? "text/plain").split(/;\s*/);
  const body = raw.slice(end + 4);
  if (!type.startsWith("multipart/")) {
    return {
      headers,
      type,
      parts: [],
      body: decode(body, of("content-transfer-encoding") ?? "7bit"),
    };
  }
  const boundary = parameters.map((each) => /^boundary="([^"]{1,70})"$/.exec(each)?.[1])
    .find((each) => each !== undefined) ?? fail("a multipart has no boundary");
  const pieces = `\r\n${body}`.split(`\r\n--${boundary}`);
  if (!/^--(\r\n)*$/.test(pieces.at(-1)!)) fail("a multipart doesn't end");
  const parts = pieces.slice(1, -1).map((piece) =>
    piece.startsWith("\r\n") ? readMime(piece.slice(2)) : fail("a boundary has no line of its own")
  );
  return { headers, type, parts, body: Buffer.alloc(0) };
}

function readHeaders(text: string): [string, string][] {
  const headers: [string, string][] = [];
  for (const line of text.split("\r\n")) {
    if (/[^\t\x20-\x7e]/.test(line)) fail(`a header isn't ASCII: ${JSON.stringify(line)}`);
    if (line.trim() === "") fail("a header is empty");
    if (/^[ \t]/.test(line)) {
      const last = headers.at(-1) ?? fail("the first header is folded");
      last[1] += line;
      continue;
    }
    const [, name, value] = /^([!-9;-~]+): ?(.*)$/.exec(line) ?? fail(`no header: ${line}`);
    headers.push([name!.toLowerCase(), value!]);
  }
  return headers.map(([name, value]) => [name, decodeWords(value)]);
}

/** Encoded words (RFC 2047); space between two of them is none. */
function decodeWords(value: string): string {
  return value.replace(/(\?=)\s+(?==\?)/g, "$1")
    .replace(/=\?utf-8\?([QB])\?([^?\s]*)\?=/gi, (whole, kind: string, text: string) => {
      if (whole.length > 75) fail("an encoded word is longer than 75");
      if (kind.toUpperCase() === "B") return Buffer.from(text, "base64").toString("latin1");
      return text.replaceAll("_", " ").replace(
        /=([0-9A-F]{2})/g,
        (_, hex) => String.fromCharCode(parseInt(hex, 16)),
      );
    })
    // A character may be divided over two words, so bytes become text at the end.
    .replace(/[\x80-\xff]+/g, (bytes) => Buffer.from(bytes, "latin1").toString());
}

function decode(body: string, encoding: string): Buffer {
  if (encoding === "7bit") {
    return /[^\t\r\n\x20-\x7e]/.test(body) ? fail("7bit isn't ASCII") : Buffer.from(body);
  }
  if (encoding === "base64") {
    const text = body.replaceAll("\r\n", "");
    return /^[A-Za-z0-9+/]*={0,2}$/.test(text)
      ? Buffer.from(text, "base64")
      : fail("it isn't base64");
  }
  if (encoding !== "quoted-printable") fail(`the encoding ${encoding} is unknown`);
  const bytes = body.replace(/=\r\n/g, "");
  if (/=(?![0-9A-F]{2})|[^\t\r\n\x20-\x7e]/.test(bytes)) fail("it isn't quoted-printable");
  return Buffer.from(
    bytes.replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
}
