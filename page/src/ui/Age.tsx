import { duration } from "../lib/format";
import { useNow } from "../lib/poll";

const FRESH_MS = 10_000;

export function isFresh(age: number | null): boolean {
  return age !== null && age < FRESH_MS;
}

export function ageText(age: number | null): string {
  return age === null ? "age unknown" : `changed ${duration(age)} ago`;
}

/** How long ago something was committed, counting on while it is looked at. */
export function LiveAge({ since }: { since: string | null }) {
  const now = useNow();
  if (!since) return <>at an unknown time</>;
  return <time dateTime={since}>{duration(now - Date.parse(since))} ago</time>;
}
