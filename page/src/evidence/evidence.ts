import type { Citation, Fact } from "../api/types";
import { Store } from "../lib/store";

/** What the side panel shows: a document (cited, or just opened) or a fact. */
export type Evidence =
  | { kind: "document"; id: string; citation?: Citation; label?: string; asOf?: string }
  | { kind: "fact"; fact: Fact; label: string };

export const evidence = new Store<Evidence | null>(null);
