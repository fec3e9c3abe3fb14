import type { Status } from "../api/types";
import { duration } from "../lib/format";
import type { Polled } from "../lib/poll";
import { SchemeSwitch } from "./SchemeSwitch";

interface Props {
  status: Polled<Status>;
  /** Whoever looks is no operator. */
  reader: boolean;
  clock: string | null;
  onStatus: () => void;
}

export function Header({ status, reader, clock, onStatus }: Props) {
  return (
    <header className="header">
      <h1 className="brand">
        <Wheel />
        Headrace
      </h1>
      {clock && (
        <p className="airline-clock">
          It is <time dateTime={clock}>{airlineTime(clock)}</time> at the airline
        </p>
      )}
      {reader ? (
        <span className="pulse pulse-unknown">
          <span className="pulse-dot" aria-hidden="true" />
          what you may read
        </span>
      ) : (
        <button type="button" className={`pulse pulse-${toneOf(status)}`} onClick={onStatus}>
          <span className="pulse-dot" aria-hidden="true" />
          {pulseText(status)}
        </button>
      )}
      <SchemeSwitch />
    </header>
  );
}

function toneOf({ value, problem }: Polled<Status>): "good" | "bad" | "unknown" {
  if (problem) return "bad";
  if (!value) return "unknown";
  return value.status === "ok" ? "good" : "bad";
}

/** The bound over all sources: as fresh as the least fresh. */
function pulseText({ value, problem }: Polled<Status>): string {
  if (problem) return "no answer";
  if (!value) return "connecting";
  if (value.sources.some((source) => source.state === "down")) return "a source is down";
  if (value.sources.some((source) => source.state === "snapshot")) return "reading snapshot";
  const bounds = value.sources.map((source) => source.freshness_ms);
  if (bounds.length === 0) return "no source";
  const known = bounds.filter((bound) => bound !== null);
  if (known.length < bounds.length) return "catching up";
  return `fresh to ${duration(Math.max(...known))}`;
}

// The airline's clock is its own: shown as it is written, not moved to the reader's zone.
function airlineTime(iso: string): string {
  const [date = "", time = ""] = iso.split(/[T ]/);
  const day = new Date(`${date}T00:00:00Z`).toLocaleDateString("en-GB", { dateStyle: "medium", timeZone: "UTC" });
  return `${day}, ${time.slice(0, 5)}`;
}

function Wheel() {
  return (
    <svg className="wheel" viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
      <g fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round">
        <g className="wheel-turn">
          <circle cx="16" cy="13" r="7.5" />
          <path d="M16 2.8v20.4M5.8 13h20.4M8.8 5.8l14.4 14.4M23.2 5.8 8.8 20.2" strokeWidth="1.4" />
        </g>
        <path className="wheel-water" d="M2 27c2.8-2.6 5.6-2.6 8.4 0s5.6 2.6 8.4 0 5.6-2.6 8.4 0 1.8 1 2.8 1.2" />
      </g>
    </svg>
  );
}
