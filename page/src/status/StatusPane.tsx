import type { IndexBuild, OperatorStatus, Renewal, SourceStatus, Status, Telling, TopicStatus } from "../api/types";
import { bytes, count, duration, plural, rate } from "../lib/format";
import type { Polled } from "../lib/poll";
import { LiveAge } from "../ui/Age";
import { Empty, Loading } from "../ui/Empty";
import { Pair } from "../ui/Pair";
import { ProblemNote } from "../ui/ProblemNote";
import { DeadLetters } from "./DeadLetters";
import { Models } from "./Models";
import { ReadAgain, Running } from "./Snapshots";
import { SourceCard } from "./SourceCard";

/** Where every source, topic and operator stands. */
export function StatusPane({ status: { value, problem, refresh } }: { status: Polled<Status> }) {
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
              <SourceCard key={source.name} source={source} onChanged={refresh} />
            ))}
          </section>
          <Operators operators={value.operators} />
          <Models embedders={value.embedders ?? []} reranker={value.reranker ?? null} />
          <Topics topics={value.topics} sources={value.sources} onChanged={refresh} />
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
      {status.renewal && <Renewed renewal={status.renewal} />}
      {status.succession && (
        <Figure
          name="Vectors of the next model"
          value={`${count(status.succession.done)} of ${status.succession.total === null ? "?" : count(status.succession.total)}`}
          note={togo(status.succession.eta_s)}
        />
      )}
      {status.telling && <Told telling={status.telling} />}
      {status.store.index.building && <Indexed building={status.store.index.building} />}
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

/** Shown while documents of earlier settings are made anew, and when some cannot be. */
function Renewed({ renewal: { state, done, total, eta_s: left, left: kept } }: { renewal: Renewal }) {
  const stay = Object.values(kept).reduce((sum, amount) => sum + amount, 0);
  if (state === "done")
    return stay > 0 ? <Figure name="Of earlier settings" value={count(stay)} note="run headrace doctor" tone="bad" /> : null;
  if (!total) return null;
  return <Figure name="Made anew" value={`${count(done)} of ${count(total)}`} note={togo(left)} />;
}

/** Shown while documents wait for what a language model tells of them. */
function Told({ telling: { state, left, eta_s: seconds, error } }: { telling: Telling }) {
  if (!left) return null;
  const name = "Yet to be labelled or summarised";
  if (state === "waiting")
    return <Figure name={name} value={count(left)} note={error ?? "the language model does not answer"} tone="bad" />;
  return <Figure name={name} value={count(left)} note={togo(seconds)} />;
}

/** Shown while the vector index is built anew, as after a large load. */
function Indexed({ building: { done, total, eta_s: left } }: { building: IndexBuild }) {
  return <Figure name="In the new vector index" value={`${count(done)} of ${count(total)}`} note={togo(left)} />;
}

function togo(seconds: number | null): string {
  return seconds !== null && seconds > 0 ? `about ${duration(seconds * 1000)} to go` : "in the background";
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

interface TopicsProps {
  topics: readonly TopicStatus[];
  sources: readonly SourceStatus[];
  onChanged: () => void;
}

function Topics({ topics, sources, onChanged }: TopicsProps) {
  const again = new Set(sources.filter((source) => source.reads_again && source.state !== "down").map(({ name }) => name));
  const running = new Map(
    sources.flatMap(({ name, snapshots = [] }) =>
      snapshots.filter((job) => !job.ended_at).map((job) => [`${name}.${job.table}`, job]),
    ),
  );
  return (
    <section aria-label="Topics">
      <h3>Topics</h3>
      {topics.length === 0 && <Empty title="No topic yet" />}
      <ul className="topics">
        {topics.map((topic) => (
          <li key={topic.name}>
            <span className="topic-name">{topic.name}</span>
            <span className="source-detail">
              {plural(topic.changes, "change")}, {bytes(topic.bytes)}
              {topic.partitions.length > 1 && `, ${topic.partitions.length} partitions`}
            </span>
            <Running job={running.get(topic.name)} />
            {again.has(topic.source) && (
              <ReadAgain topic={topic.name} changes={topic.changes} onChanged={onChanged} />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
