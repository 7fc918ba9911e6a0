// SPDX-License-Identifier: BSD-2-Clause

// Elements.  Text is only ever set as text, so that nothing that a producer, a
// partner or a receiver wrote can become markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) {
      node.addEventListener(name.slice(2), value);
    } else if (value === true) {
      node.setAttribute(name, '');
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null
    && child !== undefined && child !== false));
  return node;
}

// el('p', { class: 'a', onclick: f }, 'text', node, …)
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

// What tells an element from its like: its address, its label or its text.
function mark(node) {
  return `${node.tagName} ${node.getAttribute('href') ?? node.getAttribute('aria-label')
    ?? node.textContent}`;
}

// The same for content that is drawn again while somebody reads it: what has
// the focus keeps it, and what is open (details with a data-key) stays open.
export function redraw(node, ...children) {
  const open = new Set([...node.querySelectorAll('details[open][data-key]')]
    .map((details) => details.dataset.key));
  const active = document.activeElement;
  const focus = active && node !== active && node.contains(active) ? mark(active) : null;

  replace(node, ...children);
  for (const details of node.querySelectorAll('details[data-key]')) {
    details.open = open.has(details.dataset.key);
  }
  if (focus !== null) {
    const same = [...node.querySelectorAll('a, button, input, select, summary, pre')]
      .find((one) => mark(one) === focus);
    // what had it is gone: the focus stays in its place
    node.tabIndex = -1;
    (same ?? node.querySelector('button') ?? node).focus({ preventScroll: true });
  }
  return node;
}

// Pairs of a name and a value, which may be an element.
export function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

// A table whose first column names the rows.  On a narrow screen each row is a
// card, and `data-label` names its cells.
export function table(caption, heads, rows) {
  return el('div', { class: 'scroll' }, el('table', {},
    el('caption', {}, caption),
    el('thead', {}, el('tr', {},
      heads.map((head) => el('th', { scope: 'col' }, head)))),
    el('tbody', {}, rows.map((cells) => el('tr', {},
      cells.map((cell, i) => el(i === 0 ? 'th' : 'td',
        { scope: i === 0 && 'row', 'data-label': heads[i] },
        // several parts stay together beside their label
        Array.isArray(cell) ? el('div', {}, cell) : cell)))))));
}

export function button(text, onclick, attributes = {}) {
  return el('button', { type: 'button', onclick, ...attributes }, text);
}

let fields = 0;

// The options of a select, which keeps its choice where it can.
function optionList(values) {
  return values.map((value) => [value].flat())
    .map(([value, text = value]) => el('option', { value }, text));
}

export function choices(select, values) {
  const chosen = select.value;
  const text = JSON.stringify(values);
  if (select.dataset.values !== text) {
    select.dataset.values = text;
    select.replaceChildren(...optionList(values));
    select.value = values.some((value) => [value].flat()[0] === chosen) ? chosen
      : select.options[0]?.value ?? '';
  }
}

// The browser's words for a pattern that does not match show no example.
function exemplify(input, example) {
  input.addEventListener('input', () => input.setCustomValidity(''));
  input.addEventListener('invalid', () => {
    if (input.validity.patternMismatch) {
      input.setCustomValidity(`Write it like this: ${example}`);
    }
  });
}

// A labelled field.  `kind` is 'select' with options, or the type of an input.
// An option is its value, or a value and its text.  `example` is told where the
// pattern does not match.
export function field(label, name, kind, options = {}) {
  const id = `field-${fields += 1}`;
  const { values, example, ...attributes } = options;
  const input = kind === 'select'
    ? el('select', { id, name, ...attributes },
      optionList(values))
    : el('input', { id, name, type: kind, ...attributes });
  if (example) {
    exemplify(input, example);
  }
  return el('div', { class: 'field' }, el('label', { for: id }, label), input);
}
