import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import type { Persona } from "../api/types";
import { useStore } from "../lib/store";
import { conversation } from "./conversation";

const SOMEONE_ELSE = "@someone-else";

/** Who asks: one of the demo's people, or any identifier. */
export function PersonaField({ personas }: { personas: readonly Persona[] }) {
  const { user } = useStore(conversation.state);
  const known = personas.some((persona) => persona.user === user);
  const [typing, setTyping] = useState(false);
  const about = personas.find((persona) => persona.user === user)?.about;
  if (personas.length === 0 || typing || (user && !known)) {
    return (
      <Identifier
        key={user}
        user={user}
        onBack={
          personas.length === 0
            ? null
            : () => {
                conversation.as("");
                setTyping(false);
              }
        }
      />
    );
  }
  return (
    <div className="persona">
      <NativeSelect
        label="Ask as"
        size="sm"
        value={user}
        {...(about && { description: about })}
        inputWrapperOrder={["label", "input", "description"]}
        onChange={(event) => {
          if (event.currentTarget.value === SOMEONE_ELSE) setTyping(true);
          else conversation.as(event.currentTarget.value);
        }}
        data={[
          { value: "", label: "Nobody in particular" },
          ...personas.map((persona) => ({ value: persona.user, label: `${persona.name}, ${persona.membership}` })),
          { value: SOMEONE_ELSE, label: "Someone else…" },
        ]}
      />
    </div>
  );
}

function Identifier({ user, onBack }: { user: string; onBack: (() => void) | null }) {
  const [text, setText] = useState(user);
  return (
    <form
      className="persona persona-typed"
      onSubmit={(event) => {
        event.preventDefault();
        conversation.as(text.trim());
      }}
    >
      <TextInput
        label="Ask as (optional)"
        size="sm"
        placeholder="email:someone@example.com"
        value={text}
        spellCheck={false}
        autoCapitalize="off"
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={() => conversation.as(text.trim())}
      />
      {onBack && (
        <Button size="compact-sm" variant="subtle" onClick={onBack}>
          Back to the list
        </Button>
      )}
    </form>
  );
}
