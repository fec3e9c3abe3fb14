import type { Simulator, Status } from "../api/types";
import { ChangeList } from "./ChangeList";
import { RaceChart } from "./RaceChart";
import { SimulatorBar } from "./SimulatorBar";

const FEW = 50; // changes behind that are only those on their way

interface Props {
  simulator: Simulator | null;
  status: Status | null;
  /** Whoever looks is told of no status. */
  reader: boolean;
  onChanged: () => void;
}

export function LivePane({ simulator, status, reader, onChanged }: Props) {
  const behind = Math.max(0, ...(status?.operators.map((operator) => operator.lag.changes) ?? []));
  const starting = status?.sources.some((source) => source.state === "snapshot" || source.state === "starting") ?? !reader;
  return (
    <div className="pane live">
      <h2>Live changes</h2>
      <p className="lead">Every change that was applied, as the answers see it.</p>
      {simulator && <SimulatorBar simulator={simulator} onChanged={onChanged} />}
      <RaceChart />
      <ChangeList catchingUp={starting || behind > FEW} behind={behind} />
    </div>
  );
}
