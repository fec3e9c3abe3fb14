import { asProblem } from "../api/http";
import { RunSocket, socketUrl, type Connection } from "../api/socket";
import type { Chunk, Citation, Fact, Finish, Problem, Question, Stage } from "../api/types";
import { Store } from "../lib/store";

export type TurnState = "waiting" | "streaming" | "done" | "cancelled" | "failed";

export interface Turn {
  id: number;
  question: string;
  user: string;
  state: TurnState;
  stages: readonly Stage[];
  text: string;
  citations: readonly Citation[];
  facts: readonly Fact[];
  finish: Finish | null;
  problem: Problem | null;
  before: Turn | null; // the same question's earlier answer, when asked again
}

export interface ConversationState {
  connection: Connection;
  turns: readonly Turn[];
  conversation: string | null;
  user: string;
}

const EMPTY = { stages: [], text: "", citations: [], facts: [], finish: null, problem: null } as const;

class Conversation {
  readonly state = new Store<ConversationState>({ connection: "connecting", turns: [], conversation: null, user: "" });
  readonly draft = new Store("");
  private socket: RunSocket | null = null;
  private cancelRun: (() => void) | null = null;
  private turns = 0;

  start(): void {
    this.socket = new RunSocket(socketUrl("/ws"), (connection) => this.patch({ connection }));
  }

  as(user: string): void {
    // Another person's conversation must not go on as this one's.
    if (user !== this.state.get().user) this.patch({ user, conversation: null });
  }

  fresh(): void {
    this.cancel();
    this.patch({ turns: [], conversation: null });
  }

  busy(): boolean {
    const last = this.state.get().turns.at(-1);
    return last?.state === "waiting" || last?.state === "streaming";
  }

  ask(question: string, options: { after?: string; before?: Turn } = {}): void {
    if (!this.socket || this.busy()) return;
    const { user, conversation, turns } = this.state.get();
    this.turns += 1;
    const before = options.before ?? null;
    const turn: Turn = { id: this.turns, question, user, state: "waiting", before, ...EMPTY };
    this.patch({ turns: [...turns, turn] });
    const request: Question = {
      question,
      ...(user && { user }),
      ...(conversation && { conversation }),
      ...(options.after && { after: options.after }),
    };
    this.cancelRun = this.socket.ask(request, {
      onChunk: (chunk) => this.received(turn.id, chunk),
      onLost: (problem) => this.change(turn.id, (old) => ({ ...old, state: "failed", problem })),
    });
  }

  /** Asks the last answered question once more; with a token, only from data that new. */
  askAgain(after?: string): void {
    const last = this.state.get().turns.at(-1);
    if (!last) return;
    const before = last.finish ? last : last.before;
    this.ask(last.question, { ...(after && { after }), ...(before && { before: { ...before, before: null } }) });
  }

  cancel(): void {
    if (this.busy()) this.cancelRun?.();
  }

  private received(id: number, chunk: Chunk): void {
    try {
      if (chunk.type === "start" && chunk.conversation) this.patch({ conversation: chunk.conversation });
      if (chunk.type === "finish") this.patch({ conversation: chunk.data.conversation });
      this.change(id, (turn) => fold(turn, chunk));
    } catch (error) {
      this.change(id, (turn) => ({ ...turn, state: "failed", problem: asProblem(error) }));
    }
  }

  private change(id: number, change: (turn: Turn) => Turn): void {
    this.patch({ turns: this.state.get().turns.map((turn) => (turn.id === id ? change(turn) : turn)) });
  }

  private patch(part: Partial<ConversationState>): void {
    this.state.update((state) => ({ ...state, ...part }));
  }
}

/** What a turn becomes by one chunk of its answer. */
export function fold(turn: Turn, chunk: Chunk): Turn {
  switch (chunk.type) {
    case "data-stage":
      return { ...turn, stages: [...turn.stages, chunk.data] };
    case "text-start":
      return { ...turn, state: "streaming" };
    case "text-delta":
      return { ...turn, state: "streaming", text: turn.text + chunk.delta };
    case "data-citation":
      return { ...turn, citations: [...turn.citations, chunk.data] };
    case "data-fact":
      return { ...turn, facts: [...turn.facts, chunk.data] };
    case "finish":
      return { ...turn, state: "done", finish: chunk.data };
    case "abort":
      return { ...turn, state: "cancelled" };
    case "error":
      return { ...turn, state: "failed", problem: chunk.problem ?? { title: chunk.errorText } };
    case "start":
    case "text-end":
      return turn;
  }
}

export const conversation = new Conversation();
