import { Button, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { asProblem, getJson } from "../api/http";
import type { DeskTable, Problem, Row } from "../api/types";
import { count, shown } from "../lib/format";
import { Empty, Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import { RowForm } from "./RowForm";

const PAGE = 12;

interface Rows {
  rows: Row[];
  total: number;
}

/** Find a row of a table and edit it. */
export function TableDesk({ table }: { table: DeskTable }) {
  const [query, setQuery] = useState("");
  const [offset, setOffset] = useState(0);
  const [round, setRound] = useState(0);
  const [picked, setPicked] = useState<Row | null>(null);
  const { rows, problem } = useRows(table.name, query, offset, round);
  if (picked) {
    return (
      <RowForm
        table={table}
        row={picked}
        onSaved={(row) => {
          setPicked(row);
          setRound(round + 1);
        }}
        onClose={() => setPicked(null)}
      />
    );
  }
  return (
    <section aria-label={`Rows of ${table.name}`}>
      <TextInput
        type="search"
        label="Find a row"
        placeholder={table.key.join(", ")}
        value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value);
          setOffset(0);
        }}
      />
      {problem && <ProblemNote problem={problem} onRetry={() => setRound(round + 1)} />}
      {!rows && !problem && <Loading what="rows" />}
      {rows && rows.rows.length === 0 && <Empty title="No such row">Try fewer letters.</Empty>}
      <ul className="rows">
        {rows?.rows.map((row) => (
          <li key={keyOf(table, row)}>
            <RowButton table={table} row={row} onPick={() => setPicked(row)} />
          </li>
        ))}
      </ul>
      {rows && rows.total > PAGE && (
        <nav className="pager" aria-label="Pages of rows">
          <Button size="compact-sm" variant="default" disabled={offset === 0} onClick={() => setOffset(offset - PAGE)}>
            Previous
          </Button>
          <span>
            {count(offset + 1)}–{count(Math.min(offset + PAGE, rows.total))} of {count(rows.total)}
          </span>
          <Button
            size="compact-sm"
            variant="default"
            disabled={offset + PAGE >= rows.total}
            onClick={() => setOffset(offset + PAGE)}
          >
            Next
          </Button>
        </nav>
      )}
    </section>
  );
}

function RowButton({ table, row, onPick }: { table: DeskTable; row: Row; onPick: () => void }) {
  const editable = table.columns.filter((column) => column.editable && !table.key.includes(column.name));
  return (
    <button type="button" className="row" onClick={onPick}>
      <span className="row-key">{keyOf(table, row)}</span>
      <span className="row-values">
        {editable.slice(0, 5).map(({ name }) => (
          <span key={name}>
            <span className="column-name">{name}</span> {shown(row[name])}
          </span>
        ))}
      </span>
      <span className="row-edit" aria-hidden="true">
        Edit
      </span>
    </button>
  );
}

function keyOf(table: DeskTable, row: Row): string {
  return table.key.map((column) => shown(row[column])).join(" · ");
}

function useRows(table: string, query: string, offset: number, round: number): { rows: Rows | null; problem: Problem | null } {
  const [state, setState] = useState<{ rows: Rows | null; problem: Problem | null }>({ rows: null, problem: null });
  useEffect(() => {
    const stop = new AbortController();
    const search = new URLSearchParams({ q: query.trim(), limit: String(PAGE), offset: String(offset) });
    const timer = window.setTimeout(() => {
      getJson<Rows>(`/demo/desk/rows/${encodeURIComponent(table)}?${search}`, stop.signal).then(
        (rows) => setState({ rows, problem: null }),
        (error: unknown) => {
          if (!stop.signal.aborted) setState({ rows: null, problem: asProblem(error) });
        },
      );
    }, 120);
    return () => {
      window.clearTimeout(timer);
      stop.abort();
    };
  }, [table, query, offset, round]);
  return state;
}
