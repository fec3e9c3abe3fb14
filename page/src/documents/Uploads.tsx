import { Button, NativeSelect, Progress } from "@mantine/core";
import { useEffect, useRef, useState, type DragEvent } from "react";
import type { SourceStatus } from "../api/types";
import { bytes, plural } from "../lib/format";
import { useStore } from "../lib/store";
import { Empty } from "../ui/Empty";
import { ProblemNote } from "../ui/ProblemNote";
import { dropped } from "./dropped";
import { StageName } from "./Stage";
import { add, again, dismiss, isOver, isTaken, stop, uploads, type Upload } from "./uploads";

interface UploadsProps {
  sources: readonly SourceStatus[];
  onSent: () => void;
}

/** Takes files in: dropped here, or chosen; and tells of each how far it is. */
export function Uploads({ sources, onSent }: UploadsProps) {
  const [chosen, setChosen] = useState("");
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const files = useStore(uploads);
  const sent = files.filter((one) => one.state === "sent").length;
  useEffect(() => {
    if (sent > 0) onSent();
    // Only another number of sent files matters.
  }, [sent]);
  const source = sources.find((one) => one.name === chosen) ?? sources[0];
  if (!source) {
    return (
      <Empty title="Nothing can be uploaded yet">
        Add [[sources]] name = "uploads" url = "upload:" to headrace.toml and start Headrace again.
      </Empty>
    );
  }
  function take(list: Iterable<{ file: File; name: string }>): void {
    if (source) add(list, source.name, source.uploads?.presigned?.min_bytes);
  }
  async function drop(event: DragEvent): Promise<void> {
    event.preventDefault();
    setOver(false);
    take(await dropped(event.dataTransfer));
  }
  return (
    <section aria-label="Upload">
      {sources.length > 1 && (
        <NativeSelect
          label="Upload into"
          value={source.name}
          onChange={(event) => setChosen(event.currentTarget.value)}
          data={sources.map((one) => one.name)}
        />
      )}
      <div
        className={over ? "drop drop-over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => void drop(event)}
      >
        <p>
          Drop files or folders here, or{" "}
          <Button size="compact-sm" variant="default" onClick={() => input.current?.click()}>
            choose files
          </Button>
        </p>
        <p className="source-detail">Up to {bytes(source.uploads?.max_bytes ?? 0)} each. They are on disk when they say so.</p>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          aria-label="Files to upload"
          onChange={(event) => {
            take([...(event.currentTarget.files ?? [])].map((file) => ({ file, name: file.name })));
            event.currentTarget.value = "";
          }}
        />
      </div>
      {files.length > 0 && <Files files={files} />}
    </section>
  );
}

function Files({ files }: { files: readonly Upload[] }) {
  const ended = files.filter(isOver);
  const open = files.length - ended.length;
  return (
    <>
      <div className="uploads-head">
        <p className="note" role="status">
          {open > 0 ? `${plural(open, "file")} on the way` : `${plural(files.length, "file")}, nothing on the way`}
        </p>
        {ended.length > 0 && (
          <Button size="compact-xs" variant="default" onClick={() => dismiss(ended.map((one) => one.key))}>
            Clear those that are done
          </Button>
        )}
      </div>
      <ul className="jobs uploads" aria-label="Uploads">
        {files.map((one) => (
          <OneFile key={one.key} one={one} />
        ))}
      </ul>
    </>
  );
}

function OneFile({ one }: { one: Upload }) {
  return (
    <li>
      <div className="job-head">
        <p>
          <strong className="breakable">{one.name}</strong> <span className="source-detail">{bytes(one.file.size)}</span>{" "}
          <Progressed one={one} />
        </p>
        {(one.state === "waiting" || one.state === "sending") && (
          <Button size="compact-xs" variant="default" onClick={() => stop(one.key)} aria-label={`Stop uploading ${one.name}`}>
            Stop
          </Button>
        )}
        {one.state === "refused" && <Refused one={one} />}
      </div>
      {one.state === "sending" && <Progress value={one.share * 100} size="sm" aria-label={`Upload of ${one.name}`} />}
      {one.note && <p className="source-detail">Sent through Headrace: the object store did not take it ({one.note}).</p>}
      {one.entry?.error && (
        <p className="card-error">
          Got {one.entry.error.got}. {one.entry.error.remedy}
        </p>
      )}
      {one.state === "refused" && one.problem && (isTaken(one.problem) ? <Taken /> : <ProblemNote problem={one.problem} />)}
    </li>
  );
}

function Taken() {
  return (
    <p className="card-error" role="alert">
      A document of this name is there already, with another content. Replace it, or rename the file.
    </p>
  );
}

function Progressed({ one }: { one: Upload }) {
  if (one.state === "waiting") return <>waits</>;
  if (one.state === "sending") return <>{Math.floor(one.share * 100)} %</>;
  if (one.state === "stopped") return <>was stopped</>;
  if (one.state === "refused") return <span className="state state-down">was not taken</span>;
  if (!one.entry) return <>is on disk</>;
  return (
    <>
      {one.outcome === "unchanged" && "was there already, "}
      <StageName entry={one.entry} />
    </>
  );
}

function Refused({ one }: { one: Upload }) {
  const taken = isTaken(one.problem);
  return (
    <span className="row-buttons">
      <Button
        size="compact-xs"
        variant="default"
        onClick={() => again(one.key, taken)}
        aria-label={`${taken ? "Replace it" : "Try again"}: ${one.name}`}
      >
        {taken ? "Replace it" : "Try again"}
      </Button>
      <Button size="compact-xs" variant="default" onClick={() => dismiss([one.key])} aria-label={`Dismiss ${one.name}`}>
        Dismiss
      </Button>
    </span>
  );
}
