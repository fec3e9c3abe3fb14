import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { sendJson } from "../api/http";
import type { DeskColumn, DeskTable, Row, Value } from "../api/types";
import { shown } from "../lib/format";
import { isRowChange, save } from "./saving";

interface Props {
  table: DeskTable;
  row: Row;
  onSaved: (row: Row) => void;
  onClose: () => void;
}

/** One row: what may be edited as fields, the rest as it is. */
export function RowForm({ table, row, onSaved, onClose }: Props) {
  const editable = table.columns.filter((column) => column.editable && !table.key.includes(column.name));
  const fixed = table.columns.filter((column) => !editable.includes(column));
  const [texts, setTexts] = useState<Record<string, string>>(() => textsOf(editable, row));
  const [busy, setBusy] = useState(false);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  const set = changedOf(editable, row, texts);
  const name = `${table.name} ${table.key.map((column) => shown(row[column])).join(", ")}`;
  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    const key: Row = Object.fromEntries(table.key.map((column) => [column, row[column] ?? null]));
    const path = `/demo/desk/rows/${encodeURIComponent(table.name)}`;
    setBusy(true);
    const saved = await save(name, () => sendJson("PATCH", path, { key, set }), isRowChange(table.name, key));
    setBusy(false);
    if (saved) onSaved({ ...row, ...set });
  }
  return (
    <form className="row-form" onSubmit={(event) => void submit(event)} aria-labelledby="row-title">
      <header>
        <h3 id="row-title" ref={title} tabIndex={-1}>
          {table.key.map((column) => shown(row[column])).join(" · ")}
        </h3>
        <Button size="compact-sm" variant="subtle" onClick={onClose}>
          Back to the rows
        </Button>
      </header>
      <div className="row-fields">
        {editable.map((column) => (
          <Field
            key={column.name}
            column={column}
            text={texts[column.name] ?? ""}
            changed={column.name in set}
            onChange={(text) => setTexts({ ...texts, [column.name]: text })}
          />
        ))}
      </div>
      <div className="row-actions">
        <Button type="submit" loading={busy} disabled={Object.keys(set).length === 0}>
          Save
        </Button>
        <Button
          variant="default"
          disabled={Object.keys(set).length === 0}
          onClick={() => setTexts(textsOf(editable, row))}
        >
          Undo
        </Button>
      </div>
      {fixed.length > 0 && (
        <dl className="pairs row-fixed">
          {fixed.map((column) => (
            <div key={column.name}>
              <dt>{column.name}</dt>
              <dd>{shown(row[column.name])}</dd>
            </div>
          ))}
        </dl>
      )}
    </form>
  );
}

interface FieldProps {
  column: DeskColumn;
  text: string;
  changed: boolean;
  onChange: (text: string) => void;
}

function Field({ column, text, changed, onChange }: FieldProps) {
  const common = { label: column.name, description: column.type, value: text, ...(changed && { "data-changed": true }) };
  if (choicesOf(column)) {
    const choices = choicesOf(column)?.map((choice) => (choice === null ? "" : String(choice))) ?? [];
    const data = choices.includes(text) ? choices : [text, ...choices];
    return (
      <NativeSelect
        {...common}
        data={data.map((value) => ({ value, label: value || "none" }))}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
    );
  }
  return (
    <TextInput
      {...common}
      {...(isNumeric(column) && { inputMode: "decimal" as const, pattern: "-?[0-9]*[.]?[0-9]*" })}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}

function choicesOf(column: DeskColumn): readonly Value[] | null {
  if (column.choices && column.choices.length > 0) return column.choices;
  return /^bool/.test(column.type) ? [true, false] : null;
}

function isNumeric(column: DeskColumn): boolean {
  return /^(int|smallint|bigint|integer|numeric|decimal|real|double|float|money)/.test(column.type);
}

function textsOf(columns: readonly DeskColumn[], row: Row): Record<string, string> {
  return Object.fromEntries(columns.map(({ name }) => [name, textOf(row[name])]));
}

function textOf(value: unknown): string {
  return value === null || value === undefined ? "" : shown(value);
}

/** The edited columns as values of the kind the row has. */
function changedOf(columns: readonly DeskColumn[], row: Row, texts: Record<string, string>): Row {
  const changed = columns.filter(({ name }) => texts[name] !== textOf(row[name]));
  return Object.fromEntries(changed.map((column) => [column.name, parsed(column, row[column.name] ?? null, texts[column.name] ?? "")]));
}

function parsed(column: DeskColumn, before: Value, text: string): Value {
  if (text === "" && (before === null || !/text|char/.test(column.type))) return null;
  if (/^bool/.test(column.type)) return text === "true";
  if (typeof before === "number" || (before === null && isNumeric(column))) return Number.isNaN(Number(text)) ? text : Number(text);
  return text;
}
