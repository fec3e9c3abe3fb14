import { useEffect, useRef, useState } from "react";
import { duration, rate } from "../lib/format";
import { changes, WINDOW_MS, type LiveFigures } from "./changes";

const TICKS_MS = [1, 10, 100, 1000];
const LOWEST_MS = 0.5;
const HIGHEST_MS = 3000;
const LEFT = 48; // room for the scale
const RATE_SHARE = 0.26; // of the height, for the rate below the drops

/** The race: each change of the last minute as a drop, the higher the longer it took from commit to applied. */
export function RaceChart() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [figures, setFigures] = useState<LiveFigures>({ rate: 0, median: null, p99: null });
  useEffect(() => {
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const drawing = window.setInterval(() => {
      if (!document.hidden && canvas.current) draw(canvas.current);
    }, calm ? 1000 : 66);
    const telling = window.setInterval(() => setFigures(changes.figures()), 1000);
    return () => {
      window.clearInterval(drawing);
      window.clearInterval(telling);
    };
  }, []);
  const { median, p99 } = figures;
  return (
    <figure className="race">
      <figcaption>
        <span className="race-title">Commit to applied, last minute</span>
        <dl>
          <Figure name="median" value={median === null ? "–" : duration(median)} />
          <Figure name="p99" value={p99 === null ? "–" : duration(p99)} />
          <Figure name="rate" value={rate(figures.rate)} />
        </dl>
      </figcaption>
      <canvas
        ref={canvas}
        role="img"
        aria-label={
          median === null
            ? "No changes in the last minute"
            : `Latency of the last minute's changes: median ${duration(median)}, 99th percentile ${duration(p99 ?? median)}, now ${rate(figures.rate)}`
        }
      />
    </figure>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function draw(canvas: HTMLCanvasElement): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(name);
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `10.5px ${style.fontFamily}`;
  const floor = height * (1 - RATE_SHARE);
  drawScale(pen, width, floor, colour);
  drawRate(pen, width, height, floor, colour);
  drawDrops(pen, width, floor, colour);
}

function heightOf(age: number, floor: number): number {
  const clipped = Math.min(HIGHEST_MS, Math.max(LOWEST_MS, age));
  const share = Math.log(clipped / LOWEST_MS) / Math.log(HIGHEST_MS / LOWEST_MS);
  return floor - 4 - share * (floor - 14);
}

function drawScale(pen: CanvasRenderingContext2D, width: number, floor: number, colour: (name: string) => string): void {
  for (const tick of TICKS_MS) {
    const y = Math.round(heightOf(tick, floor)) + 0.5;
    pen.strokeStyle = colour("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(LEFT, y);
    pen.lineTo(width, y);
    pen.stroke();
    pen.fillStyle = colour("--ink-2");
    pen.textAlign = "right";
    pen.fillText(tick < 1000 ? `${tick} ms` : "1 s", LEFT - 5, y + 3.5);
  }
}

function drawRate(
  pen: CanvasRenderingContext2D,
  width: number,
  height: number,
  floor: number,
  colour: (name: string) => string,
): void {
  // Seconds of the page's clock, so that a bar keeps its changes while it moves left.
  const now = performance.now();
  const second = Math.floor(now / 1000);
  const bars = new Map<number, number>();
  for (const drop of changes.lastMinute()) {
    const at = Math.floor(drop.at / 1000);
    bars.set(at, (bars.get(at) ?? 0) + 1);
  }
  const highest = Math.max(4, ...bars.values());
  const step = (width - LEFT - 2) / (WINDOW_MS / 1000);
  pen.fillStyle = colour("--race-mid");
  for (const [at, amount] of bars) {
    const x = width - (now - at * 1000) * (step / 1000);
    const tall = (amount / highest) * (height - floor - 8);
    const wide = at === second ? (now - at * 1000) * (step / 1000) : step;
    if (x >= LEFT - 2) pen.fillRect(x, height - tall, Math.max(0.5, wide - 1), tall);
  }
  pen.fillStyle = colour("--ink-2");
  pen.textAlign = "right";
  pen.fillText(`${highest}/s`, LEFT - 5, floor + 14);
}

function drawDrops(pen: CanvasRenderingContext2D, width: number, floor: number, colour: (name: string) => string): void {
  const now = performance.now();
  const [old, fresh] = [colour("--race"), colour("--brass")];
  for (const drop of changes.lastMinute()) {
    const x = width - 3 - ((now - drop.at) / WINDOW_MS) * (width - LEFT - 5);
    const y = heightOf(drop.age, floor);
    const young = now - drop.at < 1500;
    pen.globalAlpha = young ? 1 : 0.62;
    pen.fillStyle = young ? fresh : old;
    pen.beginPath();
    pen.arc(x, y, young ? 3 : 2, 0, Math.PI * 2);
    pen.fill();
  }
  pen.globalAlpha = 1;
}
