// What a rule is checked against.
import type { FieldName } from "../drop/field.ts";
import type { DropwatchError } from "../error.ts";
import type { HealthField } from "../watch/health.ts";
import type { SourceFacts } from "../watch/source.ts";
import type { Bundle } from "./bundle.ts";
import type { Filter } from "./checked.ts";

/** What the check is made against. */
export interface CheckContext {
  readonly file: string;
  readonly index: number;
  readonly bundle: Bundle;
  /** The text of a file, to find the line in which a value stands; "" where it can't be read. */
  readonly source: (file: string) => string;
  readonly facts: SourceFacts;
  readonly interval: number;
}

/** The filters of one rule are numbered as they are found; what only needs saying is collected. */
export type RuleContext = CheckContext & {
  readonly filters: Filter[];
  readonly warnings: DropwatchError[];
  /** How many words the one that is looked at is in. */
  readonly depth?: number;
};

export type Label = FieldName | HealthField;

/** What was found right, and its labels. */
export type Checked<T> = { readonly by: readonly Label[] } & T;
