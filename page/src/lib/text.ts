export interface Span {
  start: number;
  end: number;
}

/** The server counts characters; the browser counts UTF-16 units. They differ beyond the first plane only. */
export function toUnits(text: string, span: Span): Span {
  if (!/[\ud800-\udbff]/.test(text)) return span;
  let units = 0;
  let characters = 0;
  const found = { start: text.length, end: text.length };
  for (const character of text) {
    if (characters === span.start) found.start = units;
    if (characters === span.end) found.end = units;
    units += character.length;
    characters += 1;
  }
  return found;
}

/** Where the quote stands within the span, whatever its line breaks; null when it is not there. */
export function findQuote(text: string, quote: string, within: Span): Span | null {
  const words = quote.trim().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  const pattern = new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s+"));
  const inside = pattern.exec(text.slice(within.start, within.end));
  if (inside) return { start: within.start + inside.index, end: within.start + inside.index + inside[0].length };
  const anywhere = pattern.exec(text);
  return anywhere ? { start: anywhere.index, end: anywhere.index + anywhere[0].length } : null;
}

/** The words of `text` that `before` does not have, lower case: what a repeated answer says anew. */
export function newWords(before: string, text: string): Set<string> {
  const known = new Set(wordsOf(before));
  return new Set(wordsOf(text).filter((word) => !known.has(word)));
}

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}][\p{L}\p{N}.,:$€£-]*[\p{L}\p{N}]|[\p{L}\p{N}]/gu) ?? [];
}
