import { useEffect, useState } from "react";
import { asProblem, getJson } from "../api/http";
import type { Problem } from "../api/types";
import { Store, useStore } from "./store";

export interface Polled<T> {
  value: T | null;
  problem: Problem | null;
  refresh: () => void;
}

/** Reads a resource again and again while the page is looked at. The last good value stays while it fails. */
export function usePolled<T>(path: string, everyMs: number): Polled<T> {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    async function read(): Promise<void> {
      if (!document.hidden) {
        try {
          setValue(await getJson<T>(path, stop.signal));
          setProblem(null);
        } catch (error) {
          if (stop.signal.aborted) return;
          setProblem(asProblem(error));
        }
      }
      if (!stop.signal.aborted) timer = window.setTimeout(() => void read(), everyMs);
    }
    void read();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [path, everyMs, round]);
  return { value, problem, refresh: () => setRound((before) => before + 1) };
}

const clock = new Store(Date.now());
window.setInterval(() => clock.set(Date.now()), 1000);

/** The time now, renewed every second: one clock for all that shows an age. */
export function useNow(): number {
  return useStore(clock);
}
