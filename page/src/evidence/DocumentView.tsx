import { SegmentedControl } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { asProblem, documentPath, getJson } from "../api/http";
import type { Citation, DocumentText, Metadata, Problem } from "../api/types";
import { placeText, plural } from "../lib/format";
import { findQuote, toUnits, type Span } from "../lib/text";
import { ageText, LiveAge } from "../ui/Age";
import { Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import type { Evidence } from "./evidence";

type Version = "then" | "now";
type Loaded = DocumentText | Problem | null;

/** A document as the answer saw it and as it is now, opened at the cited place. */
export function DocumentView({ shown }: { shown: Extract<Evidence, { kind: "document" }> }) {
  const { id, citation, label, asOf } = shown;
  const [version, setVersion] = useState<Version>(asOf ? "then" : "now");
  const then = useDocument(id, asOf ?? null, asOf !== undefined);
  const now = useDocument(id, null, true);
  const document = version === "then" ? then : now;
  const changed = isText(then) && (isText(now) ? then.content_hash !== now.content_hash : now !== null);
  return (
    <div className="document">
      <p className="document-where">
        {[id, placeText(citation?.place)].filter(Boolean).join(" · ")}
        {citation && ` · position ${citation.stamp.position} of ${citation.stamp.source}`}
      </p>
      {citation && (
        <p className="document-age">
          {label ? "At the answer" : "When found"}: {ageText(citation.age_ms)}. Committed <LiveAge since={citation.stamp.committed_at} />.
        </p>
      )}
      {changed && (
        <div className="document-changed">
          <p>{isText(now) ? "This document has changed since the answer." : "This document is gone since the answer."}</p>
          <SegmentedControl
            size="xs"
            aria-label="Which version to show"
            value={version}
            onChange={(value) => setVersion(value === "now" ? "now" : "then")}
            data={[
              { value: "then", label: "As the answer saw it" },
              { value: "now", label: "As it is now" },
            ]}
          />
        </div>
      )}
      {document === null && <Loading what="the document" />}
      {document !== null && !isText(document) && <ProblemNote problem={document} />}
      {isText(document) && <Text document={document} citation={citation} />}
    </div>
  );
}

function isText(loaded: Loaded): loaded is DocumentText {
  return loaded !== null && "chunks" in loaded;
}

function useDocument(id: string, asOf: string | null, wanted: boolean): Loaded {
  const [loaded, setLoaded] = useState<Loaded>(null);
  useEffect(() => {
    if (!wanted) return;
    const stop = new AbortController();
    const query = asOf === null ? "" : `?as_of=${encodeURIComponent(asOf)}`;
    getJson<DocumentText>(documentPath(id) + query, stop.signal).then(setLoaded, (error: unknown) => {
      if (!stop.signal.aborted) setLoaded(asProblem(error));
    });
    return () => stop.abort();
  }, [id, asOf, wanted]);
  return loaded;
}

function Text({ document, citation }: { document: DocumentText; citation: Citation | undefined }) {
  const place = useRef<HTMLElement>(null);
  const chunk = document.chunks.find((one) => one.chunk === citation?.chunk);
  const span = chunk ? toUnits(document.text, chunk) : null;
  const quote = citation ? findQuote(document.text, citation.quote, span ?? { start: 0, end: document.text.length }) : null;
  useEffect(() => {
    place.current?.scrollIntoView({ block: "start" });
  }, [document]);
  return (
    <>
      {document.error && <ProblemNote problem={{ title: "This version could not be taken in", ...document.error }} />}
      <Said metadata={document.metadata ?? {}} />
      {document.labels && document.labels.length > 0 && <p className="document-where">Labels: {document.labels.join(", ")}</p>}
      {document.summary && <p className="document-where">A language model sums it up: {document.summary}</p>}
      {citation && !quote && <p className="note">The quoted words are not in this version.</p>}
      <div className="document-text" tabIndex={0} role="region" aria-label="Text of the document">
        {pieces(document.text, span, quote).map((piece) =>
          piece.kind === "plain" ? (
            piece.text
          ) : (
            <mark
              key={piece.start}
              ref={piece.kind === "quote" || (piece.first && !quote) ? place : undefined}
              className={piece.kind === "quote" ? "mark-quote" : "mark-chunk"}
              data-testid={piece.kind}
            >
              {piece.text}
            </mark>
          ),
        )}
      </div>
      <p className="document-foot">
        {document.stage} · {plural(document.chunks.length, "chunk")} · {document.content_hash.slice(0, 19)}… · committed{" "}
        <LiveAge since={document.stamp.committed_at} />
      </p>
    </>
  );
}

/** The document's own metadata, as far as they are not shown anyway. */
function Said({ metadata }: { metadata: Metadata }) {
  const said = Object.entries(metadata).filter(([name]) => name !== "title");
  if (said.length === 0) return null;
  return (
    <dl className="document-metadata" aria-label="Metadata">
      {said.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{[value].flat().map(String).join(", ")}</dd>
        </div>
      ))}
    </dl>
  );
}

interface Piece {
  kind: "plain" | "chunk" | "quote";
  start: number;
  first: boolean;
  text: string;
}

/** The text cut where the chunk and the quote begin and end. */
function pieces(text: string, chunk: Span | null, quote: Span | null): Piece[] {
  const cuts = [0, text.length, ...(chunk ? [chunk.start, chunk.end] : []), ...(quote ? [quote.start, quote.end] : [])];
  const sorted = [...new Set(cuts)].sort((a, b) => a - b);
  const inside = (span: Span | null, at: number) => span !== null && at >= span.start && at < span.end;
  return sorted.slice(0, -1).map((start, at) => ({
    kind: inside(quote, start) ? "quote" : inside(chunk, start) ? "chunk" : "plain",
    start,
    first: start === chunk?.start,
    text: text.slice(start, sorted[at + 1]),
  }));
}
