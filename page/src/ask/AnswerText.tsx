import { Fragment, type ReactNode } from "react";
import { wordsOf } from "../lib/text";

interface Props {
  text: string;
  marker: (label: string) => ReactNode;
  fresh?: ReadonlySet<string> | undefined; // words to mark as new since the last answer
}

const INLINE = /(\[F?\d+\]|\*\*[^*]+\*\*|`[^`]+`)/g;
const ITEM = /^\s*(?:[-*•]|\d+[.)])\s+/;
const HEADING = /^#{1,6}\s+/;

/** An answer's text: paragraphs, lists, bold, code, and citation markers as chips. Never HTML. */
export function AnswerText({ text, marker, fresh }: Props) {
  const inline = (line: string) => <Inline text={line} marker={marker} fresh={fresh} />;
  return (
    <>
      {blocks(text).map((block, at) =>
        block.list ? (
          <ul key={at}>
            {block.lines.map((line, item) => (
              <li key={item}>{inline(line)}</li>
            ))}
          </ul>
        ) : (
          <p key={at}>{inline(block.lines.join(" "))}</p>
        ),
      )}
    </>
  );
}

interface Block {
  list: boolean;
  lines: string[];
}

function blocks(text: string): Block[] {
  const found: Block[] = [];
  let open: Block | null = null;
  for (const raw of text.split("\n")) {
    const list = ITEM.test(raw);
    const line = raw.replace(list ? ITEM : HEADING, "").trim();
    if (!line) {
      open = null;
    } else if (open && (open.list === list || open.list)) {
      if (list || !open.list) open.lines.push(line);
      else open.lines.push(`${open.lines.pop() ?? ""} ${line}`); // a wrapped list item
    } else {
      open = { list, lines: [line] };
      found.push(open);
    }
    if (HEADING.test(raw)) open = null;
  }
  return found;
}

function Inline({ text, marker, fresh }: Props) {
  return text.split(INLINE).map((part, at) => {
    if (/^\[F?\d+\]$/.test(part)) return <Fragment key={at}>{marker(part.slice(1, -1))}</Fragment>;
    if (part.startsWith("**") && part.length > 4) {
      return (
        <strong key={at}>
          <Words text={part.slice(2, -2)} fresh={fresh} />
        </strong>
      );
    }
    if (part.startsWith("`") && part.length > 2) return <code key={at}>{part.slice(1, -1)}</code>;
    return <Words key={at} text={part} fresh={fresh} />;
  });
}

function Words({ text, fresh }: { text: string; fresh?: ReadonlySet<string> | undefined }) {
  if (!fresh || fresh.size === 0) return text;
  return text.split(/(\s+)/).map((word, at) => {
    const isNew = wordsOf(word).some((known) => fresh.has(known));
    return isNew ? (
      <mark key={at} className="new-word">
        {word}
      </mark>
    ) : (
      word
    );
  });
}
