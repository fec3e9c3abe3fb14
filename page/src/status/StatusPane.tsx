import { Progress } from "@mantine/core";
import type { OperatorStatus, SnapshotJob, SourceStatus, Status, TopicStatus } from "../api/types";
import { bytes, count, duration, plural, rate } from "../lib/format";
import type { Polled } from "../lib/poll";
import { LiveAge } from "../ui/Age";
import { Empty, Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import { DeadLetters } from "./DeadLetters";

/** Where every source, topic and operator stands. */
export function StatusPane({ status: { value, problem } }: { status: Polled<Status> }) {
  return (
    <div className="pane status">
      <h2>Status</h2>
      {problem && <ProblemNote problem={problem} />}
      {!value && !problem && <Loading what="the status" />}
      {value && <Overview status={value} />}
      {value && (
        <>
          <section aria-label="Sources">
            <h3>Sources</h3>
            {value.sources.length === 0 && (
              <Empty title="No source">Add a [[sources]] entry to headrace.toml and start again.</Empty>
            )}
            {value.sources.map((source) => (
              <Source key={source.name} source={source} />
            ))}
          </section>
          <Operators operators={value.operators} />
          <Topics topics={value.topics} />
        </>
      )}
      {(value || !problem) && <DeadLetters />}
    </div>
  );
}

function Overview({ status }: { status: Status }) {
  const stages = Object.entries(status.documents.by_stage);
  return (
    <dl className="figures">
      <Figure name="State" value={status.status} tone={status.status === "ok" ? "good" : "bad"} />
      <Figure
        name="Documents"
        value={count(status.documents.total)}
        note={stages.map(([stage, amount]) => `${count(amount)} ${stage}`).join(", ")}
      />
      <Figure name="Profiles" value={count(status.profiles)} />
      <Figure name="Store" value={bytes(status.store.bytes)} note={`PostgreSQL ${status.store.version}`} />
      <div className="figure">
        <dt>Started</dt>
        <dd>
          <LiveAge since={status.started_at} />
        </dd>
      </div>
    </dl>
  );
}

interface FigureProps {
  name: string;
  value: string;
  note?: string;
  tone?: "good" | "bad";
}

function Figure({ name, value, note, tone }: FigureProps) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd className={tone ? `tone-${tone}` : undefined}>{value}</dd>
      {note && <dd className="figure-note">{note}</dd>}
    </div>
  );
}

const STATES: Record<SourceStatus["state"], string> = {
  snapshot: "reading the snapshot",
  streaming: "streaming",
  down: "down",
  starting: "starting",
};

function Source({ source }: { source: SourceStatus }) {
  const { snapshot } = source;
  return (
    <article className="card">
      <header>
        <h4>{source.name}</h4>
        <span className={`state state-${source.state}`}>{STATES[source.state] ?? source.state}</span>
      </header>
      <p className="source-detail breakable">
        {source.kind} · {source.url}
      </p>
      {snapshot && <Snapshot snapshot={snapshot} name={source.name} />}
      {source.snapshots && <Jobs jobs={source.snapshots} />}
      <dl className="pairs">
        <Pair name="Fresh to" value={source.freshness_ms === null ? (source.reason ?? "unknown") : duration(source.freshness_ms)} />
        <Pair name="Position" value={source.position ?? "none yet"} />
        <Pair name="Rate" value={rate(source.rate)} />
        <Pair name="Errors" value={count(source.errors)} />
      </dl>
      {source.last_error && <p className="card-error">Last error: {source.last_error}</p>}
    </article>
  );
}

function Snapshot({ snapshot, name }: { snapshot: NonNullable<SourceStatus["snapshot"]>; name: string }) {
  const { done, total, rate: pace, eta_s: eta } = snapshot;
  return (
    <div className="snapshot">
      {total !== null && (
        <Progress value={(100 * done) / Math.max(total, 1)} aria-label={`Snapshot of ${name}`} size="sm" />
      )}
      <p>
        {count(done)}
        {total !== null && ` of ${count(total)}`} rows
        {pace !== null && `, ${rate(pace)}`}
        {eta !== null && `, about ${duration(eta * 1000)} to go`}
      </p>
    </div>
  );
}

const JOB_STATES: Record<SnapshotJob["state"], string> = {
  waiting: "waits",
  copying: "is read",
  comparing: "is compared with the log",
  done: "done",
  cancelled: "cancelled",
  failed: "failed",
};

/** Tables that are read beside the stream, and those that failed lately. */
function Jobs({ jobs }: { jobs: readonly SnapshotJob[] }) {
  const shown = jobs.filter((job) => !job.ended_at || job.state === "failed");
  if (shown.length === 0) return null;
  return (
    <ul className="jobs" aria-label="Snapshots">
      {shown.map((job) => (
        <li key={job.id}>
          <p>
            <span className="breakable">{job.table}</span> {JOB_STATES[job.state] ?? job.state}
          </p>
          {job.problem && <p className="card-error">{job.problem}</p>}
          {!job.ended_at && (
            <Snapshot
              snapshot={{ done: job.done, total: job.total, rate: job.rate, eta_s: job.eta_s }}
              name={job.table}
            />
          )}
        </li>
      ))}
    </ul>
  );
}

function Pair({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Operators({ operators }: { operators: readonly OperatorStatus[] }) {
  return (
    <section aria-label="Operators">
      <h3>Operators</h3>
      {operators.length === 0 && <Empty title="No operator runs yet" />}
      {operators.map((operator) => (
        <article key={`${operator.name} ${operator.source}`} className="card">
          <header>
            <h4>
              {operator.name} <span className="card-of">of {operator.source}</span>
            </h4>
            <span className={operator.lag.changes === 0 ? "state state-streaming" : "state state-snapshot"}>
              {operator.lag.changes === 0 ? "caught up" : `${plural(operator.lag.changes, "change")} behind`}
            </span>
          </header>
          <dl className="pairs">
            <Pair name="Lag" value={`${operator.lag.ms === null ? "unknown" : duration(operator.lag.ms)}, ${bytes(operator.lag.bytes)}`} />
            <Pair name="Position" value={operator.position ?? "none yet"} />
            <Pair name="Rate" value={rate(operator.rate)} />
            <Pair name="Errors" value={`${count(operator.errors)}, ${plural(operator.dead_letters, "dead letter")}`} />
          </dl>
        </article>
      ))}
    </section>
  );
}

function Topics({ topics }: { topics: readonly TopicStatus[] }) {
  return (
    <section aria-label="Topics">
      <h3>Topics</h3>
      {topics.length === 0 && <Empty title="No topic yet" />}
      <ul className="topics">
        {topics.map((topic) => (
          <li key={topic.name}>
            <span className="topic-name">{topic.name}</span>
            <span className="source-detail">
              {plural(topic.changes, "change")}, {bytes(topic.bytes)}, {plural(topic.partitions.length, "partition")}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
