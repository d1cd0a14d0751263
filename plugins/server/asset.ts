// The dashboard's files, made ready once: compressed, with a tag, and with how long they may be kept.
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

export interface DashboardFile {
  readonly body: Uint8Array;
  /** Its content type. */
  readonly type: string;
}

/** Files by path: `/`, and those under `/assets/`. */
export type DashboardFiles = ReadonlyMap<string, DashboardFile>;

interface Asset {
  readonly plain: Uint8Array<ArrayBuffer>;
  /** Undefined where it isn't worth it. */
  readonly packed: Uint8Array<ArrayBuffer> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly tag: string;
}

/** What answers a request for a file; undefined where there is none under that path. */
export type Assets = (path: string, request: Headers) => Promise<Response | undefined>;

const pack = promisify(gzip);
/** A file that isn't there for a reason that may pass is asked for again after so long, in milliseconds. */
const pause = 60_000;

/** Serves files that are made when they are first asked for; while they can't be made there are none. */
export function serveAssets(
  files: () => Promise<DashboardFiles>,
  { now, log }: { readonly now: () => number; readonly log: (message: string) => void },
): Assets {
  let ready: Promise<ReadonlyMap<string, Asset>> | undefined;
  let failedAt = -Infinity;
  const load = async (): Promise<ReadonlyMap<string, Asset>> => {
    try {
      const entries = [...await files()];
      return new Map(
        await Promise.all(
          entries.map(async ([path, file]) => [path, await assetOf(path, file)] as const),
        ),
      );
    } catch (thrown) {
      log(`the dashboard can't be shown: ${thrown instanceof Error ? thrown.message : thrown}`);
      failedAt = now();
      return new Map();
    }
  };
  return async (path, request) => {
    // Whoever asks again and again doesn't have it made again and again.
    if (ready === undefined || failedAt !== -Infinity && now() - failedAt >= pause) {
      failedAt = -Infinity;
      ready = load();
    }
    const asset = (await ready).get(path);
    return asset && answerOf(asset, request);
  };
}

async function assetOf(path: string, { body, type }: DashboardFile): Promise<Asset> {
  const plain = Uint8Array.from(body);
  const packed = /^(text\/|application\/(javascript|json)|image\/svg)/.test(type)
    ? Uint8Array.from(await pack(plain, { level: 9 }))
    : undefined;
  // A name with a hash of what is in it never stands for anything else.
  const forever = /[-.][0-9A-Za-z]{8,}\.\w+$/.test(path);
  const digest = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
  return {
    plain,
    packed: packed !== undefined && packed.length < plain.length ? packed : undefined,
    tag: digest,
    headers: {
      "content-type": type,
      "cache-control": forever ? "public, max-age=31536000, immutable" : "no-cache",
      "vary": "accept-encoding",
    },
  };
}

function answerOf({ plain, packed, headers, tag }: Asset, request: Headers): Response {
  const takesGzip = /(^|,)\s*(gzip|\*)\s*(;\s*q=(1|0?\.\d*[1-9]\d*|1\.0*)\s*)?(,|$)/i.test(
    request.get("accept-encoding") ?? "",
  );
  const body = takesGzip ? packed : undefined;
  // Each form of it has a tag of its own (RFC 9110, 8.8.3).
  const etag = `"${tag}${body === undefined ? "" : "-gzip"}"`;
  const had = (request.get("if-none-match") ?? "").split(",").map((each) =>
    each.trim().replace(/^W\//, "")
  );
  if (had.includes(etag) || had.includes("*")) {
    return new Response(null, { status: 304, headers: { ...headers, etag } });
  }
  return new Response(body ?? plain, {
    headers: {
      ...headers,
      etag,
      "content-length": String((body ?? plain).length),
      ...(body === undefined ? {} : { "content-encoding": "gzip" }),
    },
  });
}
