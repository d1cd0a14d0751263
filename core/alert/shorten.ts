// Texts that must fit: a receiver that takes 150 characters gets 150, and never none.

/** At most `most` UTF-16 units, cut between characters, with `…` where something was cut. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  if (most < 1) return "";
  // Not between the halves of a character.
  const end = /[\ud800-\udbff]/.test(text[most - 2] ?? "") ? most - 2 : most - 1;
  return `${text.slice(0, end)}…`;
}

/** At most `most` bytes of UTF-8, with `…` where something was cut. */
export function shortenBytes(text: string, most: number): string {
  if (Buffer.byteLength(text) <= most) return text;
  if (most < 3) return "";
  const bytes = Buffer.from(text);
  let end = most - 3;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.subarray(0, end).toString()}…`;
}
