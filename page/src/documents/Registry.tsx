import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { documentPath, sendJson } from "../api/http";
import type { DocumentEntry, DocumentPage } from "../api/types";
import { evidence } from "../evidence/evidence";
import { useAction, type Action } from "../lib/action";
import { bytes, count, dateTime, plural } from "../lib/format";
import type { Polled } from "../lib/poll";
import { LiveAge } from "../ui/Age";
import { Empty, Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import { STAGES, StageName, stageWords } from "./Stage";

export const FIRST = 50;
const MOST = 1000;

/** What the registry is asked for. */
export interface Wanted {
  source: string;
  stage: string;
  label: string;
  text: string;
  limit: number;
}

interface RegistryProps {
  sources: readonly string[];
  labels: readonly string[];
  wanted: Wanted;
  onWanted: (wanted: Wanted) => void;
  /** Whether whoever looks may try again and delete. */
  changing: boolean;
  page: Polled<DocumentPage>;
}

/** Every document with its stage; what failed can be tried again, what was uploaded deleted. */
export function Registry({ sources, labels, wanted, onWanted, changing, page: { value, problem, refresh } }: RegistryProps) {
  const filter = (some: Partial<Wanted>) => onWanted({ ...wanted, limit: FIRST, ...some });
  return (
    <section className="listing" aria-label="All documents">
      <div className="field-row">
        <NativeSelect
          label="Source"
          value={wanted.source}
          onChange={(event) => filter({ source: event.currentTarget.value })}
          data={[{ value: "", label: "All sources" }, ...sources]}
        />
        <NativeSelect
          label="Stage"
          value={wanted.stage}
          onChange={(event) => filter({ stage: event.currentTarget.value })}
          data={[{ value: "", label: "All stages" }, ...STAGES.map((stage) => ({ value: stage, label: stageWords(stage) }))]}
        />
        {labels.length > 0 && (
          <NativeSelect
            label="Label"
            value={wanted.label}
            onChange={(event) => filter({ label: event.currentTarget.value })}
            data={[{ value: "", label: "All labels" }, ...labels]}
          />
        )}
        <TextInput
          className="grow"
          label="Id or title contains"
          value={wanted.text}
          onChange={(event) => filter({ text: event.currentTarget.value })}
        />
      </div>
      {problem && <ProblemNote problem={problem} />}
      {!value && !problem && <Loading what="documents" />}
      {value?.documents.length === 0 && (
        <Empty title="No document">Nothing here matches, or the sources are still being read.</Empty>
      )}
      {value && value.documents.length > 0 && <Table entries={value.documents} changing={changing} onChanged={refresh} />}
      {value?.next && wanted.limit < MOST && (
        <div className="pager">
          <span>The first {count(value.documents.length)}.</span>
          <Button size="compact-sm" variant="default" onClick={() => onWanted({ ...wanted, limit: wanted.limit * 2 })}>
            Show more
          </Button>
        </div>
      )}
      {value?.next && wanted.limit >= MOST && <p className="note">Narrow it by source, stage or id to see others.</p>}
    </section>
  );
}

// The roles are said because a phone shows rows as blocks, which would take them away.
function Table({ entries, changing, onChanged }: { entries: readonly DocumentEntry[]; changing: boolean; onChanged: () => void }) {
  return (
    <table className="registry" role="table" aria-label="Documents">
      <thead role="rowgroup">
        <tr role="row">
          {["Document", "Stage", "Size", "Changed"].map((name) => (
            <th key={name} role="columnheader" scope="col">
              {name}
            </th>
          ))}
          {changing && (
            <th role="columnheader" scope="col">
              <span className="unseen">Actions</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {entries.map((entry) => (
          <Row key={entry.id} entry={entry} changing={changing} onChanged={onChanged} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ entry, changing, onChanged }: { entry: DocumentEntry; changing: boolean; onChanged: () => void }) {
  const action = useAction(onChanged);
  return (
    <tr role="row">
      <td role="cell" className="registry-what">
        <button type="button" className="link" onClick={() => evidence.set({ kind: "document", id: entry.id })}>
          {entry.id}
        </button>
        {entry.title && entry.title !== entry.name && <span className="source-detail">{entry.title}</span>}
        {entry.labels && entry.labels.length > 0 && <span className="source-detail">{entry.labels.join(", ")}</span>}
        {entry.summary && <span className="source-detail">{entry.summary}</span>}
        {entry.error && (
          <p className="card-error">
            Expected {entry.error.expected}, got {entry.error.got}. {entry.error.remedy}
          </p>
        )}
        {action.problem && <ProblemNote problem={action.problem} />}
      </td>
      <td role="cell">
        <StageName entry={entry} />
      </td>
      <td role="cell" className="registry-size">
        {entry.size === null ? "" : bytes(entry.size)}
        <span className="source-detail">{plural(entry.chunks, "chunk")}</span>
      </td>
      <td role="cell" title={dateTime(entry.changed_at)}>
        <LiveAge since={entry.changed_at} />
      </td>
      {changing && (
        <td role="cell">
          <span className="row-buttons">
            {entry.dead_letter !== null && <Retry entry={entry} action={action} />}
            {entry.uploaded && <Delete entry={entry} action={action} />}
          </span>
        </td>
      )}
    </tr>
  );
}

function Retry({ entry, action }: { entry: DocumentEntry; action: Action }) {
  const retry = () => action.run(() => sendJson("POST", `/v1/deadletters/${entry.dead_letter}/retry`, {}));
  return (
    <Button size="compact-xs" variant="default" loading={action.busy} onClick={() => void retry()} aria-label={`Retry ${entry.id}`}>
      Retry
    </Button>
  );
}

/** Asks first: what is deleted is gone, its original too. */
function Delete({ entry, action }: { entry: DocumentEntry; action: Action }) {
  const [asking, setAsking] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const confirm = useRef<HTMLButtonElement>(null);
  const wasAsking = useRef(false);
  useEffect(() => {
    if (asking) confirm.current?.focus();
    else if (wasAsking.current) opener.current?.focus();
    wasAsking.current = asking;
  }, [asking]);
  // Only what was looked at: a version that came since is not deleted unseen.
  async function remove(): Promise<void> {
    await action.run(() => sendJson("DELETE", documentPath(entry.id), undefined, { "if-match": `"${entry.content_hash}"` }));
    setAsking(false);
  }
  if (!asking) {
    return (
      <Button ref={opener} size="compact-xs" variant="default" onClick={() => setAsking(true)} aria-label={`Delete ${entry.id}`}>
        Delete
      </Button>
    );
  }
  return (
    <span
      role="group"
      aria-label={`Delete ${entry.id} for good`}
      className="row-buttons registry-asked"
      onKeyDown={(event) => event.key === "Escape" && setAsking(false)}
    >
      <span>Delete it and its original?</span>
      <Button ref={confirm} size="compact-xs" loading={action.busy} onClick={() => void remove()}>
        Delete for good
      </Button>
      <Button size="compact-xs" variant="default" onClick={() => setAsking(false)}>
        Keep
      </Button>
    </span>
  );
}
