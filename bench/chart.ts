// The picture of a result: for each case a panel of horizontal bars per host, median as length, p10..p90 as a whisker.
// Pure; results.ts writes it. Plain SVG 1.1, readable on a light and on a dark page.

import { ratio, summaries, type Figure } from './bench.js';
import { hosts, type Machine } from './host.js';
import { digits } from './stats.js';

const width = 960;
const margin = 24;
const labels = 128;
const bar = 16;
const gap = 6;
const font = 'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif"';

const colours: Record<string, string> = {
  plain: '#b8bec7',
  bind: '#8d96a3',
  node: '#b8bec7',
  'node+worker': '#b8bec7',
  overlay: '#5b7083',
  'fuse-overlayfs': '#d99a4e',
  'unionfs-fuse': '#c9b458',
  'fuse-native': '#b5838d',
  lamina: '#2a9d8f',
  'lamina-bind': '#1f7a6f',
  'lamina-passthrough': '#2a9d8f',
  'lamina-relay': '#7cc7be',
};

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function text(x: number, y: number, size: number, fill: string, content: string, extra = ''): string {
  return `<text x="${x}" y="${y}" ${font} font-size="${size}" fill="${fill}" ${extra}>${escape(content)}</text>`;
}

interface Frame {
  x: number;
  y: number;
  width: number;
  /** Largest p90 over both hosts' panels or of this one: the value at full length. */
  full: number;
}

function row(figure: Figure, index: number, frame: Frame): string[] {
  const entry = summaries(figure)[index];
  if (!entry) return [];
  const [name, summary] = entry;
  const y = frame.y + index * (bar + gap);
  const start = frame.x + labels;
  const room = frame.width - labels - 112;
  const at = (value: number): number => Math.round((start + (Math.max(0, value) / frame.full) * room) * 10) / 10;
  const base = figure.case.versus[0];
  const factor = base === undefined || base === name ? undefined : ratio(figure, name, base);
  const note = factor === undefined ? '' : ` (${digits(factor)}x)`;
  const middle = y + bar / 2;
  return [
    text(start - 8, y + bar - 4, 12, '#24292f', name, 'text-anchor="end"'),
    `<rect x="${start}" y="${y}" width="${Math.max(1, at(summary.median) - start)}" height="${bar}" rx="3" fill="${colours[name] ?? '#7a6ff0'}"/>`,
    `<path d="M${at(summary.p10)} ${middle}H${at(summary.p90)}M${at(summary.p10)} ${middle - 4}v8M${at(summary.p90)} ${middle - 4}v8" stroke="#24292f" stroke-opacity=".55" fill="none"/>`,
    text(Math.max(at(summary.median), at(summary.p90)) + 7, y + bar - 4, 12, '#24292f', digits(summary.median) + note),
  ];
}

function panel(figure: Figure, frame: Omit<Frame, 'full'>): string[] {
  const all = summaries(figure);
  const full = Math.max(Number.MIN_VALUE, ...all.map(([, summary]) => Math.max(summary.p90, summary.median)));
  return [
    text(frame.x, frame.y + 12, 11, '#57606a', `${figure.host} host`),
    ...all.flatMap((_, index) => row(figure, index, { ...frame, y: frame.y + 20, full })),
  ];
}

/** The SVG of all figures of a workload. */
export function chart(title: string, figures: readonly Figure[], machine: Machine): string {
  const body: string[] = [];
  let y = 76;
  const half = (width - 2 * margin - 20) / 2;
  for (const id of new Set(figures.map((figure) => figure.case.id))) {
    const both = figures.filter((figure) => figure.case.id === id);
    const spec = both[0]?.case;
    if (!spec) continue;
    body.push(text(margin, y + 12, 14, '#24292f', spec.title, 'font-weight="600"'));
    body.push(
      text(
        width - margin,
        y + 12,
        11,
        '#57606a',
        `${spec.unit}, ${spec.better} is better · cache ${spec.cache}${spec.versus[0] === undefined ? '' : ` · (x: over ${spec.versus[0]})`}`,
        'text-anchor="end"',
      ),
    );
    hosts.forEach((host, column) => {
      const figure = both.find((candidate) => candidate.host === host);
      if (figure) body.push(...panel(figure, { x: margin + column * (half + 20), y: y + 18, width: half }));
    });
    y += 18 + 20 + Math.max(...both.map((figure) => figure.series.size)) * (bar + gap) + 22;
  }
  const versions = `${machine.commit.slice(0, 12)}${machine.dirty ? '+' : ''} · Linux ${machine.kernel} · Node ${machine.node} · ${machine.cpus} × ${machine.cpu} · ${machine.filesystem.split(' ')[0] ?? ''}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}">`,
    `<rect width="${width}" height="${y}" rx="8" fill="#ffffff"/>`,
    text(margin, 36, 20, '#24292f', title, 'font-weight="700"'),
    text(margin, 56, 11, '#57606a', `${versions} · bars: median, whiskers: p10 to p90`),
    ...body,
    '</svg>\n',
  ].join('\n');
}
