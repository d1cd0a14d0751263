// How much a capture of version 2 may hold. Its writer keeps within these bounds, its reader takes
// what is beyond them for unreadable, so that no file can use up the memory.

/** Keys, and stacks, that the dictionary holds before it is begun anew. */
export const maxKeys = 65_536;
export const maxStacks = 4096;
/** Characters that it holds, at most; the writer begins anew at half of them. */
export const maxDictionary: number = 64 << 20;
export const maxLabel = 8192;
export const maxReasonName = 256;
/** Characters in a line: the counts of a tick with all keys. */
export const longestLine: number = 4 << 20;
/** Drops of a tick that were kept whole. */
export const maxEvidence = 256;
/** Flows of a tick on which TCP sent again. */
export const maxFlows = 20_000;
/** How many drops one count may stand for, and how many bytes. */
export const maxCount = 1e12;
export const maxSum = 9e15;
/** Seconds that one tick covers. */
export const maxSeconds = 1e7;
/** The last time that a Date can be, but for what a tick adds to it. */
export const endOfTime: number = 8.64e15 - 86_400_000;
/** Milliseconds by which the time may jump: what is later than that after a tick is no time. */
export const longestHole: number = 400 * 86_400_000;
