// What the server sends, as its HTTP and WebSocket contract says. Times are RFC 3339, ages and durations milliseconds.

export type Value = string | number | boolean | null;
export type Row = Record<string, Value>;

export interface Stamp {
  source: string;
  position: string;
  committed_at: string | null;
}

/** Where in its file a chunk stands, as far as the format has such places. */
export interface Place {
  page?: number;
  last_page?: number;
  slide?: number;
  sheet?: string;
  member?: string;
}

export interface Citation {
  document: string;
  chunk: string;
  quote: string;
  heading?: string;
  place?: Place | null;
  stamp: Stamp;
  age_ms: number | null;
  title?: string;
}

export interface Fact {
  table: string;
  key: unknown;
  fields: Record<string, unknown>;
  stamp: Stamp;
  age_ms: number | null;
  text?: string;
}

export interface Problem {
  title: string;
  status?: number;
  detail?: string;
  step?: string;
  expected?: string;
  got?: string;
  remedy?: string;
}

/** Why one input could not be processed. */
export interface Failure {
  step: string;
  expected: string;
  got: string;
  remedy: string;
}

export type StageName = "wait" | "retrieve" | "assemble" | "generate";

export interface Stage {
  stage: StageName;
  ms: number;
}

export interface Finish {
  abstained: boolean;
  token: string;
  freshness_ms: number | null;
  freshness_reason?: string | null;
  conversation: string;
  total_ms: number;
}

export type Chunk =
  | { type: "start"; conversation?: string; messageId: string }
  | { type: "data-stage"; data: Stage }
  | { type: "text-start"; id: string }
  | { type: "text-delta"; id: string; delta: string }
  | { type: "text-end"; id: string }
  | { type: "data-citation"; data: Citation }
  | { type: "data-fact"; data: Fact }
  | { type: "finish"; data: Finish }
  | { type: "abort"; reason?: string }
  | { type: "error"; errorText: string; problem?: Problem };

export interface Frame {
  v: 1;
  run: string | null;
  seq: number;
  chunk: Chunk;
}

export interface Question {
  question: string;
  user?: string;
  conversation?: string;
  after?: string;
}

export type Op = "c" | "u" | "d" | "r" | "t";

export interface ChangeEvent {
  source: string;
  topic: string;
  key: unknown;
  op: Op;
  stamp: Stamp;
  applied_at: string;
  age_ms: number;
  changed: Record<string, [unknown, unknown]>;
  document?: string | null;
}

export interface DocumentChunk {
  chunk: string;
  ordinal: number;
  text: string;
  start: number;
  end: number;
  heading?: string | null;
}

export type MetadataValue = string | number | boolean;
/** What a document says of itself, by name. */
export type Metadata = Record<string, MetadataValue | MetadataValue[]>;

export interface DocumentText {
  id: string;
  stamp: Stamp;
  content_hash: string;
  title: string | null;
  stage: string;
  error: Failure | null;
  metadata?: Metadata;
  labels?: string[] | null;
  summary?: string | null;
  text: string;
  chunks: DocumentChunk[];
}

export type DocumentStage = "received" | "chunked" | "embedded" | "ready" | "failed";

/** A document as the registry knows it, in the index or on its way into it. */
export interface DocumentEntry {
  id: string;
  source: string;
  name: string;
  uploaded: boolean;
  size: number | null;
  title: string | null;
  media: string | null;
  content_hash: string;
  chunks: number;
  stage: DocumentStage;
  error: Failure | null;
  dead_letter: number | null;
  searchable: boolean;
  labels: string[] | null;
  summary: string | null;
  changed_at: string;
}

export interface DocumentPage {
  documents: DocumentEntry[];
  next: string | null;
  token: string;
}

/** Where a large file is put by ourselves, and what is asked for when it is there. */
export interface Presigned {
  url: string;
  headers: Record<string, string>;
  complete: string;
}

/** What one upload came to. */
export interface Uploaded {
  documents: { id: string; outcome: "created" | "replaced" | "unchanged" | "described" }[];
  token: string | null;
}

export interface SearchResult {
  document: string;
  chunk: string;
  text: string;
  place?: Place | null;
  score: number;
  stamp: Stamp;
  age_ms: number | null;
}

export interface SearchAnswer {
  results: SearchResult[];
  token: string;
  freshness_ms: number | null;
}

export interface SnapshotJob {
  id: string;
  source: string;
  table: string;
  /** Only one that somebody asked for can be cancelled: the others are a table's first copy. */
  reason: "asked" | "added" | "first" | "lacking" | "unseen";
  state: "waiting" | "copying" | "comparing" | "done" | "cancelled" | "failed";
  done: number;
  total: number | null;
  deleted: number;
  rate: number;
  eta_s: number | null;
  ended_at: string | null;
  problem: string | null;
  note: string | null;
}

/** What a source's server keeps on its disk for Headrace. */
export interface Retained {
  bytes: number;
  max_bytes: number;
  status: string;
  on_lag: string;
  advice: string | null;
}

/** What came of everything that was pushed to a source since Headrace started. */
export interface Pushed {
  accepted: number;
  duplicates: number;
  ignored: number;
  rejected: number;
  waiting: number;
}

export interface SourceStatus {
  name: string;
  kind: string;
  url: string;
  state: "snapshot" | "streaming" | "down" | "starting";
  position: string | null;
  committed_at: string | null;
  freshness_ms: number | null;
  reason?: string | null;
  snapshot?: { done: number; total: number | null; rate: number | null; eta_s: number | null } | null;
  snapshots?: SnapshotJob[];
  reads_again?: boolean;
  retained?: Retained | null;
  pushed?: Pushed | null;
  /** `presigned`: files of so many bytes and more are put to an object store. */
  uploads?: { documents: number; max_bytes: number; presigned?: { min_bytes: number } | null } | null;
  rate: number;
  errors: number;
  last_error?: string | null;
}

export interface TopicStatus {
  name: string;
  source: string;
  partitions: { partition: number; next_offset: number; first_offset: number }[];
  changes: number;
  bytes: number;
}

export interface OperatorStatus {
  name: string;
  source: string;
  position: string | null;
  lag: { changes: number; bytes: number; ms: number | null };
  rate: number;
  errors: number;
  dead_letters: number;
}

/** Documents that earlier settings made, and how far they are made anew. */
export interface Renewal {
  state: "waiting" | "running" | "done";
  done: number;
  total: number | null;
  rate: number;
  eta_s: number | null;
  changed: Record<string, string[]>;
  left: Record<string, number>;
}

/** Vectors of another model, built beside those that serve. */
export interface Succession {
  from: string;
  to: string;
  done: number;
  total: number | null;
  rate: number;
  eta_s: number | null;
}

/** What language models tell of documents, behind everything else. */
export interface Telling {
  state: "off" | "running" | "waiting" | "done";
  done: number;
  left: number;
  rate: number;
  eta_s: number | null;
  error: string | null;
  /** Those that documents may be given. */
  labels: string[];
}

/** How it goes with a model behind an address. */
export interface ModelService {
  reason: string | null;
  again_at: string | null;
  requests: number;
  failures: number;
  texts: number;
  tokens: number;
  estimated: boolean;
  cost: number | null;
}

/** A model that makes vectors. */
export interface EmbedderStatus {
  model: string;
  dimensions: number | null;
  state: "ok" | "failing" | "open";
  service: ModelService | null;
}

/** The model that puts the best passages into their last order; `searches`: what became of them. */
export interface RerankerStatus {
  model: string;
  state: "ok" | "failing" | "open";
  again_at: string | null;
  searches: { done: number; late: number; failed: number; skipped: number };
  passages: number;
  seconds: number;
  service: ModelService | null;
}

export interface IndexBuild {
  done: number;
  total: number;
  rate: number;
  eta_s: number | null;
}

export interface Status {
  status: "ok" | "degraded";
  started_at: string;
  sources: SourceStatus[];
  topics: TopicStatus[];
  operators: OperatorStatus[];
  documents: { total: number; by_stage: Record<string, number> };
  renewal?: Renewal;
  succession?: Succession | null;
  telling?: Telling;
  embedders?: EmbedderStatus[];
  reranker?: RerankerStatus | null;
  profiles: number;
  store: {
    version: string;
    bytes: number;
    index: { waiting: number; building: IndexBuild | null };
  };
}

export interface DeadLetter extends Failure {
  id: string | number;
  source: string;
  topic: string;
  key: unknown;
  position: string;
  operator: string;
  at: string;
  attempts: number;
  resolved_at: string | null;
}

export interface Simulator {
  running: boolean;
  speed: number;
  changes: number;
}

export interface Persona {
  user: string;
  name: string;
  membership: string;
  about: string;
}

export interface ExampleQuestion {
  text: string;
  user?: string | null;
  why: string;
}

export interface DemoState {
  now: string;
  simulator: Simulator;
  personas: Persona[];
  questions: ExampleQuestion[];
}

export interface DeskColumn {
  name: string;
  type: string;
  editable: boolean;
  choices?: Value[] | null;
}

export interface DeskTable {
  name: string;
  key: string[];
  columns: DeskColumn[];
}

export interface Desk {
  tables: DeskTable[];
  policies: { name: string; title: string }[];
}
