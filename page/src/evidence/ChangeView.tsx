import { useEffect, useState } from "react";
import { asProblem, documentPath, getJson, ProblemError } from "../api/http";
import type { ChangeEvent, DocumentText, Problem } from "../api/types";
import { dateTime, duration, shown } from "../lib/format";
import { LiveAge } from "../ui/Age";
import { ProblemNote } from "../ui/ProblemNote";

/** One change in full, and the document that stands for its row or file now, if there is one. */
export function ChangeView({ change }: { change: ChangeEvent }) {
  const columns = Object.entries(change.changed);
  return (
    <div className="document">
      <p className="document-where">
        {change.topic} · position {change.stamp.position} of {change.source}
      </p>
      <p className="document-age">
        Committed <LiveAge since={change.stamp.committed_at} />, applied {duration(change.age_ms)} later (
        {dateTime(change.applied_at)}).
      </p>
      {columns.length > 0 && (
        <dl className="pairs fact-fields change-full">
          {columns.map(([name, [before, after]]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                {before !== null && (
                  <>
                    <del>{shown(before)}</del> <span aria-hidden="true">→</span>{" "}
                  </>
                )}
                <ins>{shown(after)}</ins>
              </dd>
            </div>
          ))}
        </dl>
      )}
      {change.document && <AsDocument id={change.document} />}
    </div>
  );
}

function AsDocument({ id }: { id: string }) {
  const [found, setFound] = useState<DocumentText | "none" | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    getJson<DocumentText>(documentPath(id), stop.signal).then(setFound, (error: unknown) => {
      if (stop.signal.aborted) return;
      if (error instanceof ProblemError && error.problem.status === 404) setFound("none");
      else setProblem(asProblem(error));
    });
    return () => stop.abort();
  }, [id]);
  if (problem) return <ProblemNote problem={problem} />;
  if (found === null) return null;
  if (found === "none") return <p className="note">It is not, or no longer, a document that answers are found in.</p>;
  return (
    <>
      <p className="document-where">As a document now: {id}</p>
      <div className="document-text" tabIndex={0} role="region" aria-label="Text of the document">
        {found.text}
      </div>
    </>
  );
}
