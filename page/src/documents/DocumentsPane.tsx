import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import type { DocumentPage, Status } from "../api/types";
import { usePolled } from "../lib/poll";
import { FIRST, Registry, type Wanted } from "./Registry";
import { Search } from "./Search";
import { Uploads } from "./Uploads";

const EVERY_MS = 2000;
const ALL: Wanted = { source: "", stage: "", label: "", text: "", limit: FIRST };

/** The knowledge base: put documents in, search it as an answer does, and see how far each document is. A `reader`, who
 * is no operator, changes nothing here. */
export function DocumentsPane({ status, reader }: { status: Status | null; reader: boolean }) {
  const [wanted, setWanted] = useState(ALL);
  const [asked] = useDebouncedValue(wanted, 180);
  const page = usePolled<DocumentPage>(`/v1/documents?${query(asked)}`, EVERY_MS);
  return (
    <div className="pane">
      <h2>Documents</h2>
      <p className="lead">What answers are found in: files, uploads, and rows that are documents too.</p>
      {status && <Uploads sources={status.sources.filter((source) => source.uploads)} onSent={page.refresh} />}
      <Search />
      <Registry
        sources={status?.sources.map((source) => source.name) ?? []}
        labels={status?.telling?.labels ?? []}
        wanted={wanted}
        onWanted={setWanted}
        changing={!reader}
        page={page}
      />
    </div>
  );
}

function query({ source, stage, label, text, limit }: Wanted): URLSearchParams {
  const given = { limit: String(limit), source, stage, label, q: text.trim() };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value));
}
