import type { Problem } from "./types";

/** Any failed request, with what the person can do about it. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

export const UNREACHABLE: Problem = {
  title: "The server does not answer",
  remedy: "Check that Headrace is still running in its terminal. This page reconnects by itself.",
};

/** Whatever was thrown, as a problem that can be shown. */
export function asProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  return { title: "Something failed in this page", detail: error instanceof Error ? error.message : String(error) };
}

export async function fetchOk(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    throw new ProblemError(UNREACHABLE);
  }
  if (!response.ok) throw new ProblemError(await readProblem(response));
  return response;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetchOk(path, { headers: { accept: "application/json" }, ...(signal && { signal }) });
  return (await response.json()) as T;
}

type Method = "POST" | "PUT" | "PATCH" | "DELETE";

export async function sendJson<T>(method: Method, path: string, body?: unknown, more: Record<string, string> = {}): Promise<T> {
  const response = await fetchOk(path, {
    method,
    headers: { accept: "application/json", ...(body !== undefined && { "content-type": "application/json" }), ...more },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

/** Lines of newline-delimited JSON as they arrive; stopping the iteration cancels the download. */
export async function* readLines<T>(path: string, signal: AbortSignal): AsyncGenerator<T> {
  const response = await fetchOk(path, { signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : (lines.pop() ?? "");
      for (const line of lines) if (line.trim()) yield JSON.parse(line) as T;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // already closed is what was wanted
  }
}

/** A document's path in a URL: its id encoded once more, its slashes kept. */
export function documentPath(id: string): string {
  return `/v1/documents/${id.split("/").map(encodeURIComponent).join("/")}`;
}

async function readProblem(response: Response): Promise<Problem> {
  return problemOf(response.status, response.statusText, await response.text());
}

function problemOf(status: number, statusText: string, text: string): Problem {
  const fallback: Problem = { title: `The server answered ${status} ${statusText}`.trim() };
  try {
    const body = JSON.parse(text) as Partial<Problem> & { detail?: unknown };
    const detail = typeof body.detail === "string" ? body.detail : body.detail && JSON.stringify(body.detail);
    const { detail: _, ...rest } = body;
    return { ...fallback, ...rest, status, ...(detail ? { detail } : {}) };
  } catch {
    return { ...fallback, status, ...(text ? { detail: text.slice(0, 300) } : {}) };
  }
}

type Told = (share: number) => void;

/** Sends a file and tells how much of it is sent: what `fetch` cannot say. Rejects with a ProblemError, or when stopped. */
export async function sendFile<T>(path: string, file: Blob, told: Told, signal: AbortSignal): Promise<T> {
  const headers = { accept: "application/json", "content-type": "application/octet-stream" };
  const request = await sent("POST", path, headers, file, told, signal);
  if (!request) throw new ProblemError(UNREACHABLE);
  if (request.status < 400) return JSON.parse(request.responseText) as T;
  throw new ProblemError(problemOf(request.status, request.statusText, request.responseText));
}

/** Puts a file to another server: why that did not take it, or null. A browser does not tell a server that is away from
    one that lets this page put nothing there. Rejects only when stopped. */
export async function putFile(
  url: string,
  headers: Record<string, string>,
  file: Blob,
  told: Told,
  signal: AbortSignal,
): Promise<string | null> {
  // Its length a browser says by itself, and nobody else may.
  const own = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "content-length"));
  const request = await sent("PUT", url, own, file, told, signal);
  if (!request) return "it does not answer, or its CORS rules keep this page out";
  return request.status < 300 ? null : `it answered ${request.status}`;
}

/** An answer, or null when there is none. */
function sent(
  method: Method,
  url: string,
  headers: Record<string, string>,
  file: Blob,
  told: Told,
  signal: AbortSignal,
): Promise<XMLHttpRequest | null> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => told(event.lengthComputable && event.total > 0 ? event.loaded / event.total : 0);
    request.onload = () => resolve(request);
    request.onerror = () => resolve(null);
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
