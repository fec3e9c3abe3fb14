import { VisuallyHidden } from "@mantine/core";
import type { Citation, Fact } from "../api/types";
import { evidence } from "../evidence/evidence";
import { duration, keyText, placeText, tableName } from "../lib/format";
import { ageText, isFresh } from "../ui/Age";
import type { Turn } from "./conversation";

/** The chip in the text for `1` or `F1`; a marker without evidence stays plain text. */
export function Marker({ turn, label }: { turn: Turn; label: string }) {
  const at = Number(label.replace("F", "")) - 1;
  const source = label.startsWith("F") ? turn.facts[at] : turn.citations[at];
  if (!source) return <span className="marker-pending">[{label}]</span>;
  const name = "document" in source ? source.document : `${tableName(source.table)} ${keyText(source.key)}`;
  return (
    <button
      type="button"
      className={isFresh(source.age_ms) ? "chip chip-fresh" : "chip"}
      onClick={() => open(turn, source, label)}
    >
      <VisuallyHidden>Source </VisuallyHidden>
      <span className="chip-label">{label}</span>
      {source.age_ms !== null && <span className="chip-age">{duration(source.age_ms)}</span>}
      <VisuallyHidden>
        {source.age_ms !== null && " old when answered"}: {name}
      </VisuallyHidden>
    </button>
  );
}

/** Everything the answer stands on, below it. */
export function Evidences({ turn }: { turn: Turn }) {
  if (turn.citations.length + turn.facts.length === 0) return null;
  return (
    <div className="evidences" role="group" aria-label="Sources of this answer">
      <ul>
        {turn.citations.map((citation, at) => (
          <Source
            key={at}
            label={String(at + 1)}
            name={citation.title ?? citation.document}
            detail={[citation.title ? citation.document : "", placeText(citation.place)].filter(Boolean).join(" · ") || null}
            text={citation.quote}
            age={citation.age_ms}
            onOpen={() => open(turn, citation, String(at + 1))}
          />
        ))}
        {turn.facts.map((fact, at) => (
          <Source
            key={at}
            label={`F${at + 1}`}
            name={`${tableName(fact.table)} ${keyText(fact.key)}`}
            detail={fact.table}
            text={fact.text ?? ""}
            age={fact.age_ms}
            onOpen={() => open(turn, fact, `F${at + 1}`)}
          />
        ))}
      </ul>
    </div>
  );
}

interface SourceProps {
  label: string;
  name: string;
  detail: string | null;
  text: string;
  age: number | null;
  onOpen: () => void;
}

function Source({ label, name, detail, text, age, onOpen }: SourceProps) {
  return (
    <li>
      <button type="button" className="source" onClick={onOpen}>
        <span className="source-label">{label}</span>
        <span className="source-body">
          <span className="source-name">{name}</span>
          {detail && <span className="source-detail">{detail}</span>}
          {text && <span className="source-quote">{text}</span>}
        </span>
        <span className={isFresh(age) ? "source-age is-fresh" : "source-age"}>{ageText(age)}</span>
      </button>
    </li>
  );
}

function open(turn: Turn, source: Citation | Fact, label: string): void {
  if (!("document" in source)) {
    evidence.set({ kind: "fact", fact: source, label });
    return;
  }
  const asOf = turn.finish?.token;
  evidence.set({ kind: "document", id: source.document, citation: source, label, ...(asOf && { asOf }) });
}
