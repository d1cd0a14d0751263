// What code of a rule or a config threw, and where in its bundle.

/** A thrown value, as far as it helps whoever wrote the code. */
export interface Thrown {
  /** `TypeError: x is not a function`. */
  readonly message: string;
  /** `line:column` of the bundle; "" where that can't be told. */
  readonly at: string;
}

const longest = 2000;

/** `bundle` fits the bundle's file name in a line of the stack. */
export function describeThrown(thrown: unknown, bundle: RegExp): Thrown {
  try {
    return describe(thrown, bundle);
  } catch {
    // Whoever throws may make what it throws so that to look at it throws again.
    return { message: "it threw what can't be shown", at: "" };
  }
}

function describe(thrown: unknown, bundle: RegExp): Thrown {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const frame = String(error.stack ?? "").split("\n").find((line) => bundle.test(line));
  return {
    message: `${error.name}: ${error.message}`.slice(0, longest),
    at: /:(\d+:\d+)\)?$/.exec(frame ?? "")?.[1] ?? "",
  };
}
