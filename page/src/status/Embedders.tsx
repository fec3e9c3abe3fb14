import type { EmbedderStatus } from "../api/types";
import { count, duration, plural } from "../lib/format";
import { useNow } from "../lib/poll";
import { Pair } from "../ui/Pair";

const STATES: Record<EmbedderStatus["state"], { words: string; look: string }> = {
  ok: { words: "working", look: "streaming" },
  failing: { words: "failing", look: "snapshot" },
  open: { words: "left alone", look: "down" },
};

/** The models that make vectors; of those behind an address also what was asked of them, and what it cost. */
export function Embedders({ embedders }: { embedders: readonly EmbedderStatus[] }) {
  if (embedders.length === 0) return null;
  return (
    <section aria-label="Embedding models">
      <h3>Embedding models</h3>
      {embedders.map((embedder) => (
        <Embedder key={embedder.model} embedder={embedder} />
      ))}
    </section>
  );
}

function Embedder({ embedder: { model, dimensions, state, service } }: { embedder: EmbedderStatus }) {
  return (
    <article className="card" aria-label={model}>
      <header>
        <h4 className="breakable">{model}</h4>
        <span className={`state state-${STATES[state].look}`}>{STATES[state].words}</span>
      </header>
      {service?.reason && <p className={state === "open" ? "card-error" : "source-detail"}>{service.reason}</p>}
      {service?.again_at && state === "open" && <Again at={service.again_at} />}
      <dl className="pairs">
        <Pair name="Dimensions" value={dimensions === null ? "not known yet" : count(dimensions)} />
        {service === null && <Pair name="Runs" value="in this process" />}
        {service && <Pair name="Asked" value={`${plural(service.requests, "time")}, ${count(service.failures)} failed`} />}
        {service && <Pair name="Embedded" value={plural(service.texts, "text")} />}
        {service && <Pair name="Tokens" value={`${service.estimated ? "about " : ""}${count(service.tokens)}`} />}
        {service && service.cost !== null && <Pair name="Cost" value={money(service.cost)} />}
      </dl>
    </article>
  );
}

function Again({ at }: { at: string }) {
  const left = Date.parse(at) - useNow();
  return (
    <p className="source-detail">
      Asked again {left > 0 ? `in ${duration(left)}` : "now"}. Until it answers, changes wait, and questions are answered by
      their words.
    </p>
  );
}

/** In the currency that the configuration's price is in, which nobody told. */
function money(cost: number): string {
  return cost === 0 || cost >= 0.01 ? cost.toFixed(2) : cost.toPrecision(2);
}
