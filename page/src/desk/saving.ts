import { asProblem, getJson } from "../api/http";
import type { ChangeEvent, Problem, Row } from "../api/types";
import { keyParts, tableName } from "../lib/format";
import { Store } from "../lib/store";
import { changes } from "../live/changes";

/** One save at the desk and what came of it; durations in ms since the button was pressed. */
export interface Save {
  what: string;
  state: "saving" | "saved" | "failed";
  committedMs: number | null;
  appliedMs: number | null; // seen in the stream of applied changes
  ageMs: number | null; // commit to applied, as the server measured it
  late: boolean;
  token: string | null;
  problem: Problem | null;
}

export const lastSave = new Store<Save | null>(null);

const LATE_MS = 10_000;

/** Saves, and waits for the change to come by in the stream, so that the person sees how long it took. */
export async function save(what: string, write: () => Promise<unknown>, isIt: (change: ChangeEvent) => boolean): Promise<boolean> {
  const began = performance.now();
  const since = () => performance.now() - began;
  const empty: Save = { what, state: "saving", committedMs: null, appliedMs: null, ageMs: null, late: false, token: null, problem: null };
  lastSave.set(empty);
  const patch = (part: Partial<Save>) => lastSave.update((now) => (now?.what === what ? { ...now, ...part } : now));
  // Watched before it is written: the change may pass sooner than the answer to the write.
  const unwatch = changes.watch((change) => {
    if (!isIt(change)) return;
    unwatch();
    patch({ appliedMs: since(), ageMs: change.age_ms, late: false });
  });
  try {
    await write();
    patch({ state: "saved", committedMs: since() });
    patch({ token: (await getJson<{ token: string }>("/v1/token")).token });
  } catch (error) {
    const saved = lastSave.get()?.state === "saved";
    if (!saved) unwatch();
    patch({ problem: asProblem(error), ...(saved ? {} : { state: "failed" as const }) });
    return saved;
  }
  window.setTimeout(() => {
    unwatch();
    if (lastSave.get()?.appliedMs === null) patch({ late: true });
  }, LATE_MS);
  return true;
}

/**
 * Whether a change is of the saved row. Its columns are not compared: where somebody else has just set the same value,
 * the save changes none.
 */
export function isRowChange(table: string, key: Row): (change: ChangeEvent) => boolean {
  const wanted = JSON.stringify(Object.values(key).map(String));
  return (change) =>
    tableName(change.topic) === tableName(table) && JSON.stringify(keyParts(change.key)) === wanted;
}

export function isDocumentChange(name: string): (change: ChangeEvent) => boolean {
  return (change) => (change.document ?? "").endsWith(`/${name}`);
}
