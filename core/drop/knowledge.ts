export type DropClass = "fault" | "policy" | "teardown" | "normal" | "unknown";
export interface ReasonKnowledge { readonly class: DropClass }
export const knowledge = { NO_SOCKET: { class: "normal" } as ReasonKnowledge };
