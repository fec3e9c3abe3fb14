import { UNREACHABLE } from "./http";
import type { Chunk, Frame, Problem, Question } from "./types";

export type Connection = "connecting" | "open" | "lost";

/** What becomes of one question; `lost` means that the server may not have got it. */
export interface RunHandler {
  onChunk: (chunk: Chunk) => void;
  onLost: (problem: Problem) => void;
}

interface Run {
  question: Question;
  handler: RunHandler;
  id: string | null;
  seq: number;
  cancelled: boolean;
}

const LOST_BEFORE_START: Problem = {
  title: "The connection broke before the question was taken",
  remedy: "Ask again: the page has reconnected or is about to.",
};

const MAX_WAIT_MS = 5_000;

/** Questions over one WebSocket: it reconnects, and running answers go on where they stopped. */
export class RunSocket {
  private socket: WebSocket | null = null;
  private queued: Run[] = [];
  private unanswered: Run[] = []; // sent, and not yet given a run id
  private running = new Map<string, Run>();
  private attempts = 0;

  constructor(
    private readonly url: string,
    private readonly onConnection: (connection: Connection) => void,
  ) {
    this.connect();
    window.addEventListener("online", () => this.connect());
  }

  /** Asks; returns the function that cancels it. */
  ask(question: Question, handler: RunHandler): () => void {
    const run: Run = { question, handler, id: null, seq: -1, cancelled: false };
    this.queued.push(run);
    this.connect();
    this.flush();
    return () => this.cancel(run);
  }

  private cancel(run: Run): void {
    run.cancelled = true;
    if (this.queued.includes(run)) {
      this.queued = this.queued.filter((other) => other !== run);
      run.handler.onChunk({ type: "abort", reason: "cancelled before it was sent" });
    } else if (run.id !== null) {
      this.transmit({ action: "cancel", run: run.id });
    }
  }

  private connect(): void {
    if (this.socket !== null) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.received(JSON.parse(String(event.data)) as Frame);
    socket.onclose = () => this.closed();
  }

  private opened(): void {
    this.attempts = 0;
    this.onConnection("open");
    // Frames already seen are dropped by number, so asking from the last one seen can lose none.
    for (const [run, { seq, cancelled }] of this.running) {
      this.transmit({ action: "resume", run, seq: Math.max(seq, 0) });
      if (cancelled) this.transmit({ action: "cancel", run });
    }
    this.flush();
  }

  private closed(): void {
    this.socket = null;
    this.attempts += 1;
    this.onConnection("lost");
    const lost = this.unanswered;
    this.unanswered = [];
    for (const run of lost) run.handler.onLost(LOST_BEFORE_START);
    if (this.attempts > 3) {
      const waiting = this.queued;
      this.queued = [];
      for (const run of waiting) run.handler.onLost(UNREACHABLE);
    }
    window.setTimeout(() => this.connect(), Math.min(MAX_WAIT_MS, 150 * 2 ** this.attempts));
  }

  private flush(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (const run of this.queued.splice(0)) {
      this.unanswered.push(run);
      this.transmit({ action: "send", ...run.question });
    }
  }

  private transmit(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private received(frame: Frame): void {
    const run = this.runOf(frame);
    if (!run || frame.seq <= run.seq) return;
    run.seq = frame.seq;
    run.handler.onChunk(frame.chunk);
    if (frame.run !== null && isLast(frame.chunk)) this.running.delete(frame.run);
  }

  private runOf(frame: Frame): Run | undefined {
    const known = frame.run === null ? undefined : this.running.get(frame.run);
    if (known) return known;
    if (frame.chunk.type !== "start" && frame.chunk.type !== "error") return undefined;
    const run = this.unanswered.shift();
    if (run && frame.run !== null) {
      run.id = frame.run;
      this.running.set(frame.run, run);
      if (run.cancelled) this.transmit({ action: "cancel", run: frame.run });
    }
    return run;
  }
}

function isLast(chunk: Chunk): boolean {
  return chunk.type === "finish" || chunk.type === "abort" || chunk.type === "error";
}

export function socketUrl(path: string): string {
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
