// SPDX-License-Identifier: BSD-2-Clause

// A program in TypeScript whose types come from docs/openapi.json: it publishes,
// polls page by page, acknowledges, and manages an endpoint.  t/docs/client.t
// compiles it and runs it against a worker: client.js URL KEY.  It prints what
// it has seen as one JSON object.

import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

type Event = components['schemas']['Event'];

declare const process: { argv: string[]; exit(status: number): never };

const [, , baseUrl = '', key = ''] = process.argv;

// The document says that lists are written with commas.
const client = createClient<paths>({
  baseUrl,
  headers: { Authorization: `Bearer ${key}` },
  querySerializer: { array: { style: 'form', explode: false } },
});

function must<T>(what: string, answer: { data?: T; error?: { detail?: string }; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${what}: ${answer.response.status} ${answer.error?.detail ?? ''}`);
  }
  return answer.data;
}

async function publish(ids: string[]): Promise<string[]> {
  const { results } = must('publish', await client.POST('/feeds/{feed}/events', {
    params: { path: { feed: 'orders' } },
    headers: { 'Content-Type': 'application/cloudevents-batch+json' },
    body: ids.map((id, i) => ({
      specversion: '1.0' as const, id, source: '/shop', type: i % 2 ? 'order.paid' : 'order.made',
      data: { number: i },
    })),
  }));
  return results.map((result) => ('cursor' in result ? result.cursor : ''));
}

// Follows `next` until nothing is left.
async function poll(types?: string[]): Promise<Event[]> {
  const events: Event[] = [];
  let after: string | undefined;
  for (;;) {
    const page = must('poll', await client.GET('/feeds/{feed}/events', {
      params: {
        path: { feed: 'orders' },
        query: { limit: 2, ...(types && { types }), ...(after ? { after } : { from: 'oldest' as const }) },
      },
    }));
    // A poll has other media types, too.
    if (typeof page === 'string' || !('events' in page)) throw new Error('poll: another type');
    events.push(...page.events);
    after = page.next;
    if (!page.has_more) return events;
  }
}

async function main(): Promise<void> {
  const cursors = await publish(['a', 'b', 'c', 'd', 'e']);
  const events = await poll();
  const paid = await poll(['order.paid', 'order.gone']);
  const last = events[events.length - 1]!;

  const checkpoint = must('checkpoint', await client.PUT('/feeds/{feed}/checkpoints/{consumer}', {
    params: { path: { feed: 'orders', consumer: 'billing' } },
    body: { cursor: last.cursor },
  }));

  const created = must('endpoint', await client.POST('/endpoints', {
    body: { url: 'https://acme.example/hook', feeds: ['orders'] },
  }));
  const name = created.name;
  const paused = must('pause', await client.POST('/endpoints/{name}/pause', {
    params: { path: { name } },
  }));

  // An error has its own type.
  const wrong = await client.GET('/feeds/{feed}/events', {
    params: { path: { feed: 'orders' }, query: { after: 'zzzz-1' } },
  });
  let restart = '';
  if (wrong.error && 'restart' in wrong.error) restart = wrong.error.restart;

  console.log(JSON.stringify({
    cursors, ids: events.map((event) => event.id), paid: paid.map((event) => event.id),
    lag: checkpoint.lag, name, paused: paused.paused, status: wrong.response.status, restart,
  }));
}

main().catch((error: unknown) => {
  console.error(String(error));
  process.exit(1);
});
