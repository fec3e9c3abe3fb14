import { ProblemError, asProblem, getJson, sendFile } from "../api/http";
import type { DocumentEntry, DocumentPage, Problem, Uploaded } from "../api/types";
import { Store } from "../lib/store";

export type UploadState = "waiting" | "sending" | "sent" | "refused" | "stopped";

/** One file on its way. `share` of it is sent; `id` is its document's, once it is on the server's disk, and `entry` what
    the registry says of that then. */
export interface Upload {
  key: number;
  name: string;
  file: File;
  source: string;
  state: UploadState;
  share: number;
  id: string | null;
  outcome: string;
  entry: DocumentEntry | null;
  problem: Problem | null;
}

const AT_ONCE = 2;
const BUSY = new Set([429, 503]);
const AGAIN_MS = 1000;
const LOOK_MS = 400;
const LOOKED_AT = 8;

/** All files of this visit; they go on while other views are looked at. */
export const uploads = new Store<readonly Upload[]>([]);
const stops = new Map<number, AbortController>();
const replacing = new Set<number>();
let last = 0;

export function add(files: Iterable<{ file: File; name: string }>, source: string): void {
  const fresh = [...files].map(({ file, name }): Upload => {
    last += 1;
    return { key: last, name, file, source, state: "waiting", share: 0, id: null, outcome: "", entry: null, problem: null };
  });
  uploads.set([...uploads.get(), ...fresh]);
  next();
}

/** Once more: after a problem, or in the place of the document that is there. */
export function again(key: number, replace: boolean): void {
  if (replace) replacing.add(key);
  change(key, { state: "waiting", share: 0, problem: null });
  next();
}

export function stop(key: number): void {
  change(key, { state: "stopped" });
  stops.get(key)?.abort();
  next();
}

export function dismiss(keys: readonly number[]): void {
  uploads.set(uploads.get().filter((one) => !keys.includes(one.key)));
}

function next(): void {
  const all = uploads.get();
  const free = AT_ONCE - all.filter((one) => one.state === "sending").length;
  const waiting = all.filter((one) => one.state === "waiting");
  for (const one of waiting.slice(0, Math.max(free, 0))) void send(one);
}

async function send(one: Upload): Promise<void> {
  const stopping = new AbortController();
  stops.set(one.key, stopping);
  change(one.key, { state: "sending" });
  const query = new URLSearchParams({ name: one.name, source: one.source });
  if (replacing.has(one.key)) query.set("replace", "true");
  try {
    const told = (share: number) => change(one.key, { share });
    const answer = await sendFile<Uploaded>(`/v1/documents?${query}`, one.file, told, stopping.signal);
    const [document] = answer.documents;
    change(one.key, { state: "sent", share: 1, id: document?.id ?? null, outcome: document?.outcome ?? "" });
    follow();
  } catch (error) {
    if (stopping.signal.aborted) return;
    if (error instanceof ProblemError && BUSY.has(error.problem.status ?? 0)) {
      await new Promise((resolve) => window.setTimeout(resolve, AGAIN_MS));
      if (!stopping.signal.aborted) change(one.key, { state: "waiting", share: 0 });
    } else {
      change(one.key, { state: "refused", problem: asProblem(error) });
    }
  } finally {
    stops.delete(one.key);
    next();
  }
}

/** Whether nothing more will come of it. */
export function isOver(one: Upload): boolean {
  return one.state === "stopped" || one.entry?.stage === "ready" || one.entry?.stage === "failed";
}

let looking = 0;

/** Looks how far those are that are on disk, the first few at a time, until all are in the index. */
function follow(): void {
  if (looking) return;
  looking = window.setTimeout(async () => {
    const open = uploads.get().filter((one) => one.state === "sent" && !isOver(one));
    for (const one of open.slice(0, LOOKED_AT)) await look(one);
    looking = 0;
    if (uploads.get().some((one) => one.state === "sent" && !isOver(one))) follow();
  }, LOOK_MS);
}

async function look(one: Upload): Promise<void> {
  try {
    const found = await getJson<DocumentPage>(`/v1/documents?limit=20&prefix=${encodeURIComponent(one.id ?? "")}`);
    const entry = found.documents.find((document) => document.id === one.id);
    if (entry) change(one.key, { entry });
    else change(one.key, { state: "stopped", problem: null }); // somebody has deleted it meanwhile
  } catch {
    // the server is away: it is asked again
  }
}

function change(key: number, to: Partial<Upload>): void {
  uploads.set(uploads.get().map((one) => (one.key === key ? { ...one, ...to } : one)));
}
