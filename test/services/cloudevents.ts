// An event as CloudEvents 1.0 has it in JSON: what spec.md and formats/json-format.md ask of each
// attribute, and nothing beside them.
import * as v from "valibot";

/** String of the type system: no control characters, no halves of characters, no noncharacters. */
const String_ = v.pipe(
  v.string(),
  v.minLength(1),
  v.check((text) => text.isWellFormed(), "a half character"),
  // deno-lint-ignore no-control-regex
  v.regex(/^[^\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]+$/),
);

/** URI-reference of RFC 3986: only its characters, and one that resolves. */
const UriReference = v.pipe(
  String_,
  v.regex(/^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/),
  v.check((text) => URL.canParse(text, "https://base.example/"), "no URI-reference"),
);

export interface CloudEvent {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly subject: string;
  readonly datacontenttype: "application/json";
  readonly data: unknown;
}

export const CloudEventSchema: v.GenericSchema<unknown, CloudEvent> = v.strictObject({
  specversion: v.literal("1.0"),
  id: String_,
  source: UriReference,
  type: v.pipe(String_, v.regex(/^[a-z][a-z0-9]*(\.[a-z0-9]+)+$/)),
  time: v.pipe(v.string(), v.isoTimestamp()),
  subject: String_,
  datacontenttype: v.literal("application/json"),
  data: v.looseObject({}),
});
