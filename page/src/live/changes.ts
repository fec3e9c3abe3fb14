import type { ChangeEvent, Op } from "../api/types";
import { quantile } from "../lib/stats";
import { Store } from "../lib/store";

export interface Passed extends ChangeEvent {
  id: number;
}

/** One dot of the chart: when it arrived here (ms of the page's clock) and how old it was when applied. */
export interface Drop {
  at: number;
  age: number;
  op: Op;
}

export interface LiveState {
  connection: "connecting" | "open" | "lost";
  recent: readonly Passed[]; // newest first
  total: number;
  skipped: number;
}

export interface LiveFigures {
  rate: number;
  median: number | null;
  p99: number | null;
}

export const WINDOW_MS = 60_000;
const KEPT = 120;
const KEPT_DROPS = 6_000;
const TELL_EVERY_MS = 120;
const RETRY_MS = 2_000;

/** The stream of applied changes, bounded, told to the page a few times a second however fast it runs. */
class Changes {
  readonly state = new Store<LiveState>({ connection: "connecting", recent: [], total: 0, skipped: 0 });
  private drops: Drop[] = [];
  private arrived: Passed[] = [];
  private skipped = 0;
  private total = 0;
  private timer = 0;
  private readonly watchers = new Set<(change: ChangeEvent) => void>();

  start(): void {
    const stream = new EventSource("/v1/changes");
    stream.onopen = () => this.state.update((state) => ({ ...state, connection: "open" }));
    stream.onmessage = (event) => this.take(JSON.parse(String(event.data)) as ChangeEvent);
    stream.addEventListener("change", (event) => this.take(JSON.parse(String(event.data)) as ChangeEvent));
    stream.addEventListener("skipped", (event) => {
      this.skipped += (JSON.parse(String(event.data)) as { count: number }).count;
      this.tellSoon();
    });
    stream.onerror = () => {
      this.state.update((state) => ({ ...state, connection: "lost" }));
      if (stream.readyState !== EventSource.CLOSED) return; // it reconnects by itself
      window.setTimeout(() => this.start(), RETRY_MS);
    };
  }

  /** Calls back for every change as it arrives; returns the function that ends it. */
  watch(watcher: (change: ChangeEvent) => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  lastMinute(): readonly Drop[] {
    const oldest = performance.now() - WINDOW_MS;
    const first = this.drops.findIndex((drop) => drop.at >= oldest);
    this.drops = first < 0 ? [] : this.drops.slice(first);
    return this.drops;
  }

  figures(): LiveFigures {
    const drops = this.lastMinute();
    const ages = drops.map((drop) => drop.age).sort((a, b) => a - b);
    const recently = performance.now() - 5_000;
    const rate = drops.filter((drop) => drop.at >= recently).length / 5;
    return { rate, median: quantile(ages, 0.5), p99: quantile(ages, 0.99) };
  }

  private take(change: ChangeEvent): void {
    this.total += 1;
    this.arrived.push({ ...change, id: this.total });
    if (this.arrived.length > KEPT) this.arrived.shift();
    this.drops.push({ at: performance.now(), age: Math.max(0.1, change.age_ms), op: change.op });
    if (this.drops.length > KEPT_DROPS) this.drops.splice(0, KEPT_DROPS / 4);
    for (const watcher of this.watchers) watcher(change);
    this.tellSoon();
  }

  private tellSoon(): void {
    if (this.timer) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      const arrived = this.arrived.splice(0).reverse();
      const { total, skipped } = this;
      this.state.update((state) => ({
        connection: "open",
        recent: [...arrived, ...state.recent].slice(0, KEPT),
        total,
        skipped,
      }));
    }, TELL_EVERY_MS);
  }
}

export const changes = new Changes();
