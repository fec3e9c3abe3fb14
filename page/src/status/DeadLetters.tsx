import { Button } from "@mantine/core";
import { useState } from "react";
import { asProblem, sendJson } from "../api/http";
import type { DeadLetter, Problem } from "../api/types";
import { dateTime, keyText, plural } from "../lib/format";
import { usePolled } from "../lib/poll";
import { Empty, Loading } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";

/** What could not be taken in, why, and a way to try once more. */
export function DeadLetters() {
  const { value, problem, refresh } = usePolled<{ dead_letters: DeadLetter[] }>("/v1/deadletters", 5000);
  const open = value?.dead_letters.filter((letter) => letter.resolved_at === null);
  return (
    <section aria-label="Dead letters">
      <h3>Dead letters</h3>
      {problem && <ProblemNote problem={problem} />}
      {!open && !problem && <Loading what="dead letters" />}
      {open?.length === 0 && <Empty title="None">Everything that was read could be taken in.</Empty>}
      {open?.map((letter) => (
        <Letter key={letter.id} letter={letter} onRetried={refresh} />
      ))}
    </section>
  );
}

function Letter({ letter, onRetried }: { letter: DeadLetter; onRetried: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function retry(): Promise<void> {
    setBusy(true);
    try {
      const path = `/v1/deadletters/${encodeURIComponent(String(letter.id))}/retry`;
      const { settled } = await sendJson<{ settled: boolean }>("POST", path, {});
      setProblem(settled ? null : { title: "It was tried again and still fails", remedy: letter.remedy });
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
      onRetried();
    }
  }
  const rows: [string, string][] = [
    ["Step", letter.step],
    ["Expected", letter.expected],
    ["Got", letter.got],
    ["What to do", letter.remedy],
  ];
  return (
    <article className="letter">
      <header>
        <h4>
          {letter.topic} {keyText(letter.key)}
        </h4>
        <Button size="compact-sm" variant="default" loading={busy} onClick={() => void retry()}>
          Retry
        </Button>
      </header>
      <p className="source-detail">
        {letter.operator}, position {letter.position}, {dateTime(letter.at)}, {plural(letter.attempts, "attempt")}
      </p>
      <dl className="pairs">
        {rows.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      {problem && <ProblemNote problem={problem} />}
    </article>
  );
}
