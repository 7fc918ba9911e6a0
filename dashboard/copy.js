// SPDX-License-Identifier: BSD-2-Clause

// Copies text.  Over plain http with a host name a browser has no clipboard, so
// that the text is selected in a field instead.

import { button, el } from './dom.js';

function byField(text) {
  const area = el('textarea', { readonly: true, 'aria-hidden': 'true', class: 'off' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

export function copied(text, label) {
  const made = button(label, async () => {
    let done;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      done = byField(text);
    }
    made.textContent = done ? 'Copied' : 'Select the text and copy it yourself';
    made.focus();
    setTimeout(() => { made.textContent = label; }, 3000);
  }, { class: 'copy' });
  return made;
}
