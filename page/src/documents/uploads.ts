import { ProblemError, asProblem, getJson, putFile, sendFile, sendJson } from "../api/http";
import type { DocumentEntry, DocumentPage, Presigned, Problem, Uploaded } from "../api/types";
import { Store } from "../lib/store";

export type UploadState = "waiting" | "sending" | "sent" | "refused" | "stopped";

/** One file on its way. `share` of it is sent; `id` is its document's, once it is on the server's disk, and `entry` what
    the registry says of that then. `apart`: it goes to the object store; `note`: why it did not. */
export interface Upload {
  key: number;
  name: string;
  file: File;
  source: string;
  apart: boolean;
  note: string;
  state: UploadState;
  share: number;
  id: string | null;
  outcome: string;
  entry: DocumentEntry | null;
  problem: Problem | null;
}

const AT_ONCE = 2;
const BUSY = new Set([429, 503]);
/** The object store is not there any more, or refuses: files go through the server then. */
const ROUND = new Set([404, 502]);
/** What lies there is nothing to go on with: it is gone, another content, or its ticket is over. */
const USELESS = new Set([400, 409, 410, 422]);
const AGAIN_MS = 1000;
const LOOK_MS = 400;
const LOOKED_AT = 8;

/** All files of this visit; they go on while other views are looked at. */
export const uploads = new Store<readonly Upload[]>([]);
const stops = new Map<number, AbortController>();
const replacing = new Set<number>();
/** What files at the object store are completed by, until they are. */
const lying = new Map<number, string>();
let last = 0;

/** `apartFrom`: files of so many bytes and more go to the object store. */
export function add(files: Iterable<{ file: File; name: string }>, source: string, apartFrom = Infinity): void {
  const fresh = [...files].map(({ file, name }): Upload => {
    last += 1;
    const begun = { apart: file.size >= apartFrom, note: "", state: "waiting", share: 0 } as const;
    return { key: last, name, file, source, ...begun, id: null, outcome: "", entry: null, problem: null };
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
  for (const key of keys) lying.delete(key);
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
  try {
    const answer = (one.apart && (await byStore(one, stopping.signal))) || (await through(one, stopping.signal));
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

/** Sent to the server itself. */
function through(one: Upload, signal: AbortSignal): Promise<Uploaded> {
  const query = new URLSearchParams({ name: one.name, source: one.source });
  if (replacing.has(one.key)) query.set("replace", "true");
  return sendFile<Uploaded>(`/v1/documents?${query}`, one.file, (share) => change(one.key, { share }), signal);
}

/** Put to the object store, then fetched by the server; null where that does not work. */
async function byStore(one: Upload, signal: AbortSignal): Promise<Uploaded | null> {
  try {
    const why = lying.has(one.key) ? null : await put(one, signal);
    signal.throwIfAborted();
    return why === null ? await completed(one) : around(one, why);
  } catch (error) {
    if (error instanceof ProblemError && ROUND.has(error.problem.status ?? 0)) return around(one, error.problem.got ?? "");
    throw error;
  }
}

/** Why the object store did not take it, or null. */
async function put(one: Upload, signal: AbortSignal): Promise<string | null> {
  const announced = { name: one.name, source: one.source, size: one.file.size, replace: replacing.has(one.key) };
  const signed = await sendJson<Presigned>("POST", "/v1/documents/presigned", announced);
  signal.throwIfAborted();
  const why = await putFile(signed.url, signed.headers, one.file, (share) => change(one.key, { share }), signal);
  if (why === null) lying.set(one.key, signed.complete);
  return why;
}

/** What lies there is not put a second time, unless it turns out to be of no use. */
async function completed(one: Upload): Promise<Uploaded> {
  try {
    const answer = await sendJson<Uploaded>("POST", `${lying.get(one.key)}?replace=${replacing.has(one.key)}`);
    lying.delete(one.key);
    return answer;
  } catch (error) {
    const problem = error instanceof ProblemError ? error.problem : null;
    if (!isTaken(problem) && USELESS.has(problem?.status ?? 0)) lying.delete(one.key);
    throw error;
  }
}

function around(one: Upload, note: string): null {
  lying.delete(one.key);
  change(one.key, { apart: false, share: 0, note });
  return null;
}

/** Whether another document has the name: the same status says of an object that it is not there yet. */
export function isTaken(problem: Problem | null): boolean {
  return problem?.status === 409 && problem.title !== "Not uploaded yet";
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
