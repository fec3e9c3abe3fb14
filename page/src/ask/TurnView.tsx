import { Button } from "@mantine/core";
import { duration } from "../lib/format";
import { newWords } from "../lib/text";
import { ProblemNote } from "../ui/ProblemNote";
import { AnswerText } from "./AnswerText";
import { conversation, type Turn } from "./conversation";
import { Evidences, Marker } from "./Evidences";
import { Stages } from "./Stages";

interface Props {
  turn: Turn;
  asName: string | null;
  isLast: boolean;
}

export function TurnView({ turn, asName, isLast }: Props) {
  const abstained = turn.finish?.abstained === true;
  return (
    <article className={`turn${abstained ? " turn-abstained" : ""}`} aria-labelledby={`question-${turn.id}`}>
      <header className="turn-head">
        <h3 id={`question-${turn.id}`}>{turn.question}</h3>
        {asName && <p className="turn-as">asked as {asName}</p>}
      </header>
      <div className="turn-body">
        {abstained && <p className="abstained-label">Not in the sources</p>}
        {turn.state === "waiting" && !turn.text && <Waiting />}
        {turn.text && <Answer turn={turn} />}
        {turn.state === "cancelled" && <p className="note">You stopped this answer.</p>}
        {turn.problem && (
          <ProblemNote problem={turn.problem} onRetry={isLast ? () => conversation.askAgain() : undefined} />
        )}
        {turn.finish && <Comparison turn={turn} />}
        {turn.finish && <Freshness turn={turn} />}
        <Evidences turn={turn} />
        <Stages stages={turn.stages} totalMs={turn.finish?.total_ms ?? null} />
        {isLast && turn.finish && (
          <Button className="ask-again" size="compact-sm" variant="default" onClick={() => conversation.askAgain()}>
            Ask again
          </Button>
        )}
      </div>
    </article>
  );
}

function Waiting() {
  return (
    <p className="waiting">
      <span className="loading-wave" aria-hidden="true" /> Reading what is committed now
    </p>
  );
}

function Answer({ turn }: { turn: Turn }) {
  const fresh = turn.finish && turn.before ? newWords(plain(turn.before.text), plain(turn.text)) : undefined;
  return (
    <div className={turn.state === "streaming" ? "answer is-streaming" : "answer"}>
      <AnswerText text={turn.text} fresh={fresh} marker={(label) => <Marker turn={turn} label={label} />} />
    </div>
  );
}

function Comparison({ turn }: { turn: Turn }) {
  if (!turn.before) return null;
  const same = plain(turn.before.text) === plain(turn.text);
  return (
    <p className={same ? "comparison" : "comparison is-changed"}>
      {same ? "The same answer as before." : "The answer changed: what is new in it is marked."}
    </p>
  );
}

function Freshness({ turn }: { turn: Turn }) {
  if (!turn.finish) return null;
  const { freshness_ms: fresh, freshness_reason: reason } = turn.finish;
  if (fresh === null) {
    return <p className="freshness is-unknown">How fresh this is cannot be said: {reason ?? "a source is down"}.</p>;
  }
  return <p className="freshness">Nothing committed more than {duration(fresh)} before this answer is missing.</p>;
}

function plain(text: string): string {
  return text.replace(/\s*\[F?\d+\]/g, "").trim();
}
