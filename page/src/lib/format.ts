/** A duration in the unit a person would say it in. */
export function duration(ms: number): string {
  const size = Math.max(0, ms);
  if (size < 9.95) return `${size.toFixed(1)} ms`;
  if (size < 999.5) return `${Math.round(size)} ms`;
  if (size < 59_950) return `${(size / 1000).toFixed(1)} s`;
  if (size < 3_570_000) return `${Math.round(size / 60_000)} min`;
  if (size < 48 * 3_600_000) return `${Math.round(size / 3_600_000)} h`;
  return `${Math.round(size / 86_400_000)} days`;
}

export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let amount = size;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

const whole = new Intl.NumberFormat("en");

export function count(value: number): string {
  return whole.format(value);
}

export function rate(perSecond: number): string {
  return `${perSecond >= 10 || perSecond === 0 ? count(Math.round(perSecond)) : perSecond.toFixed(1)}/s`;
}

export function clockTime(iso: string): string {
  const date = new Date(iso);
  const millis = String(date.getMilliseconds()).padStart(3, "0");
  return `${date.toLocaleTimeString("en-GB", { hour12: false })}.${millis}`;
}

export function dateTime(iso: string): string {
  return new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** A value of a row as one line of text. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The values of a key: they travel joined by `,`, each percent-encoded where it must be. */
export function keyParts(key: unknown): string[] {
  if (key === null || key === undefined) return [];
  if (typeof key === "object") return Object.values(key).map(shown);
  return String(key).split(",").map(decoded);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a path with a bare `%` in it
  }
}

/** A key as people write it: `HAT170, 2024-05-22`. */
export function keyText(key: unknown): string {
  return keyParts(key).join(", ");
}

/** `airline.public.flights` → `flights`. */
export function tableName(topic: string): string {
  return topic.split(".").at(-1) ?? topic;
}

export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}
