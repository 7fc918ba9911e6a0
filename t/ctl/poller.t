#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl verify-poller tells a poller what it does wrong: the Python
# program of docs/pollers.md with one usual mistake each.  Also its options, and
# what it does with a poller that ends.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Pollers qw($PAGE %CODE lacks place verify judged swap told
    mistakes);

my $t = Test::Eventsync->new;
my $why = lacks($t, 'Python');
plan(skip_all => $why) if $why;

my $code = $CODE{Python} =~ s/^WAIT = \d+$/WAIT = 2/mr;

# A poller that pauses itself.
my $pauses = swap($code, '{"wait": WAIT}', '{}')
    . qq(    if not page["has_more"]:\n        time.sleep(0.7)\n);

my $lines = <<'EOT';
            try:
                text = answer.read()
            except http.client.IncompleteRead as cut:
                text = cut.partial
            page = {"events": [json.loads(line) for line in text.splitlines()
                               if line.endswith(b"}}")],
                    "next": answer.headers["Eventsync-Next"]}
EOT

# A timer starts each request, whether the one before is answered or not.
my $overlaps = ($code =~ s/^def load.*//msr) . <<'EOT';
import threading
cursor = None

def poll():
    global cursor
    query = {"after": cursor} if cursor else {"from": "oldest"}
    request = urllib.request.Request(
        URL + "?" + urllib.parse.urlencode(query),
        headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request) as answer:
        cursor = json.load(answer)["next"]

while True:
    threading.Thread(target=poll, daemon=True).start()
    time.sleep(0.5)
EOT

my @applied = ('--applied=events.ndjson');

# The mistake, options, and the program.
my @cases = (
    ['no-request', ['--silence=2s'], swap($code, '{EVENTSYNC_URL}',
        'http://127.0.0.1:1/v1')],
    ['no-start', [], "raise SystemExit('no URL')\n"],
    ['old-state', [], swap($code, '"cursor": None, "sequence": None',
        '"cursor": "abcd-5", "sequence": None')],
    ['no-credential', [], swap($code, '"Authorization"', '"X-Key"')],
    ['bad-request', [], swap($code, '"wait": WAIT',
        '"wait": WAIT, "limit": 5000')],
    ['bad-request', [], swap($code, '/events"', '/event"')],
    ['latest-wait', [], swap($code, '"oldest"}', '"latest"}')],
    ['no-cursor', ['--only=has-more'], swap($code,
        'if held["cursor"] else', 'if False else')],
    ['same-cursor', ['--only=has-more'], swap($code,
        'held = take(held, page)',
        'held = held if held["cursor"] else take(held, page)')],
    ['goes-back', ['--only=retry-after'], swap($code,
        'if error.code == 410:', 'if error.code == 429:
            held["cursor"] = page["oldest"]
            time.sleep(3)
        elif error.code == 410:')],
    ['skips-events', ['--only=has-more'], swap($code, 'page["next"]',
        'page["latest"]')],
    ['skips-to-latest', ['--only=expired'], swap($code,
        '(error)["oldest"]', '(error)["latest"]')],
    ['skips-to-latest', ['--only=reset'], swap(swap($code,
        'json.load(error)["oldest"]', 'None'), '{"from": "oldest"}',
        '{"from": "latest" if failures is None else "oldest"}')
        =~ s/(held = \{"cursor": None, "sequence": None\})$/$1; failures = None/mr],
    ['made-up-cursor', [], swap($code, 'page["next"]}',
        'epoch(page["next"]) + "-" + str(int(held["sequence"]) + 1)}')],
    ['parses-cursor', ['--only=opaque-cursor'], swap($code,
        'page["next"]}',
        'epoch(page["next"]) + "-" + str(int(held["sequence"]))}')],
    ['parses-cursor', ['--only=opaque-cursor'], swap($code,
        'held = take(held, page)',
        'held = take(held, page); int(held["cursor"].split("-")[1])')],
    ['overlaps', ['--only=slow'], $overlaps],
    ['hammers', ['--only=idle'], $pauses =~ s/time\.sleep\(0\.7\)\n\z/pass\n/r],
    ['ignores-has-more', ['--only=idle,has-more'], swap($pauses,
        'if not page["has_more"]', 'if True')],
    ['empty-page', ['--only=empty-page'], swap($code,
        'held = take(held, page)',
        'held = take(held, page) if page["events"] else held')],
    ['not-modified', ['--only=idle'], swap(swap($pauses,
        '"Bearer " + KEY', '"Bearer " + KEY, "If-None-Match": etag'),
        'page = json.load(answer)',
        'page = json.load(answer); etag = answer.headers["ETag"]')
        =~ s/^held, failures = /etag = ""\n$&/mr],
    ['gave-up', ['--only=idle'], swap($code, 'while True:',
        'for turn in range(3):')],
    ['gives-up', ['--only=retry-after'], swap($code,
        'error.code == 429 or error.code >= 500', 'False')],
    ['gives-up', ['--only=unavailable'], swap($code,
        'elif error.code == 429', 'elif json.load(error) and error.code == 429')],
    ['ignores-retry-after', ['--only=retry-after'], swap($code,
        'return int(after)', 'return int(after) / 1000')],
    ['ignores-date', ['--only=retry-after-date'], swap($code,
        'if after else None', 'if False else None')],
    ['no-backoff', ['--only=unavailable'], swap($code,
        'if at else min(2 ** failures, 60)', 'if at else 0')],
    ['short-timeout', ['--only=slow'], swap($code, 'timeout=WAIT + 10',
        'timeout=1')],
    ['cut', ['--only=cut'], swap($code,
        '(OSError, http.client.HTTPException)', 'OSError')],
    ['takes-cut-answer', ['--only=cut'], swap($code,
        "            page = json.load(answer)\n", $lines)
        =~ s/"Bearer " \+ KEY/$&, "Accept": "application\/x-ndjson"/r],
    ['repeated', ['--only=repeated'], swap($code, '            continue
        apply', '            raise SystemExit("out of order")
        apply')],
    ['unknown-members', ['--only=unknown-members'], swap($code,
        '        apply(event)', '        assert "verifyflag" not in event
        apply(event)')],
    ['unknown-type', ['--only=unknown-type'], swap($code,
        '        apply(event)', '        assert event["type"] == "order.updated"
        apply(event)')],
    ['large', ['--only=large'], swap($code, 'json.load(answer)',
        'json.loads(answer.read(1000000))')],
    ['gzip', ['--only=gzip'], swap($code, '"Bearer " + KEY',
        '"Bearer " + KEY, "Accept-Encoding": "gzip"')],
    ['forgets-cursor', ['--only=restart'], swap($code,
        'return json.load(file)', 'raise FileNotFoundError')],
    ['repeats-410', ['--only=expired'], swap($code,
        'json.load(error)["oldest"]', 'held["cursor"]')],
    ['repeats-410', ['--only=reset'], swap($code,
        'if error.code == 410', 'if False')],
    ['no-snapshot', ['--only=expired', '--snapshot'], $code],
    ['hammers-401', ['--only=revoked'], swap($code,
        'raise SystemExit(f"{error.code}: {error.read().decode()}")',
        'time.sleep(0.1)')],
    ['lost-events', \@applied, swap($code, 'apply(event)
        held', 'if event["sequence"][-1] != "2": apply(event)
        held')],
    ['applied-twice', [@applied, '--only=repeated'], swap($code,
        '            continue
        apply', '            pass
        apply')],
);


# Pollers that are right in other ways run meanwhile.
my %right = right();

my %tried = told($t, @cases);

sub right {
my $etag = swap(swap($pauses, '"Bearer " + KEY',
    '"Bearer " + KEY, "If-None-Match": etag, "Accept-Encoding": "gzip"'),
    'page = json.load(answer)', 'body = answer.read()
            body = gzip.decompress(body) if answer.headers["Content-Encoding"] else body
            page = json.loads(body); etag = answer.headers["ETag"]')
    =~ s/^held, failures = /etag = ""\nimport gzip\n$&/mr
    =~ s/if error\.code == 410/if error.code == 304:
            page["has_more"] = False
        elif error.code == 410/r;
my $filter = swap(swap($code, '"wait": WAIT',
    '"wait": WAIT, "limit": 2, "types": "price.*,other", "subject": "EUR"'),
    'for event in page["events"]:', 'for event in page["events"]:
        assert event["type"].startswith("price.") and event["subject"] == "EUR"');
my $snapshot = swap($code, 'held = {"cursor": json.load(error)["oldest"]',
    'state = urllib.request.Request(URL.replace("/events", "/snapshot"),
                                           headers=request.headers)
            with urllib.request.urlopen(state, timeout=9) as answer:
                snapshot = json.load(answer)
            held = {"cursor": snapshot["cursor"]');
    my $stores = <<'EOT';
def api(path, **options):
    request = urllib.request.Request(URL.split("/feeds")[0] + path, **options)
    with urllib.request.urlopen(request, timeout=9) as answer:
        return json.load(answer)


TOKEN = api("/token", data=b"grant_type=client_credentials")["access_token"]
HEADERS = {"Authorization": "Bearer " + TOKEN,
           "Content-Type": "application/json"}
(feed,) = api("/feeds", headers=HEADERS)["feeds"]
assert feed == api("/feeds/" + feed["name"], headers=HEADERS)


def checkpoint(method, held=None):
    return api(f"/feeds/{feed['name']}/checkpoints/me", method=method,
        data=held and json.dumps(held).encode(), headers=HEADERS)


def save(held):
    assert checkpoint("PUT", held)["cursor"] == held["cursor"]


EOT
my $checkpoint = swap(swap($code, 'with open("held.json") as file:
            return json.load(file)', 'return {**checkpoint("GET"), "sequence": None}'),
    'except FileNotFoundError:', 'except urllib.error.HTTPError as error:
        assert error.code == 404');
$checkpoint =~ s/^def save.*?(?=^def apply)/$stores/ms;
$checkpoint = swap($checkpoint, '"Bearer " + KEY', '"Bearer " + TOKEN');
return (
    'gets a token and stores its cursor in a checkpoint' => verify($t,
        [place($t, 'Python', $checkpoint)], '--only=has-more,restart,expired'),
    'pauses, compares ETags and decodes gzip' => verify($t, [place($t, 'Python', $etag)],
        '--only=idle,has-more,empty-page,cut,gzip,reset', @applied),
    'filters and takes two at a time' => verify($t, [place($t, 'Python', $filter)],
        '--only=idle,has-more,empty-page,cut,repeated,unknown-type,large,expired'),
    'reads the snapshot' => verify($t, [place($t, 'Python', $snapshot)], @applied,
        '--snapshot', '--only=expired,reset'),
);
}

is_deeply([grep { !$tried{$_} } mistakes()], [],
    'each mistake of a poller in docs/pollers.md is one of these');

for my $name (sort keys %right) {
    my ($rc, $report) = judged($t, $right{$name});
    is_deeply([$rc, map { "$_->{check}: $_->{came}" }
        grep { !$_->{pass} || $_->{skipped} && $name !~ /filter/ }
        @{ $report->{checks} }], [0], "right: it $name")
        or diag($right{$name}{proc}->stderr);
}

###############################################################################
# the command

my ($rc, $out, $err) = $t->ctl('verify-poller', '--port=0', '--run=exit 3');
is($rc, 1, 'a command that ends');
like($out, qr/^FAIL first +the command ended with status 3$/m, 'is said so');
like($out, qr/^FAIL idle +the poller did not get so far$/m, 'and ends all');
like($out, qr/^hint no-start \(first\): .* Change: .*\.$/m, 'with a hint');
like($err, qr{^eventsyncctl: note: poll http://127\.0\.0\.1:\d+/v1/feeds/verify/events with any key$}m,
    'the URL');

my %wrong = (
    '--only=none' => qr/"--only=none"/, '--only=restart' => qr/needs "--run"/,
    '--port=70000' => qr/"--port/, '--feed=A' => qr/"--feed=A" is not a feed/,
    '--silence=0s' => qr/"--silence=0s" is not a duration/,
    '--address=x' => qr/"--address=x" is not an IPv4 address/);
for my $option (sort keys %wrong) {
    ($rc, $out, $err) = $t->ctl('verify-poller', '--port=0', $option);
    ok($rc == 2 && $out eq '' && $err =~ $wrong{$option}, "$option is refused")
        or diag("$rc $out$err");
}

my $run = $t->ctl_start('verify-poller', '--port=0',
    '--run=sleep 600 & echo $! > ' . $t->testdir . '/pid; wait');
ok(wait_for(sub { $t->read_file('pid') =~ /\n/ }), 'the command runs');
my ($pid) = $t->read_file('pid') =~ /(\d+)/;
is($run->stop('TERM'), 1, 'SIGTERM ends verify-poller');
like($run->stderr, qr/^eventsyncctl: interrupted$/m, 'which says so');
ok(wait_for(sub { !kill 0, $pid }), 'and all that the command has started');

done_testing();
