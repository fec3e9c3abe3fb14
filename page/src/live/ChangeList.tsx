import { Button } from "@mantine/core";
import { useState } from "react";
import type { Op } from "../api/types";
import { evidence } from "../evidence/evidence";
import { duration, keyText, plural, shown, tableName } from "../lib/format";
import { useStore } from "../lib/store";
import { Empty } from "../ui/Empty";
import { changes, type Passed } from "./changes";

const OPS: Record<Op, string> = { c: "create", u: "update", d: "delete", r: "snapshot", t: "truncate" };
const SHOWN = 40;
const SHOWN_COLUMNS = 4;

/** The changes as they are applied. It holds still while a person points at it, is in it, or asked it to. */
export function ChangeList({ catchingUp, behind }: { catchingUp: boolean; behind: number }) {
  const live = useStore(changes.state);
  const [held, setHeld] = useState(false);
  const [looking, setLooking] = useState(false);
  const [frozen, setFrozen] = useState(live);
  const still = held || looking;
  const view = still ? frozen : live;
  const missed = live.total - view.total;
  function freeze(): void {
    if (!still) setFrozen(live);
  }
  return (
    <section className="changes" aria-label="Live changes">
      <div className="changes-head">
        <h3>Changes</h3>
        <p className="changes-count">
          {plural(live.total, "change")} since you opened this page
          {live.skipped > 0 && `, ${plural(live.skipped, "more")} too fast to show`}
        </p>
        <Button
          size="compact-sm"
          variant="default"
          aria-pressed={held}
          onClick={() => {
            freeze();
            setHeld(!held);
          }}
        >
          {held ? "Let it run" : "Hold the list"}
        </Button>
      </div>
      <p className="changes-still">{still && missed > 0 ? `Held still; ${plural(missed, "change")} passed since.` : ""}</p>
      {view.recent.length === 0 ? (
        <Nothing lost={live.connection === "lost"} catchingUp={catchingUp} behind={behind} />
      ) : (
        <ol
          className="change-list"
          onMouseEnter={() => {
            freeze();
            setLooking(true);
          }}
          onMouseLeave={() => setLooking(false)}
          onFocus={() => {
            freeze();
            setLooking(true);
          }}
          onBlur={() => setLooking(false)}
        >
          {view.recent.slice(0, SHOWN).map((change) => (
            <ChangeRow key={change.id} change={change} />
          ))}
        </ol>
      )}
    </section>
  );
}

function Nothing({ lost, catchingUp, behind }: { lost: boolean; catchingUp: boolean; behind: number }) {
  if (lost) {
    return <Empty title="The stream of changes is interrupted">Reconnecting. Nothing is lost by it: only this view waits.</Empty>;
  }
  if (catchingUp) {
    return (
      <Empty title="Still reading what was there before">
        {behind > 0 && `${plural(behind, "change")} to go. `}New ones pass here once it has caught up; the status shows how far it is.
      </Empty>
    );
  }
  return <Empty title="No change yet">As soon as a source commits something, it passes here with its age.</Empty>;
}

function ChangeRow({ change }: { change: Passed }) {
  const columns = Object.entries(change.changed);
  return (
    <li className={`change change-${change.op}`}>
      <span className="change-op">{OPS[change.op] ?? change.op}</span>
      <span className="change-what">
        <span className="change-table">{tableName(change.topic)}</span>{" "}
        {change.key !== null && change.key !== "" && (
          <button type="button" className="link" onClick={() => evidence.set({ kind: "change", change })}>
            {keyText(change.key)}
          </button>
        )}
      </span>
      <span className="change-age" title={`Applied ${duration(change.age_ms)} after its commit`}>
        {duration(change.age_ms)}
      </span>
      {columns.length > 0 && change.op !== "d" && (
        <span className="change-columns">
          {columns.slice(0, SHOWN_COLUMNS).map(([name, [before, after]]) => (
            <span key={name} className="change-column">
              <span className="column-name">{name}</span>{" "}
              {before !== null && (
                <>
                  <del>{short(before)}</del>
                  <span aria-hidden="true"> → </span>
                </>
              )}
              <ins>{short(after)}</ins>
            </span>
          ))}
          {columns.length > SHOWN_COLUMNS && <span className="change-column">and {columns.length - SHOWN_COLUMNS} more</span>}
        </span>
      )}
    </li>
  );
}

function short(value: unknown): string {
  const text = shown(value).replace(/\s+/g, " ");
  return text.length > 42 ? `${text.slice(0, 41)}…` : text;
}
