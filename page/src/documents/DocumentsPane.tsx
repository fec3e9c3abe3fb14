import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useState, type FormEvent } from "react";
import { asProblem, readLines, sendJson } from "../api/http";
import type { DocumentEntry, Problem, SearchAnswer, SearchResult, Status } from "../api/types";
import { evidence } from "../evidence/evidence";
import { duration, placeText, plural } from "../lib/format";
import { ageText, LiveAge } from "../ui/Age";
import { Empty, Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";

const SHOWN = 60;

/** The knowledge base: search it as an answer does, or look through its documents. */
export function DocumentsPane({ status }: { status: Status | null }) {
  return (
    <div className="pane">
      <h2>Documents</h2>
      <p className="lead">What answers are found in: files, and rows that are documents too.</p>
      <Search />
      <Listing sources={status?.sources.map((source) => source.name) ?? []} />
    </div>
  );
}

function Search() {
  const [query, setQuery] = useState("");
  const [answer, setAnswer] = useState<{ results: SearchResult[]; took: number } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  async function search(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!query.trim()) return;
    setBusy(true);
    const began = performance.now();
    try {
      const { results } = await sendJson<SearchAnswer>("POST", "/v1/search", { query: query.trim(), k: 8 });
      setAnswer({ results, took: performance.now() - began });
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <section aria-label="Search">
      <form className="field-row" onSubmit={(event) => void search(event)}>
        <TextInput
          className="grow"
          label="Search as an answer does"
          placeholder="free checked bags gold"
          value={query}
          onChange={(event) => setQuery(event.currentTarget.value)}
        />
        <Button type="submit" variant="default" loading={busy} disabled={!query.trim()}>
          Search
        </Button>
      </form>
      {problem && <ProblemNote problem={problem} />}
      {answer && (
        <p className="note" role="status">
          {plural(answer.results.length, "chunk")} in {duration(answer.took)}
        </p>
      )}
      {answer?.results.map((result) => (
        <button key={result.chunk} type="button" className="source" onClick={() => openResult(result)}>
          <span className="source-body">
            <span className="source-name">{[result.document, placeText(result.place)].filter(Boolean).join(" · ")}</span>
            <span className="source-quote">{result.text}</span>
          </span>
          <span className="source-age">
            {ageText(result.age_ms)}
            <br />
            score {result.score.toPrecision(3)}
          </span>
        </button>
      ))}
    </section>
  );
}

function openResult(result: SearchResult): void {
  const { document, chunk, text, stamp, age_ms, place } = result;
  evidence.set({ kind: "document", id: document, citation: { document, chunk, quote: text, stamp, age_ms, place: place ?? null } });
}

interface Found {
  entries: readonly DocumentEntry[];
  state: "reading" | "all" | "more";
  problem: Problem | null;
}

function Listing({ sources }: { sources: readonly string[] }) {
  const [source, setSource] = useState("");
  const [text, setText] = useState("");
  const found = useDocuments(source, text.trim().toLowerCase());
  return (
    <section className="listing" aria-label="All documents">
      <div className="field-row">
        <NativeSelect
          label="Source"
          value={source}
          onChange={(event) => setSource(event.currentTarget.value)}
          data={[{ value: "", label: "All sources" }, ...sources]}
        />
        <TextInput
          className="grow"
          label="Id contains"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      </div>
      {found.problem && <ProblemNote problem={found.problem} />}
      {found.state === "reading" && found.entries.length === 0 && !found.problem && <Loading what="documents" />}
      {found.state !== "reading" && found.entries.length === 0 && !found.problem && (
        <Empty title="No document">Nothing here matches, or the sources are still being read.</Empty>
      )}
      <ul className="documents">
        {found.entries.map((entry) => (
          <li key={entry.id}>
            <button type="button" className="source" onClick={() => evidence.set({ kind: "document", id: entry.id })}>
              <span className="source-body">
                <span className="source-name">{entry.id}</span>
                <span className="source-detail">
                  {entry.stage}, {plural(typeof entry.chunks === "number" ? entry.chunks : entry.chunks.length, "chunk")}
                  {entry.error && `: ${entry.error.got}`}
                </span>
              </span>
              <span className="source-age">
                <LiveAge since={entry.stamp.committed_at} />
              </span>
            </button>
          </li>
        ))}
      </ul>
      {found.state === "more" && <p className="note">The first {SHOWN}. Narrow it by source or id to see others.</p>}
    </section>
  );
}

/** The first documents that match, read only as far as needed. */
function useDocuments(source: string, text: string): Found {
  const [found, setFound] = useState<Found>({ entries: [], state: "reading", problem: null });
  useEffect(() => {
    const stop = new AbortController();
    async function read(): Promise<void> {
      const entries: DocumentEntry[] = [];
      const query = source ? `?source=${encodeURIComponent(source)}` : "";
      let state: Found["state"] = "all";
      for await (const entry of readLines<DocumentEntry>(`/v1/documents${query}`, stop.signal)) {
        if (text && !entry.id.toLowerCase().includes(text)) continue;
        if (entries.length === SHOWN) {
          state = "more";
          break;
        }
        entries.push(entry);
      }
      if (!stop.signal.aborted) setFound({ entries, state, problem: null });
    }
    const timer = window.setTimeout(() => {
      read().catch((error: unknown) => {
        if (!stop.signal.aborted) setFound({ entries: [], state: "all", problem: asProblem(error) });
      });
    }, 180);
    return () => {
      window.clearTimeout(timer);
      stop.abort();
    };
  }, [source, text]);
  return found;
}
