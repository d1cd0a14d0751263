// What a rule says, as JSON. What JSON hasn't is told in a way that no check takes for something else.
// As they were before any rule ran.
const { stringify } = JSON;
const { apply } = Reflect;
const { toString } = Object.prototype;

/** A value as JSON: functions as marks, numbers that JSON hasn't as they were written. */
export function plainJson(value: unknown): string {
  return stringify(value, plain);
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === "function") return { function: true };
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  // A Map or a RegExp would be an empty object, as if nothing had been asked for.
  const tag = (apply(toString, value, []) as string).slice(8, -1);
  return tag === "Object" ? value : [[tag]];
}
