import { Button } from "@mantine/core";
import { useEffect, useRef } from "react";
import { conversation } from "../ask/conversation";
import { duration } from "../lib/format";
import { useStore } from "../lib/store";
import { ProblemNote } from "../ui/ProblemNote";
import { lastSave, type Save } from "./saving";

/** What came of the last save, and the way to see it in an answer. */
export function SaveNote({ onAsk }: { onAsk: () => void }) {
  const save = useStore(lastSave);
  const { turns } = useStore(conversation.state);
  const note = useRef<HTMLDivElement>(null);
  const state = save?.state;
  useEffect(() => {
    if (state === "saved" || state === "failed") note.current?.scrollIntoView({ block: "nearest" });
  }, [state]);
  if (!save) return null;
  const question = turns.at(-1)?.question;
  return (
    <div className={`save save-${save.state}`} ref={note}>
      <div role="status">
        <p className="save-what">
          {save.state === "saving" && `Saving ${save.what}`}
          {save.state === "saved" && `Saved ${save.what}`}
          {save.state === "failed" && `Not saved: ${save.what}`}
        </p>
        <Timing save={save} />
      </div>
      {save.problem && <ProblemNote problem={save.problem} />}
      {save.state === "saved" && question && (
        <div className="save-again">
          <Button
            size="compact-md"
            disabled={conversation.busy()}
            onClick={() => {
              conversation.askAgain(save.token ?? undefined);
              onAsk();
            }}
          >
            Ask again
          </Button>
          <span className="save-question">“{question}”</span>
        </div>
      )}
      {save.state === "saved" && !question && <p className="note">Ask something about it, and the answer has it.</p>}
    </div>
  );
}

function Timing({ save }: { save: Save }) {
  if (save.state !== "saved") return null;
  return (
    <p className="save-timing">
      {save.committedMs !== null && <>Written in {duration(save.committedMs)}. </>}
      {save.appliedMs !== null && save.ageMs !== null && (
        <>
          Seen by answers <b>{duration(save.ageMs)}</b> after its commit, {duration(save.appliedMs)} after you pressed the
          button.
        </>
      )}
      {save.appliedMs === null && !save.late && <>Waiting for it to be applied…</>}
      {save.late && <>It has not come by in the live changes yet: look at the status.</>}
    </p>
  );
}
