import { Button, NativeSelect, Textarea } from "@mantine/core";
import { useEffect, useState, type FormEvent } from "react";
import { asProblem, getJson, sendJson } from "../api/http";
import type { Desk, Problem } from "../api/types";
import { Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import { isDocumentChange, save } from "./saving";

interface Policy {
  name: string;
  text: string;
}

/** The written policies as Markdown, saved to the folder they are read from. */
export function PolicyDesk({ policies }: { policies: Desk["policies"] }) {
  const [name, setName] = useState(policies[0]?.name ?? "");
  return (
    <section aria-label="Policies">
      <NativeSelect
        label="Policy"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data={policies.map((policy) => ({ value: policy.name, label: policy.title || policy.name }))}
      />
      {name && <Editor key={name} name={name} />}
    </section>
  );
}

function Editor({ name }: { name: string }) {
  const [saved, setSaved] = useState<string | null>(null);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [round, setRound] = useState(0);
  const path = `/demo/desk/policies/${encodeURIComponent(name)}`;
  useEffect(() => {
    const stop = new AbortController();
    getJson<Policy>(path, stop.signal).then(
      (policy) => {
        setSaved(policy.text);
        setText(policy.text);
        setProblem(null);
      },
      (error: unknown) => {
        if (!stop.signal.aborted) setProblem(asProblem(error));
      },
    );
    return () => stop.abort();
  }, [path, round]);
  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    if (await save(name, () => sendJson("PUT", path, { text }), isDocumentChange(name))) setSaved(text);
    setBusy(false);
  }
  if (problem) return <ProblemNote problem={problem} onRetry={() => setRound(round + 1)} />;
  if (saved === null) return <Loading what="the policy" />;
  return (
    <form className="policy" onSubmit={(event) => void submit(event)}>
      <Textarea
        className="policy-text"
        label="Text (Markdown)"
        value={text}
        autosize
        minRows={10}
        maxRows={24}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <div className="row-actions">
        <Button type="submit" loading={busy} disabled={text === saved}>
          Save
        </Button>
        <Button variant="default" disabled={text === saved} onClick={() => setText(saved)}>
          Undo
        </Button>
        <Button variant="subtle" disabled={busy} onClick={() => setRound(round + 1)}>
          Read it again
        </Button>
      </div>
    </form>
  );
}
