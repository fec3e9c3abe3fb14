import { Button } from "@mantine/core";
import type { Problem } from "../api/types";

/** A failure in the words of the server: what was tried, what came, and what to do. */
export function ProblemNote({ problem, onRetry }: { problem: Problem; onRetry?: (() => void) | undefined }) {
  const rows = [
    ["Step", problem.step],
    ["Expected", problem.expected],
    ["Got", problem.got],
  ].filter((row): row is [string, string] => Boolean(row[1]));
  return (
    <div className="problem" role="alert">
      <p className="problem-title">{problem.title}</p>
      {problem.detail && rows.length === 0 && problem.detail !== problem.title && <p>{problem.detail}</p>}
      {rows.length > 0 && (
        <dl className="pairs">
          {rows.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      {problem.remedy && (
        <p className="problem-remedy">
          <strong>What to do:</strong> {problem.remedy}
        </p>
      )}
      {onRetry && (
        <Button size="compact-sm" variant="default" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
