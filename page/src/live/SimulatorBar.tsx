import { Button, Slider } from "@mantine/core";
import { useState } from "react";
import { asProblem, sendJson } from "../api/http";
import type { Problem, Simulator } from "../api/types";
import { ProblemNote } from "../ui/ProblemNote";

const SPEEDS = [0.25, 0.5, 1, 2, 5, 10, 20, 50];

/** Pause, resume and pace of the process that plays the airline. */
export function SimulatorBar({ simulator, onChanged }: { simulator: Simulator; onChanged: () => void }) {
  const [moved, setMoved] = useState<number | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sending, setSending] = useState(false);
  async function send(change: { running?: boolean; speed?: number }): Promise<void> {
    setSending(true);
    try {
      await sendJson<Simulator>("POST", "/demo/simulator", change);
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setSending(false);
      setMoved(null);
      onChanged();
    }
  }
  return (
    <div className="simulator">
      <div className="simulator-row">
        <Button
          size="compact-md"
          variant={simulator.running ? "default" : "filled"}
          loading={sending}
          onClick={() => void send({ running: !simulator.running })}
        >
          {simulator.running ? "Pause the airline" : "Resume the airline"}
        </Button>
        <div className="simulator-speed">
          <span id="speed-label">Pace</span>
          <Slider
            min={0}
            max={SPEEDS.length - 1}
            step={1}
            value={moved ?? nearest(simulator.speed)}
            label={(at) => speedText(at)}
            thumbProps={{ "aria-labelledby": "speed-label" }}
            thumbValueText={(at) => speedText(at)}
            onChange={setMoved}
            onChangeEnd={(at) => void send({ speed: SPEEDS[at] ?? 1 })}
          />
          <span className="simulator-value">{moved === null ? `${simulator.speed}×` : speedText(moved)}</span>
        </div>
      </div>
      {problem && <ProblemNote problem={problem} />}
    </div>
  );
}

function speedText(at: number): string {
  return `${SPEEDS[at] ?? 1}×`;
}

function nearest(speed: number): number {
  const distances = SPEEDS.map((one) => Math.abs(Math.log(one / Math.max(speed, 0.01))));
  return distances.indexOf(Math.min(...distances));
}
