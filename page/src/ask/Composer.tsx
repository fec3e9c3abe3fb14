import { Button, Textarea } from "@mantine/core";
import { useStore } from "../lib/store";
import { conversation } from "./conversation";

/** The field for the next question; Enter asks, Shift+Enter breaks the line, Escape stops the answer. */
export function Composer({ followUp }: { followUp: boolean }) {
  const draft = useStore(conversation.draft);
  useStore(conversation.state); // busy() is read from it
  const busy = conversation.busy();
  function submit(): void {
    const question = draft.trim();
    if (!question || busy) return;
    conversation.draft.set("");
    conversation.ask(question);
  }
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <Textarea
        id="question"
        className="composer-field"
        label={followUp ? "Follow up" : "Your question"}
        placeholder={followUp ? "And the one after?" : "Ask about anything in the sources"}
        value={draft}
        autosize
        minRows={1}
        maxRows={6}
        maxLength={4000}
        onChange={(event) => conversation.draft.set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && busy) conversation.cancel();
          if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          submit();
        }}
      />
      {busy ? (
        <Button type="button" variant="default" onClick={() => conversation.cancel()}>
          Stop
        </Button>
      ) : (
        <Button type="submit" disabled={!draft.trim()}>
          Ask
        </Button>
      )}
    </form>
  );
}
