import type { ExampleQuestion, Persona } from "../api/types";
import { conversation } from "./conversation";

interface Props {
  questions: readonly ExampleQuestion[];
  personas: readonly Persona[];
  disabled: boolean;
}

/** Questions worth asking first, and why. */
export function Examples({ questions, personas, disabled }: Props) {
  return (
    <ul className="examples">
      {questions.map((example) => {
        const who = personas.find((persona) => persona.user === example.user)?.name;
        return (
          <li key={`${example.user ?? ""} ${example.text}`}>
            <button type="button" className="example" disabled={disabled} onClick={() => ask(example)}>
              <span className="example-text">{example.text}</span>
              <span className="example-why">
                {who && <b>As {who}. </b>}
                Depends on {example.why}.
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function ask(example: ExampleQuestion): void {
  if (example.user) conversation.as(example.user);
  conversation.ask(example.text);
}
