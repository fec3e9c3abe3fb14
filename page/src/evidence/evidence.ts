import type { ChangeEvent, Citation, Fact } from "../api/types";
import { Store } from "../lib/store";

/** What the side panel shows: a document (cited, or just opened), a fact, or a change. */
export type Evidence =
  | { kind: "document"; id: string; citation?: Citation; label?: string; asOf?: string }
  | { kind: "change"; change: ChangeEvent }
  | { kind: "fact"; fact: Fact; label: string };

export const evidence = new Store<Evidence | null>(null);
