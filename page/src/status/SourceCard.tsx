import type { Retained, SourceStatus } from "../api/types";
import { bytes, count, duration, plural, rate } from "../lib/format";
import { Pair } from "../ui/Pair";
import { Measure, Snapshots } from "./Snapshots";

const STATES: Record<SourceStatus["state"], string> = {
  snapshot: "reading the snapshot",
  streaming: "streaming",
  down: "down",
  starting: "starting",
};

/** One source: what it does, how far it is, and what is wrong with it. */
export function SourceCard({ source, onChanged }: { source: SourceStatus; onChanged: () => void }) {
  const { snapshot, retained, pushed, uploads, freshness_ms: fresh } = source;
  return (
    <article className="card" aria-label={source.name}>
      <header>
        <h4>{source.name}</h4>
        <span className={`state state-${source.state}`}>{stateOf(source)}</span>
      </header>
      <p className="source-detail breakable">
        {source.kind} · {source.url}
      </p>
      {source.reason && <p className={source.state === "down" ? "card-error" : "source-detail"}>{source.reason}</p>}
      {snapshot && <Measure of={snapshot} name={source.name} />}
      {source.snapshots && <Snapshots jobs={source.snapshots} onChanged={onChanged} />}
      <dl className="pairs">
        <Pair name="Fresh to" value={fresh === null ? "not known yet" : duration(fresh)} />
        <Pair name="Position" value={source.position ?? "none yet"} />
        <Pair name="Rate" value={rate(source.rate)} />
        <Pair name="Errors" value={count(source.errors)} />
        {retained && <Pair name="WAL kept" value={`${bytes(retained.bytes)} of ${bytes(retained.max_bytes)}`} />}
        {pushed && <Pair name="Pushed" value={`${count(pushed.accepted)}, ${count(pushed.rejected)} rejected`} />}
        {uploads && <Pair name="Holds" value={plural(uploads.documents, "document")} />}
        {pushed && pushed.waiting > 0 && <Pair name="Waiting" value={plural(pushed.waiting, "change")} />}
      </dl>
      {retained?.advice && <p className={isPressing(retained) ? "card-error" : "source-detail"}>{retained.advice}</p>}
      {source.last_error && source.last_error !== source.reason && (
        <p className="card-error">Last error: {source.last_error}</p>
      )}
    </article>
  );
}

function stateOf({ state, committed_at: committed }: SourceStatus): string {
  // Changes are in the log, and the first of them are still being applied.
  if (state === "starting" && committed !== null) return "catching up";
  return STATES[state] ?? state;
}

function isPressing(retained: Retained): boolean {
  return retained.bytes > retained.max_bytes / 2 || retained.status === "lost";
}
