#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl explain: each reason for which an endpoint is not being sent
# events, and each fate of an event, with real deliveries.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('other');
$t->feed('empty');
$t->ctl_ok('partner', 'create', 'strict', '--feeds=orders,other');
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($what) = $request->{path} =~ m{^/(\w+)};
    return { hang => 1 } if $what eq 'hang';
    return { status => 429, headers => { 'Retry-After' => 3600 } }
        if $what eq 'busy';
    return { status => 500 }
        if $what eq 'bad' && $request->{body} =~ /"type":"bad"/;
    return { status => $what =~ /^\d+$/ ? $what : 204 };
});

sub endpoint {
    my ($path, %opts) = @_;
    my $partner = delete $opts{partner} // 'acme';
    return scalar $t->endpoint($partner, url => $recv->url("/$path"),
        feeds => 'orders', start => 'oldest', schedule => '0,1h', %opts);
}

# The report of an endpoint, and its reasons: "paused", "filter orders".
sub report {
    my ($name, @args) = @_;
    my ($line, @more) = split /\n/, $t->ctl_ok('explain', $name, @args,
        '--json');
    die "more than one line\n" if @more;
    return decode_json($line);
}
sub reasons { map { join ' ', $_->{reason}, $_->{feed} // () }
    @{ report(@_)->{reasons} } }
sub reason {
    my ($name, $title) = @_;
    my ($found) = grep { join(' ', $_->{reason}, $_->{feed} // ()) eq $title }
        @{ report($name)->{reasons} };
    return $found // { text => '', next => '' };
}
sub cursors { map { decode_json($_)->{cursor} } stored($t, $_[0] // 'orders') }

# The text and the next step of a reason, which comes within a while.
sub comes {
    my ($name, $title, $text, $next) = @_;
    ok(wait_for(sub { reason($name, $title)->{text} =~ $text }, 60),
        "reason: $title") or diag($t->ctl_ok('explain', $name));
    is(reason($name, $title)->{next}, $next, 'and what to do');
}

###############################################################################
# no dispatcher; the record and its destination

my $first = endpoint('first');
is_deeply([reasons($first)], ['dispatcher', 'not-begun orders'],
    'no dispatcher has run');
is(reason($first, 'dispatcher')->{next},
    'systemctl start eventsync-dispatcher', 'what to do');

my $plain = endpoint('plain', partner => 'strict');
like(reason($plain, 'address')->{text}, qr/^the URL is http:\/\/, and neither/,
    'the record does not allow http://');
is(reason($plain, 'address')->{next},
    "eventsyncctl endpoint change $plain --allow-http=yes", 'and what to do');
$t->ctl_ok('endpoint', 'change', $plain, '--allow-http=yes');
like(reason($plain, 'address')->{text}, qr/^127\.0\.0\.1 is not a public/,
    'nor the address');
is(reason($plain, 'address')->{next},
    "eventsyncctl endpoint change $plain --allow-addresses=127.0.0.1",
    'and what to do');
$t->ctl_ok('endpoint', 'change', $plain, '--allow-addresses=10.0.0.0/8');
is(reason($plain, 'address')->{next},
    "add 127.0.0.1 to --allow-addresses of endpoint $plain",
    'a list that would be replaced is named');
$t->ctl_ok('endpoint', 'change', $plain, '--allow-addresses=127.0.0.1',
    '--url=http://127.0.0.1:22/');
like(reason($plain, 'address')->{text}, qr/^neither .* allows port 22$/,
    'nor the port');
$t->ctl_ok('endpoint', 'change', $plain, '--allow-ports=22');
is(reason($plain, 'address')->{text}, '', 'now the record allows all');

###############################################################################
# while the dispatcher runs

my %e = map { $_ => endpoint($_) } qw(410 500 busy hang bad);
$e{key} = endpoint('bad', ordering => 'key');
$e{down} = endpoint('500', url => 'http://127.0.0.1:'
    . Test::Eventsync::free_port() . '/', schedule => join ',', '0',
    ('1s') x 31);
$e{token} = endpoint('token', oauth => encode_json({ token_url =>
    $recv->url('/403'), client_id => 'x', client_secret => 'y' }));
$e{nudge} = endpoint('503', nudge => 1, schedule => '0,1h,1h');
$e{none} = endpoint('none', types => 'no.such');
$e{some} = endpoint('some', types => 'good');
$e{late} = endpoint('late', start => 'latest', feeds => 'other');
$e{two} = endpoint('204', feeds => 'orders,other,empty');
$e{acked} = endpoint('500', ack => 'mine');
$e{dead} = endpoint('500', schedule => '0');

put($t, 'orders', { type => 'good' }, { type => 'bad', subject => 'a' },
    { type => 'good', subject => 'a' }, { type => 'good', subject => 'b' },
    { type => 'good', subject => 'b' });
my @orders = cursors();
$t->run_dispatcher;

comes($plain, 'address', qr/^the dispatcher was not started with leave for port 22$/,
    'start eventsync-dispatcher with --allow-port=22');
comes($e{410}, 'stopped', qr/^the endpoint was stopped at \S+Z: 410 Gone$/,
    "repair the receiver, then: eventsyncctl endpoint resume $e{410}");
comes($e{bad}, 'event orders', qr/^an\ event\ has\ failed,\ and\ all\ later
    .*:\ $orders[1]:\ 1\ failed\ attempt,\ last\ status\ 500,\ next\ att/x,
    "repair the receiver, or: eventsyncctl endpoint skip $e{bad} orders "
    . $orders[1]);
comes($e{key}, 'subject orders', qr/its subject wait for it: $orders[1]:/,
    "repair the receiver, or: eventsyncctl endpoint skip $e{key} orders "
    . $orders[1]);
comes($e{500}, 'failing', qr/^every\ attempt\ since\ \S+Z\ has\ failed
    \ \(1\),\ the\ last\ one\ with\ class\ status\ \(500\)$/x,
    "eventsyncctl endpoint attempts $e{500} --limit=5 --json");
comes($e{busy}, 'throttled', qr/Retry-After/,
    "wait, or end the pause: eventsyncctl endpoint resume $e{busy}");
comes($e{token}, 'token', qr/^the token server gives no access token$/,
    "eventsyncctl endpoint attempts $e{token}");
comes($e{nudge}, 'nudge orders', qr/^the receiver has not taken the event/,
    "eventsyncctl endpoint change $e{nudge} --nudge=");
comes($e{none}, 'filter orders', qr/match none of the 5 events/,
    "eventsyncctl endpoint change $e{none} --types=A,B.*");
ok((grep { $_ eq 'waiting orders' } reasons($e{key})), 'events that wait');
ok(wait_for(sub { "@{[ reasons($e{two}) ]}"
    eq 'head empty head orders head other' }), 'an endpoint that has all')
    or diag($t->ctl_ok('explain', $e{two}));
like(reason($e{two}, 'head empty')->{text}, qr/^nothing has been published/,
    'of which it says that nothing came');
like(reason($e{two}, 'head orders')->{text}, qr/every event up to $orders[4],/,
    'and where it is');

###############################################################################
# the fate of events

sub fate {
    my ($name, $cursor, @args) = @_;
    my $event = report($name, "--event=$cursor", @args)->{event};
    return wantarray ? ($event->{fate}, $event) : $event->{fate};
}
my ($fate, $event) = fate($e{two}, $orders[1]);
is($fate, 'delivered', 'an event that was delivered');
is_deeply([@$event{qw(feed cursor type subject)},
    scalar @{ $event->{attempts} }], ['orders', $orders[1], 'bad', 'a', 1],
    'with what it is and its attempt');
like($event->{text}, qr/^the receiver took the event with 204 at \S+Z/,
    'and when');
($fate, $event) = fate($e{bad}, $orders[1]);
is($fate, 'waiting', 'one that failed');
is($event->{next}, "eventsyncctl endpoint resend $e{bad} orders $orders[1]",
    'and what to do');
($fate, $event) = fate($e{bad}, $orders[3]);
is($fate, 'not-yet', 'one behind it');
like($event->{text}, qr/2 events before it$/, 'how far');
ok((grep { $_ eq 'event orders' } reasons($e{bad}, "--event=$orders[3]")),
    'the reasons say what blocks it');
($fate, $event) = fate($e{key}, $orders[2]);
is($fate, 'held', 'one that an earlier one of its subject holds');
like($event->{text}, qr/, $orders[1]$/, 'which is named');
is(fate($e{key}, $orders[3]), 'delivered', 'one of another subject');
is(fate($e{some}, $orders[1]), 'filtered', 'one of another type');
is(fate($e{hang}, $orders[0]), 'in-flight', 'one that is being sent');
ok(wait_for(sub { fate($e{dead}, $orders[4]) eq 'dead' }), 'a dead letter');
($fate, $event) = fate($e{dead}, $orders[1]);
like($event->{text}, qr/after 1 attempt, class status, last status 500/,
    'and why');
is_deeply($event->{open}, JSON::PP::false, 'it is done with');
is(fate($e{late}, $orders[0]), 'not-listed', 'one of a feed of another');

$t->ctl_ok('checkpoint', 'set', 'acme', 'orders', 'mine', $orders[3]);
ok(wait_for(sub { fate($e{acked}, $orders[3]) eq 'acknowledged' }, 30),
    'one that a checkpoint acknowledges')
    or diag($t->ctl_ok('explain', $e{acked}, "--event=$orders[3]"));

put($t, 'other', 3);
my @other = cursors('other');
ok(wait_for(sub { fate($e{late}, $other[0]) eq 'delivered' }), 'other events');
my $new = endpoint('new', start => 'latest', feeds => 'other');
ok(wait_for(sub { (reasons($new))[0] eq 'head other' }), 'a new endpoint');
is(fate($new, $other[2]), 'before-start', 'what came before it');

my $slow = endpoint('slow', feeds => 'other', rate => '1r/h');
comes($slow, 'rate other', qr/^the endpoint's rate allows 1 attempt in 3600 s$/,
    "eventsyncctl endpoint change $slow --rate=");
like(reason($slow, 'behind other')->{text}, qr/^the\ endpoint\ is\ 2\ events
    \ behind,\ at\ $other[0];\ the\ next\ one\ for\ it\ is\ $other[1]$/x,
    'its next event');

###############################################################################
# records that change

$t->ctl_ok('endpoint', 'pause', $slow);
is(report($slow)->{state}, 'paused', 'its state');
comes($slow, 'paused', qr/paused, and its events wait/,
    "eventsyncctl endpoint resume $slow");
put($t, 'other', { type => 'new' });
$t->ctl_ok('endpoint', 'change', $slow, '--types=x', '--subject=y');
ok(wait_for(sub { reason($slow, 'none-matches other')->{text}
    =~ /none of the 3 events after $other[0]/ }),
    'nothing behind it matches');
$t->ctl_ok('endpoint', 'simulate', $new, '--failure=reset', '--percent=50');
comes($new, 'simulated', qr/^the failure "reset" is simulated for 50 % /,
    "eventsyncctl endpoint simulate $new --failure=none");
$t->ctl_ok('feed', 'trim', 'other', "--before=@{[ (cursors('other'))[3] ]}");
is(fate($new, $other[1]), 'deleted', 'an event that was deleted since');
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders,empty');
comes($slow, 'not-granted other', qr/^the partner acme may not read the feed$/,
    'add it by: eventsyncctl partner change acme --feeds=...,other');
is(fate($slow, (cursors('other'))[0]), 'not-granted', 'for an event as well');
$t->ctl_ok('endpoint', 'change', $slow, '--feeds=orders');
ok(wait_for(sub { grep { $_ eq 'away other' } reasons($slow) }),
    'a feed that it was sent before');
$t->ctl_ok('endpoint', 'change', $slow, '--feeds=nothing');
comes($slow, 'no-feed', qr/^no feed exists/, 'eventsyncctl feed list');
$t->ctl_ok('partner', 'change', 'acme', '--disabled');
comes($e{two}, 'disabled', qr/^the partner acme is disabled$/,
    'eventsyncctl partner change acme --enabled');
is(report($e{two})->{state}, 'disabled', 'as its state says');
$t->ctl_ok('partner', 'change', 'acme', '--enabled');
comes($e{down}, 'circuit', qr/^the\ circuit\ is\ open\ since\ \S+Z\ after\ \d+
    \ failures\ in\ a\ row;\ the\ next\ probe\ is\ at\ \S+Z$/x,
    'repair the receiver; to probe at once: eventsyncctl endpoint resume '
    . $e{down});

###############################################################################
# for people; mistakes

my ($rc, $out, $err) = $t->ctl('explain', $e{bad}, "--event=$orders[1]");
is($rc, 0, 'for people');
like($out, qr{^endpoint:\ $e{bad}\ of\ acme\ is\ \w+,\ at\ http://\S+\n
    event:\ $orders[1]\ of\ feed\ orders,\ type\ bad,\ subject\ a\n
    waiting:\ [^\n]+\n
    [ ]{4}next:\ eventsyncctl\ [^\n]+\n
    attempt:\ \S+Z\ class=status\ status=500\ latency_us=\d+\n}x, 'lines')
    or diag($out);
like($out, qr/^event orders: [^\n]+\n    next: /m, 'and reasons');

for ([2, 'too few arguments'], [1, 'no endpoint "ep_no"', 'ep_no'],
    [2, '"--feed" needs "--event"', $e{bad}, '--feed=x'],
    [2, '"--event=x" is not the cursor', $e{bad}, '--event=x'],
    [2, '"--event=k3f9-0" is not the cursor', $e{bad}, '--event=k3f9-0'],
    [1, 'no feed has an event of this cursor', $e{bad}, '--event=zz-1'],
    [1, 'feed other has no event of this cursor', $e{bad}, "--event=$orders[1]",
        '--feed=other'])
{
    my ($status, $line, @args) = @$_;
    ($rc, $out, $err) = $t->ctl('explain', @args);
    is($rc, $status, "refused: @args");
    like($err, qr/\Aeventsyncctl: \Q$line\E[^\n]*\n\z/, 'in one line');
}

###############################################################################
# another dispatcher

is($t->stop_dispatcher, 0, 'the dispatcher stops');
{
    local @Test::Eventsync::DISPATCHER_OPTS = ('--allow-http');
    $t->run_dispatcher('--verify-endpoints=all', '--proxy',
        'http://127.0.0.1:' . Test::Eventsync::free_port());
}
comes($e{two}, 'unverified', qr/has not agreed to be sent events:/,
    "eventsyncctl endpoint verify $e{two}");
comes($e{two}, 'address', qr/^127\.0\.0\.1 is not .* the dispatcher was not /,
    'start eventsync-dispatcher with --allow-address=127.0.0.1');
$t->ctl_ok('endpoint', 'verify', $e{some}, '--accept');
$t->stop_dispatcher;
put($t, 'orders', { type => 'good' }, { type => 'good' });
my @now = cursors();
$t->ctl_ok('feed', 'trim', 'orders', "--before=$now[6]");
like(reason($e{some}, 'lost orders')->{text}, qr/^retention has deleted 1 event /,
    'events that were deleted in time');
is(fate($e{some}, $now[5]), 'lost', 'and the fate of one');
$t->run_dispatcher('--proxy=http://127.0.0.1:'
    . Test::Eventsync::free_port());
comes($e{some}, 'proxy', qr/^the dispatcher's proxy does not work/,
    'journalctl -u eventsync-dispatcher');
$t->stop_dispatcher;

put($t, 'orders', 3);
my $full = endpoint('500', ordering => 'none');
$t->run_dispatcher('--max-waiting=2');
comes($full, 'full orders', qr/^as many events wait .* as are allowed/,
    "repair the receiver, or: eventsyncctl endpoint cancel $full orders "
    . '--dry-run');
SKIP: {
    skip 'prlimit is not there', 2
        if system('prlimit --version >/dev/null 2>&1') != 0;
    my $short = endpoint('short', feeds => 'empty');
    ok(wait_for(sub { grep { $_ eq 'head empty' } reasons($short) }),
        'the dispatcher knows the endpoint');
    my $pid = $t->{dispatcher}->pid;
    my $open = () = glob "/proc/$pid/fd/*";
    system('prlimit', "--pid=$pid", "--nofile=$open") == 0 or die 'prlimit';
    put($t, 'empty', 1);
    comes($short, 'files', qr/^the dispatcher can open no more connections/,
        'raise LimitNOFILE of eventsync-dispatcher');
    $t->allow_errors(qr/descriptor/);
}
$t->stop_dispatcher;

###############################################################################
# records that cannot be read

$t->feed('broken');
$t->ctl_ok('partner', 'change', 'acme', '--feeds=*');
put($t, 'broken', { data => 'XXXXXXXX' });
my $broken = endpoint('broken', feeds => 'broken');
{
    my $file = $t->store . '/log/data.mdb';
    open my $fh, '+<:raw', $file or die "$file: $!";
    my $data = do { local $/; <$fh> };
    while ($data =~ /XXXXXXXX/g) {
        seek $fh, $-[0], 0;
        print $fh 'YYYYYYYY';
    }
    close $fh or die;
}
$t->allow_errors(qr/cannot read event/, qr/cannot be decrypted|has no secret/);
$t->run_dispatcher;
comes($broken, 'unreadable broken', qr/^an event of the log cannot be read/,
    'eventsyncctl verify');
like(reason($broken, 'behind broken')->{text},
    qr/-0, and an event after it cannot be read$/, 'the next event');
my ($epoch) = $t->ctl_ok('feed', 'show', 'broken') =~ /"epoch":"(\w+)"/;
($rc, $out, $err) = $t->ctl('explain', $broken, "--event=$epoch-1");
is($rc, 1, 'the fate of such an event');
like($err, qr/\Aeventsyncctl: cannot read the event: [^\n]*\n\z/, 'is unknown');
$t->stop_dispatcher;

my ($old, $both) = map { $t->secret_file($_) } map { $_, qx(openssl rand -base64 32) . $_ } scalar qx(openssl rand -base64 32);
$t->ctl_ok('store', 'rekey', "--key-file=$old");
$t->run_dispatcher("--key-file=$old");
wait_for(sub { $t->{dispatcher}->stderr =~ /eventsync-dispatcher \S+ on / });
my ($locked) = $t->ctl_ok('endpoint', 'create', 'acme', '--feeds=orders',
    '--url=' . $recv->url('/locked'), "--key-file=$both") =~ /(ep_\w+)/;
comes($locked, 'secret', qr/^no secret of the endpoint can be decrypted/,
    'give the dispatcher the key file with all keys, or: eventsyncctl '
    . "endpoint rotate $locked");
$t->stop_dispatcher;

done_testing();
