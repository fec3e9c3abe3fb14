import { Button, VisuallyHidden } from "@mantine/core";
import { useEffect, useRef } from "react";
import type { Persona } from "../api/types";
import type { Demo } from "../demo";
import { useStore } from "../lib/store";
import { Composer } from "./Composer";
import { conversation, type Turn } from "./conversation";
import { Examples } from "./Examples";
import { PersonaField } from "./Persona";
import { TurnView } from "./TurnView";

/** The conversation: questions, streamed answers, and what they stand on. */
export function AskPane({ demo: { state: demo, known } }: { demo: Demo }) {
  const { turns, connection, user } = useStore(conversation.state);
  const scroll = useRef<HTMLDivElement>(null);
  const last = turns.at(-1);
  const personas = demo?.personas ?? [];
  // A new question goes to the top, and its answer grows below it without moving what is being read.
  useEffect(() => {
    const turn = scroll.current?.querySelector<HTMLElement>(".turn:last-of-type");
    if (turn) scroll.current?.scrollTo({ top: turn.offsetTop + 2 });
  }, [last?.id]);
  return (
    <section className="ask" aria-label="Ask">
      <div className="ask-bar">
        {known && <PersonaField personas={personas} />}
        {turns.length > 0 && (
          <Button size="compact-sm" variant="subtle" onClick={() => conversation.fresh()}>
            New<span className="wide-only"> conversation</span>
          </Button>
        )}
      </div>
      <div className="ask-scroll" ref={scroll} tabIndex={0} role="region" aria-label="Conversation">
        {turns.length === 0 ? (
          known && <Welcome demo={demo} />
        ) : (
          <>
            <VisuallyHidden component="h2">Conversation</VisuallyHidden>
            {turns.map((turn) => (
              <TurnView key={turn.id} turn={turn} isLast={turn === last} asName={nameOf(turn.user, personas)} />
            ))}
          </>
        )}
      </div>
      <div className="ask-foot">
        {connection === "lost" && (
          <p className="connection" role="status">
            The connection is lost. Reconnecting; a running answer goes on where it stopped.
          </p>
        )}
        {turns.length > 0 && demo && demo.questions.length > 0 && (
          <details className="more-examples">
            <summary>Example questions</summary>
            <Examples questions={demo.questions} personas={personas} disabled={conversation.busy()} />
          </details>
        )}
        <Composer followUp={turns.length > 0 && user === last?.user} />
      </div>
      <VisuallyHidden role="status">{spoken(last)}</VisuallyHidden>
    </section>
  );
}

function Welcome({ demo }: { demo: Demo["state"] }) {
  if (!demo) {
    return (
      <div className="welcome">
        <h2>Ask what is true now.</h2>
        <p>
          Answers come from the sources as they stand at this moment, with every sentence cited and its age beside it.
          Name who asks above, and answers can use that person's profile.
        </p>
      </div>
    );
  }
  return (
    <div className="welcome">
      <h2>Ask an airline what is true now.</h2>
      <p>
        Seats sell, prices move and policies are edited while you read. Every answer is from rows and documents as they
        stood milliseconds before, and says so.
      </p>
      <Examples questions={demo.questions} personas={demo.personas} disabled={false} />
    </div>
  );
}

function nameOf(user: string, personas: readonly Persona[]): string | null {
  return personas.find((persona) => persona.user === user)?.name ?? (user || null);
}

/** What a screen reader is told: not every word as it streams, but the state, and the answer once whole. */
function spoken(turn: Turn | undefined): string {
  if (!turn) return "";
  if (turn.state === "waiting" || turn.state === "streaming") return "Answering";
  if (turn.state === "cancelled") return "Stopped";
  if (turn.state === "failed") return "";
  return `${turn.finish?.abstained ? "Not in the sources. " : "Answer: "}${turn.text}`;
}
