import { Button, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { asProblem, sendJson } from "../api/http";
import type { Problem, SearchAnswer, SearchResult } from "../api/types";
import { evidence } from "../evidence/evidence";
import { duration, placeText, plural } from "../lib/format";
import { ageText } from "../ui/Age";
import { ProblemNote } from "../ui/ProblemNote";

/** The passages that an answer would be made from. */
export function Search() {
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

