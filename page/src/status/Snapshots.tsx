import { Button, Progress } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { sendJson } from "../api/http";
import type { SnapshotJob } from "../api/types";
import { useAction } from "../lib/action";
import { clockTime, count, duration, plural, rate } from "../lib/format";
import { ProblemNote } from "../ui/ProblemNote";

interface Measured {
  done: number;
  total: number | null;
  rate: number | null;
  eta_s: number | null;
}

/** How far a copy is: a bar where the whole is known, and the figures in words. */
export function Measure({ of, name }: { of: Measured; name: string }) {
  const { done, total, rate: pace, eta_s: left } = of;
  const share = total === null ? null : Math.min(100, (100 * done) / Math.max(total, 1));
  return (
    <div className="snapshot">
      {share !== null && <Progress value={share} aria-label={`Snapshot of ${name}`} size="sm" />}
      <p>
        {total === null ? plural(done, "row") : `${count(done)} of ${plural(total, "row")}`}
        {pace ? `, ${rate(pace)}` : ""}
        {left !== null && left > 0 && `, about ${duration(left * 1000)} to go`}
      </p>
    </div>
  );
}

const STATES: Record<SnapshotJob["state"], string> = {
  waiting: "waits for its turn",
  copying: "is being read",
  comparing: "is being compared with the log",
  done: "was read",
  cancelled: "was cancelled",
  failed: "could not be read",
};
const ENDED_SHOWN = 3;

/** Tables that are read beside the stream: those that run or wait, then how the last ones ended. */
export function Snapshots({ jobs, onChanged }: { jobs: readonly SnapshotJob[]; onChanged: () => void }) {
  const running = jobs.filter((job) => !job.ended_at);
  const ended = jobs
    .filter((job) => job.ended_at)
    .sort((a, b) => Date.parse(b.ended_at ?? "") - Date.parse(a.ended_at ?? ""))
    .slice(0, ENDED_SHOWN);
  if (running.length + ended.length === 0) return null;
  return (
    <ul className="jobs" aria-label="Snapshots">
      {[...running, ...ended].map((job) => (
        <Job key={job.id} job={job} onChanged={onChanged} />
      ))}
    </ul>
  );
}

function Job({ job, onChanged }: { job: SnapshotJob; onChanged: () => void }) {
  const { busy, problem, run } = useAction(onChanged);
  const cancel = () => run(() => sendJson("DELETE", `/v1/snapshots/${encodeURIComponent(job.id)}`));
  const compared = job.state === "comparing";
  return (
    <li>
      <div className="job-head">
        <p>
          <strong className="breakable">{job.table}</strong>{" "}
          <span className={job.state === "failed" ? "tone-bad" : undefined}>{STATES[job.state] ?? job.state}</span>
          {job.ended_at && <Ended job={job} at={job.ended_at} />}
        </p>
        {!job.ended_at && job.reason === "asked" && (
          <Button
            size="compact-xs"
            variant="default"
            loading={busy}
            onClick={cancel}
            aria-label={`Cancel the snapshot of ${job.table}`}
          >
            Cancel
          </Button>
        )}
      </div>
      {job.problem && <p className="card-error">{job.problem}</p>}
      {job.note && <p className="source-detail">{job.note}</p>}
      {!job.ended_at && job.state !== "waiting" && (
        <Measure of={compared ? { ...job, rate: null, eta_s: null } : job} name={job.table} />
      )}
      {problem && <ProblemNote problem={problem} />}
    </li>
  );
}

function Ended({ job, at }: { job: SnapshotJob; at: string }) {
  const gone = job.deleted > 0 ? `, ${plural(job.deleted, "row")} removed that the source no longer has` : "";
  return (
    <>
      {" "}
      at <time dateTime={at}>{clockTime(at).slice(0, 8)}</time>: {plural(job.done, "row")}
      {gone}
    </>
  );
}

/** In a word, beside the topic of a table that is being read. */
export function Running({ job }: { job: SnapshotJob | undefined }) {
  if (!job) return null;
  const share = job.total ? `, ${Math.floor(Math.min(100, (100 * job.done) / job.total))} %` : "";
  return (
    <span className="state state-snapshot">
      {STATES[job.state] ?? job.state}
      {job.state === "copying" && share}
    </span>
  );
}

/** Asks first: reading a table again takes the source's time and goes through all operators. */
export function ReadAgain({ topic, changes, onChanged }: { topic: string; changes: number; onChanged: () => void }) {
  const [asking, setAsking] = useState(false);
  const { busy, problem, run } = useAction(onChanged);
  const opener = useRef<HTMLButtonElement>(null);
  const confirm = useRef<HTMLButtonElement>(null);
  const wasAsking = useRef(false);
  useEffect(() => {
    if (asking) confirm.current?.focus();
    else if (wasAsking.current) opener.current?.focus();
    wasAsking.current = asking;
  }, [asking]);
  async function start(): Promise<void> {
    await run(() => sendJson("POST", "/v1/snapshots", { tables: topic }));
    setAsking(false);
  }
  return (
    <div className="again" onKeyDown={(event) => event.key === "Escape" && setAsking(false)}>
      {asking ? (
        <div role="group" aria-label={`Read ${topic} again`} className="again-asked">
          <p>
            Reads every row of the table beside the stream and removes rows that are gone. The log has{" "}
            {plural(changes, "change")} of it.
          </p>
          <Button ref={confirm} size="compact-sm" loading={busy} onClick={() => void start()}>
            Read it again
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => setAsking(false)}>
            Leave it
          </Button>
        </div>
      ) : (
        <Button
          ref={opener}
          size="compact-xs"
          variant="default"
          onClick={() => setAsking(true)}
          aria-label={`Read again: ${topic}`}
        >
          Read again
        </Button>
      )}
      {problem && <ProblemNote problem={problem} />}
    </div>
  );
}
