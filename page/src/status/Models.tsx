import type { ReactNode } from "react";
import type { EmbedderStatus, ModelService, RerankerStatus } from "../api/types";
import { count, duration, plural } from "../lib/format";
import { useNow } from "../lib/poll";
import { Pair } from "../ui/Pair";

type State = EmbedderStatus["state"];

const STATES: Record<State, { words: string; look: string }> = {
  ok: { words: "working", look: "streaming" },
  failing: { words: "failing", look: "snapshot" },
  open: { words: "left alone", look: "down" },
};

interface Props {
  embedders: readonly EmbedderStatus[];
  reranker: RerankerStatus | null;
}

/** The models behind search; of those behind an address also what was asked of them, and what it cost. */
export function Models({ embedders, reranker }: Props) {
  if (embedders.length === 0 && !reranker) return null;
  return (
    <section aria-label="Models">
      <h3>Models</h3>
      {embedders.map((embedder) => (
        <Embedder key={embedder.model} embedder={embedder} />
      ))}
      {reranker && <Reranker reranker={reranker} />}
    </section>
  );
}

function Embedder({ embedder: { model, dimensions, state, service } }: { embedder: EmbedderStatus }) {
  return (
    <Card model={model} task="embeds" state={state} service={service} until="Until it answers, changes wait, and questions are answered by their words.">
      <Pair name="Vectors" value={dimensions === null ? "not known yet" : plural(dimensions, "dimension")} />
      {service && <Pair name="Embedded" value={plural(service.texts, "text")} />}
    </Card>
  );
}

function Reranker({ reranker }: { reranker: RerankerStatus }) {
  const { model, state, again_at: again, searches, passages, seconds, service } = reranker;
  const others = searches.late + searches.failed + searches.skipped;
  return (
    <Card model={model} task="reranks" state={state} service={service} again={again} until="Until then searches keep the order in which they were found.">
      <Pair name="Searches" value={`${count(searches.done)}, ${count(others)} without it`} />
      <Pair name="A search" value={searches.done > 0 ? duration((seconds / searches.done) * 1000) : "none yet"} />
      <Pair name="Scored" value={plural(passages, "passage")} />
    </Card>
  );
}

interface CardProps {
  model: string;
  task: string;
  state: State;
  service: ModelService | null;
  /** When it is asked again; a service's own otherwise. */
  again?: string | null;
  until: string;
  children: ReactNode;
}

function Card({ model, task, state, service, again, until, children }: CardProps) {
  const asked = again ?? service?.again_at;
  return (
    <article className="card" aria-label={model}>
      <header>
        <h4 className="breakable">
          {model} <span className="card-of">{task}</span>
        </h4>
        <span className={`state state-${STATES[state].look}`}>{STATES[state].words}</span>
      </header>
      {service?.reason && <p className={state === "open" ? "card-error" : "source-detail"}>{service.reason}</p>}
      {asked && state === "open" && <Again at={asked} until={until} />}
      <dl className="pairs">
        {children}
        {service === null && <Pair name="Runs" value="in this process" />}
        {service && <Pair name="Asked" value={`${plural(service.requests, "time")}, ${count(service.failures)} failed`} />}
        {service && <Pair name="Tokens" value={`${service.estimated ? "about " : ""}${count(service.tokens)}`} />}
        {service && service.cost !== null && <Pair name="Cost" value={money(service.cost)} />}
      </dl>
    </article>
  );
}

function Again({ at, until }: { at: string; until: string }) {
  const left = Date.parse(at) - useNow();
  return (
    <p className="source-detail">
      Asked again {left > 0 ? `in ${duration(left)}` : "now"}. {until}
    </p>
  );
}

/** In the currency that the configuration's price is in, which nobody told. */
function money(cost: number): string {
  return cost === 0 || cost >= 0.01 ? cost.toFixed(2) : cost.toPrecision(2);
}
