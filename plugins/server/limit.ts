// What strangers can use of the server at most. What is watched comes first: each bound is far below
// what would be felt there.

/** Bytes, milliseconds, and numbers; "of one address" is of one IPv4 address or one IPv6 /64. */
export interface Limits {
  /** Open connections in all, and of one address; others are closed at once. */
  readonly connections: number;
  readonly connectionsEach: number;
  /** Streams of events in all, and of one address. */
  readonly streams: number;
  readonly streamsEach: number;
  /** What waits for a client that doesn't read its stream; then the stream is ended. */
  readonly streamBytes: number;
  /** Events that are kept for those who come back, and how large they are together. */
  readonly ringEvents: number;
  readonly ringBytes: number;
  /** How often a stream says that it is alive, and its client's right to it is looked at again. */
  readonly heartbeat: number;
  /** For how long events are kept when nobody looks. */
  readonly ringIdle: number;
  /** The request line and the headers together. */
  readonly headerBytes: number;
  /** Path and query. */
  readonly targetLength: number;
  readonly bodyBytes: number;
  /** Until the headers, and until all of a request has come. */
  readonly headerTime: number;
  readonly requestTime: number;
  /** How long a client may take to read the next 64 KiB of an answer. */
  readonly readTime: number;
  /** How long a connection stays open between two requests. */
  readonly idleTime: number;
  /** Requests a second of one address, and how many at once; those that change something; logins. */
  readonly reads: Pace;
  readonly writes: Pace;
  readonly failures: Pace;
  /**
   * Milliseconds of work that the API does for an address, a second and at once: to look through a week
   * takes longer than to say how it is going, and ticks wait meanwhile.
   */
  readonly work: Pace;
  /** How many addresses are remembered for that. */
  readonly addresses: number;
  readonly sessions: number;
  readonly sessionTime: number;
}

export interface Pace {
  readonly perSecond: number;
  readonly burst: number;
}

export const defaultLimits: Limits = {
  connections: 1000,
  connectionsEach: 250,
  streams: 200,
  streamsEach: 128,
  streamBytes: 1_048_576,
  ringEvents: 600,
  ringBytes: 4_194_304,
  heartbeat: 15_000,
  ringIdle: 600_000,
  headerBytes: 16_384,
  targetLength: 8192,
  bodyBytes: 65_536,
  headerTime: 10_000,
  requestTime: 20_000,
  readTime: 30_000,
  idleTime: 65_000,
  reads: { perSecond: 50, burst: 200 },
  writes: { perSecond: 2, burst: 20 },
  failures: { perSecond: 1 / 6, burst: 10 },
  work: { perSecond: 250, burst: 5000 },
  addresses: 4096,
  sessions: 256,
  sessionTime: 12 * 3_600_000,
};
