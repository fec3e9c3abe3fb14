import { useEffect, useState } from "react";
import { getJson, ProblemError } from "./api/http";
import type { DemoState } from "./api/types";

const EVERY_MS = 3000;

export interface Demo {
  state: DemoState | null; // null where no demo runs
  known: boolean; // false until the first answer
  refresh: () => void;
}

/** The demo's state; where no demo runs it is asked for once only. */
export function useDemo(): Demo {
  const [known, setKnown] = useState(false);
  const [state, setState] = useState<DemoState | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    async function read(): Promise<void> {
      try {
        setState(await getJson<DemoState>("/demo/state", stop.signal));
        setKnown(true);
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error instanceof ProblemError && error.problem.status === 404) {
          setState(null);
          setKnown(true);
          return;
        }
      }
      if (!stop.signal.aborted) timer = window.setTimeout(() => void read(), EVERY_MS);
    }
    void read();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [round]);
  return { state, known, refresh: () => setRound((before) => before + 1) };
}
