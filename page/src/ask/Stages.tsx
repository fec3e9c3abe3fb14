import type { Stage } from "../api/types";
import { duration } from "../lib/format";

const NAMES: Record<Stage["stage"], string> = {
  wait: "wait for data",
  retrieve: "retrieve",
  assemble: "assemble",
  generate: "generate",
};

/** Where the time of one answer went. */
export function Stages({ stages, totalMs }: { stages: readonly Stage[]; totalMs: number | null }) {
  if (stages.length === 0) return null;
  const sum = Math.max(
    stages.reduce((total, stage) => total + stage.ms, 0),
    0.001,
  );
  return (
    <div className="stages">
      <div className="stages-bar" aria-hidden="true">
        {stages.map((stage, at) => (
          <span key={at} className={`stage stage-${stage.stage}`} style={{ flexGrow: Math.max(stage.ms / sum, 0.02) }} />
        ))}
      </div>
      <ul>
        {stages.map((stage, at) => (
          <li key={at}>
            <span className={`stage-dot stage-${stage.stage}`} aria-hidden="true" />
            {NAMES[stage.stage] ?? stage.stage} <b>{duration(stage.ms)}</b>
          </li>
        ))}
        {totalMs !== null && (
          <li>
            in all <b>{duration(totalMs)}</b>
          </li>
        )}
      </ul>
    </div>
  );
}
