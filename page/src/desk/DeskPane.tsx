import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import type { Desk } from "../api/types";
import { tableName } from "../lib/format";
import { usePolled } from "../lib/poll";
import { Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import { PolicyDesk } from "./PolicyDesk";
import { SaveNote } from "./SaveNote";
import { TableDesk } from "./TableDesk";

const POLICIES = "@policies";
const RELOAD_MS = 60_000;

/** The airline's own desk: change a row or a policy by hand, and ask again. */
export function DeskPane({ onAsk }: { onAsk: () => void }) {
  const { value: desk, problem, refresh } = usePolled<Desk>("/demo/desk", RELOAD_MS);
  const [picked, setPicked] = useState<string | null>(null);
  return (
    <div className="pane desk">
      <h2>Airline desk</h2>
      <p className="lead">You work at the airline. What you save here goes to its own database or policy folder.</p>
      {problem && <ProblemNote problem={problem} onRetry={refresh} />}
      {!desk && !problem && <Loading what="the desk" />}
      {desk && <Picker desk={desk} picked={pickedOf(desk, picked)} onPick={setPicked} />}
      <SaveNote onAsk={onAsk} />
      {desk && <Chosen desk={desk} picked={pickedOf(desk, picked)} />}
    </div>
  );
}

function pickedOf(desk: Desk, picked: string | null): string {
  return picked ?? desk.tables[0]?.name ?? POLICIES;
}

function Picker({ desk, picked, onPick }: { desk: Desk; picked: string; onPick: (name: string) => void }) {
  const data = desk.tables.map((table) => ({ value: table.name, label: tableName(table.name).replaceAll("_", " ") }));
  if (desk.policies.length > 0) data.push({ value: POLICIES, label: "policies" });
  return <SegmentedControl className="desk-picker" aria-label="What to change" data={data} value={picked} onChange={onPick} />;
}

function Chosen({ desk, picked }: { desk: Desk; picked: string }) {
  const table = desk.tables.find((one) => one.name === picked);
  return table ? <TableDesk key={table.name} table={table} /> : <PolicyDesk policies={desk.policies} />;
}
