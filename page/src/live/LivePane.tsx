import type { Simulator } from "../api/types";
import { ChangeList } from "./ChangeList";
import { RaceChart } from "./RaceChart";
import { SimulatorBar } from "./SimulatorBar";

export function LivePane({ simulator, onChanged }: { simulator: Simulator | null; onChanged: () => void }) {
  return (
    <div className="pane live">
      <h2>Live changes</h2>
      <p className="lead">Every change that was applied, as the answers see it.</p>
      {simulator && <SimulatorBar simulator={simulator} onChanged={onChanged} />}
      <RaceChart />
      <ChangeList />
    </div>
  );
}
