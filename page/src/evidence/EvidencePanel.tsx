import { Drawer } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { keyText, shown, tableName } from "../lib/format";
import { useStore } from "../lib/store";
import { ageText, LiveAge } from "../ui/Age";
import { ChangeView } from "./ChangeView";
import { DocumentView } from "./DocumentView";
import { evidence, type Evidence } from "./evidence";

/** The side panel: what a sentence stands on, at the place it came from. */
export function EvidencePanel() {
  const shownNow = useStore(evidence);
  const narrow = useMediaQuery("(max-width: 40em)");
  return (
    <Drawer.Root
      opened={shownNow !== null}
      onClose={() => evidence.set(null)}
      position="right"
      size={narrow ? "100%" : "34rem"}
      transitionProps={{ duration: 120 }}
      className="evidence"
    >
      <Drawer.Overlay backgroundOpacity={0.35} />
      <Drawer.Content>
        <div className="evidence-head">
          <Drawer.Title>{shownNow ? titleOf(shownNow) : ""}</Drawer.Title>
          <Drawer.CloseButton aria-label="Close the source" />
        </div>
        <Drawer.Body>
          {shownNow?.kind === "document" && <DocumentView key={keyOf(shownNow)} shown={shownNow} />}
          {shownNow?.kind === "change" && <ChangeView change={shownNow.change} />}
          {shownNow?.kind === "fact" && <FactView shown={shownNow} />}
        </Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}

function keyOf(item: Extract<Evidence, { kind: "document" }>): string {
  return `${item.id} ${item.label ?? ""} ${item.asOf ?? ""}`;
}

function titleOf(item: Evidence): string {
  if (item.kind === "change") return `${tableName(item.change.topic)} ${keyText(item.change.key)}`;
  const prefix = item.label ? `${item.label} · ` : "";
  return item.kind === "document"
    ? `${prefix}${item.citation?.title ?? item.id}`
    : `${prefix}${tableName(item.fact.table)} ${keyText(item.fact.key)}`;
}

function FactView({ shown: { fact } }: { shown: Extract<Evidence, { kind: "fact" }> }) {
  return (
    <div className="document">
      <p className="document-where">
        {fact.table} · position {fact.stamp.position} of {fact.stamp.source}
      </p>
      <p className="document-age">
        At the answer: {ageText(fact.age_ms)}. Committed <LiveAge since={fact.stamp.committed_at} />.
      </p>
      {fact.text && <p className="fact-text">{fact.text}</p>}
      <dl className="pairs fact-fields">
        {Object.entries(fact.fields).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{shown(value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
