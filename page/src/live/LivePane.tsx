import type { Simulator, Status } from "../api/types";
import { ChangeList } from "./ChangeList";
import { RaceChart } from "./RaceChart";
import { SimulatorBar } from "./SimulatorBar";

interface Props {
  simulator: Simulator | null;
  status: Status | null;
  onChanged: () => void;
}

export function LivePane({ simulator, status, onChanged }: Props) {
  const behind = Math.max(0, ...(status?.operators.map((operator) => operator.lag.changes) ?? []));
  return (
    <div className="pane live">
      <h2>Live changes</h2>
      <p className="lead">Every change that was applied, as the answers see it.</p>
      {simulator && <SimulatorBar simulator={simulator} onChanged={onChanged} />}
      <RaceChart />
      <ChangeList behind={behind} />
    </div>
  );
}
