import type { DocumentEntry, DocumentStage } from "../api/types";

const WORDS: Record<DocumentStage, string> = {
  received: "waits to be read",
  chunked: "is being embedded",
  embedded: "is being stored",
  ready: "ready",
  failed: "could not be read",
};
const TONES: Record<DocumentStage, string> = {
  received: "state-starting",
  chunked: "state-snapshot",
  embedded: "state-snapshot",
  ready: "state-streaming",
  failed: "state-down",
};

export const STAGES = Object.keys(WORDS) as DocumentStage[];

export function stageWords(stage: DocumentStage): string {
  return WORDS[stage] ?? stage;
}

/** How far a document is, in words; a new version on its way does not hide the one that is found. */
export function StageName({ entry }: { entry: DocumentEntry }) {
  const coming = entry.stage !== "ready" && entry.stage !== "failed";
  return (
    <span className={`state ${TONES[entry.stage] ?? ""}`}>
      {coming && entry.searchable && "new version "}
      {stageWords(entry.stage)}
    </span>
  );
}
