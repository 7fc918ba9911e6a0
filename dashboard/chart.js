// SPDX-License-Identifier: BSD-2-Clause

// Charts as SVG.  Each has its figures as a text, too, for those who do not see
// it.

import { el, svg } from './dom.js';

const WIDTH = 360;
const HEIGHT = 120;

// A label may have two lines.  bars: [{ label, parts: [[class, number], …], title }]
export function bars(title, summary, list) {
  const most = Math.max(1, ...list.map((bar) => bar.parts
    .reduce((sum, [, n]) => sum + n, 0)));
  const step = WIDTH / Math.max(1, list.length);
  const chart = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT + 28}`, role: 'img', 'aria-label':
    `${title}. ${summary}`, class: 'chart',
  });

  list.forEach((bar, i) => {
    let top = HEIGHT;
    const group = svg('g', {}, svg('title', {}, bar.title));
    for (const [kind, n] of bar.parts) {
      const height = n === 0 ? 0 : Math.max(1, (n / most) * (HEIGHT - 4));
      top -= height;
      group.append(svg('rect', {
        class: `bar ${kind}`, x: i * step + 1, y: top,
        width: Math.max(1, step - 2), height,
      }));
    }
    if (bar.label) {
      group.append(svg('text', {
        x: i * step + step / 2, y: HEIGHT + 13, 'text-anchor': 'middle',
      }, bar.label.split('\n').map((line, n) => svg('tspan', {
        x: i * step + step / 2, dy: n * 11 }, line))));
    }
    chart.append(group);
  });
  chart.append(svg('line', {
    class: 'axis', x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT,
  }));

  return el('figure', {}, el('figcaption', {}, title,
    el('span', { class: 'summary' }, ` ${summary}`)), chart);
}
