import { useState } from "react";
import { asProblem } from "../api/http";
import type { Problem } from "../api/types";

export interface Action {
  busy: boolean;
  problem: Problem | null;
  run: (act: () => Promise<unknown>) => Promise<void>;
}

/** One request at a time; what went wrong stays until the next. */
export function useAction(onDone: () => void): Action {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function run(act: () => Promise<unknown>): Promise<void> {
    setBusy(true);
    try {
      await act();
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
      onDone();
    }
  }
  return { busy, problem, run };
}
