// The names of drop reasons as a type, so that a wrong one is an error in the editor.
import type { knowledge } from "./knowledge.ts";

/**
 * A drop reason, without the enum's prefix. The list is of all kernels; which of them the running
 * one has is checked when the rule is loaded.
 */
export type ReasonName = keyof typeof knowledge;
