#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Server-Sent Events: a stream that goes on where its reader was, ends when it
# is told to, and holds next to nothing for a reader that does not read.

use warnings;
use strict;

use IO::Select;
use Socket qw(SOL_SOCKET SO_RCVBUF pack_sockaddr_in inet_aton PF_INET
    SOCK_STREAM);
use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('big')->feed('gone');
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { worker_connections 512; }
http {
    log_format events '$status $eventsync_first-$eventsync_last';
    access_log %%TESTDIR%%/events.log events;
    eventsync_store %%STORE%%;
    eventsync_sse on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_sse_heartbeat 300ms;
            client_max_body_size 64m;
        }
        location /short/ {
            eventsync_poll on;
            eventsync_sse_max_time 1s;
        }
        location /stuck/ {
            eventsync_poll on;
            send_timeout 1s;
            access_log %%TESTDIR%%/stuck.log events;
        }
        location /slow/ {
            eventsync_poll on;
            eventsync_sse_max_time 2s;
            access_log %%TESTDIR%%/slow.log events;
        }
        location /limited/ {
            eventsync_poll on;
            eventsync_limit poll rate=1r/h burst=2;
        }
        location /few/ {
            eventsync_poll on;
            eventsync_sse_max_time 1s;
            eventsync_limit waits max=2;
        }
        location /off/ { eventsync_poll on; eventsync_sse off; }
    }
}
CONF
$t->run_nginx;

my $events = '/v1/feeds/orders/events';
my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-0$/;

sub reader {
    my ($path, %headers) = @_;
    return Test::Eventsync::Reader->new($t, $path,
        delete $headers{key} // $key, %headers);
}

sub pids { return scalar Test::Eventsync::children($t->nginx_pid) }

###############################################################################
# from the beginning, and on

$t->publish('orders', map { { id => "o$_", data => { n => $_ },
    type => $_ % 2 ? 'a.x' : 'b.x' } } 1 .. 5);

my $reader = reader($events);
is($reader->{status}, 200, 'a stream');
like($reader->{head}, qr{^Content-Type: text/event-stream\r?$}m, 'its type');
like($reader->{head}, qr{^Cache-Control: no-store\r?$}m, 'not to be stored');
like($reader->{head}, qr{^Vary: Accept\r?$}m, 'vary');
like($reader->{head}, qr{^X-Accel-Buffering: no\r?$}m,
    'nor to be held back by a proxy');

my @events = $reader->events(5);
is_deeply(\@events, $t->poll('orders')->{events}, 'the events as polled');
is($reader->{id}, "$epoch-5", 'the id is the cursor');
ok($reader->{retry} >= 500 && $reader->{retry} < 2500,
    'when to come back is spread');

for my $n (6 .. 8) {
    $t->publish('orders', { id => "o$n", type => 'a.x' });
    is($reader->ids(1), "o$n", 'what is committed comes at once');
    is($reader->{id}, "$epoch-$n", 'with its cursor');
}
$t->ctl_ok({ stdin => $t->event(id => 'o9') . "\n" }, 'publish', 'orders');
is($reader->ids(1), 'o9', 'of any process');

$reader->await(sub { ($_[0]{comments} // 0) >= 2 });
cmp_ok($reader->{comments}, '>=', 2, 'comments keep it alive');
is($reader->{odd}, undef, 'nothing but the fields of the format');

is($t->http(POST => $events, { authorization => "Bearer $key",
    'content-type' => 'application/json' }, $t->event(id => 'line',
    data => \"{\n\"a\":\r\n[1,\r2]\n}",
    subject => 'a","cursor":"x"\\'))->{status}, 201,
    'line breaks are published');
($_) = $reader->events(1);
is_deeply([ @$_{qw(id subject)}, $_->{data} ],
    [ 'line', 'a","cursor":"x"\\', { a => [ 1, 2 ] } ],
    'no line break of an event breaks the stream');
is($reader->{id}, "$epoch-10", 'and no text is taken for the cursor');
is($reader->{odd}, undef, 'nothing but the fields of the format');
close $reader->{call}{sock};

###############################################################################
# where it begins

is(reader("$events?after=$epoch-8")->ids(2), 'o9 line', 'after');
is(reader($events, 'last-event-id' => "$epoch-9")->ids(1), 'line',
    'Last-Event-ID');
is(reader("$events?after=$epoch-2", 'last-event-id' => "$epoch-9")->ids(1),
    'line', 'Last-Event-ID goes before after');
is(reader("$events?from=latest", 'last-event-id' => "$epoch-8")->ids(2),
    'o9 line', 'and before from');
is(reader("$events?after=$epoch-9", 'last-event-id' => '')->ids(1),
    'line', 'an empty one is none');
$reader = reader("$events?from=latest");
$reader->chunk;
$t->publish('orders', { id => 'new' });
is($reader->ids(1), 'new', 'from latest');

$reader = reader('/v1/feeds/orders/events',
    accept => 'text/event-stream, application/json;q=0.5');
is($reader->{status}, 200, 'by weight');

###############################################################################
# filters

$reader = reader("$events?types=b.*&after=$epoch-0");
@events = $reader->events(2);
is_deeply([ map { [ @$_{qw(id prevcursor cursor)} ] } @events ],
    [ [ 'o2', "$epoch-0", "$epoch-2" ], [ 'o4', "$epoch-2", "$epoch-4" ] ],
    'filtered, prevcursor is the cursor held');
ok($reader->await(sub { $_[0]{id} eq "$epoch-11" }),
    'a position moves the reader over what the filter passes by');
$t->publish('orders', { id => 'x1', type => 'a.x' }, { id => 'x2',
    type => 'b.x' });
($_) = $reader->events(1);
is_deeply([ @$_{qw(id prevcursor cursor)} ],
    [ 'x2', "$epoch-11", "$epoch-13" ], 'and is the next prevcursor');

$reader = reader("$events?subject=s");
$t->publish('orders', { id => 's1' }, { id => 's2', subject => 's' });
is($reader->ids(1), 's2', 'by subject');

###############################################################################
# errors come before the stream

sub problem {
    my ($path, %headers) = @_;
    my $answer = $t->http(GET => $path, { authorization => "Bearer $key",
        accept => 'text/event-stream', %headers });
    my $doc = Test::Eventsync::json($answer->{body}) // {};
    return "$answer->{status} " . ($doc->{type} // '') =~ s/.*[:#]//r;
}

is(problem($_->[1], @$_[2 .. $#$_]), $_->[0], "$_->[0]: @{[ map { $_ // 'none' } @$_[1 .. $#$_] ]}") for
    [ '400 invalid-cursor', "$events?after=x" ],
    [ '400 invalid-cursor', $events, 'last-event-id' => 'x' ],
    [ '400 invalid-cursor', $events, 'last-event-id' => "\x{ff}\"\\" ],
    [ '400 cursor-ahead', $events, 'last-event-id' => "$epoch-999" ],
    [ '410 feed-reset', "$events?after=abc-1" ],
    [ '400 invalid-parameter', "$events?limit=5" ],
    [ '400 invalid-parameter', "$events?wait=5" ],
    [ '400 invalid-parameter', "$events?types=," ],
    [ '400 invalid-parameter', "$events?last-event-id=1" ],
    [ '401 unauthorized', $events, authorization => undef ],
    [ '404 not-found', '/v1/feeds/none/events' ],
    [ '406 not-acceptable', '/off/feeds/orders/events' ];

my @streams = map { reader('/limited/feeds/orders/events') } 1, 2;
is(problem('/limited/feeds/orders/events'), '429 quota-exceeded',
    'a stream is charged as a poll');
@streams = ();

my $few = '/few/feeds/orders/events';
$t->http(HEAD => $few, { authorization => "Bearer $key",
    accept => 'text/event-stream' });
@streams = map { reader($few) } 1, 2;
is("@{[ map { $_->{status} } @streams ]}", '200 200', 'two at a time');
is(problem($few), '429 quota-exceeded', 'a stream counts as a wait');
is(problem("$few?from=latest&wait=1", accept => '*/*'), '429 quota-exceeded',
    'with the long polls');
is($_->to_end, 'well', 'until it ends') for @streams;
is(reader($few)->{status}, 200, 'then another may');

my $answer = $t->http(HEAD => $events, { authorization => "Bearer $key",
    accept => 'text/event-stream' });
is($answer->{status} . $answer->{headers}{'content-type'},
    '200text/event-stream', 'head does not wait');

###############################################################################
# the end of its life

$reader = reader('/short/feeds/orders/events?from=latest');
my $began = time;
is($reader->to_end, 'well', 'ends politely when its time is over');
cmp_ok(time - $began, '>', 0.5, 'not before');
is($t->http(GET => $events, { authorization => "Bearer $key" }, undef,
    socket => $reader->{call}{sock})->{status}, 200,
    'the connection can be used again');

my $other = $t->partner_key('acme', feeds => 'orders');
$reader = reader("$events?from=latest", key => $other);
$reader->chunk;
$t->ctl_ok('key', 'revoke', $other =~ /^esk_([a-z2-7]+)_/);
is($reader->to_end, 'well', 'ends when its key is revoked');
is($reader->problem->{status}, 401, 'and says why');

my ($gone) = $t->poll('gone')->{next};
$reader = reader('/v1/feeds/gone/events');
$reader->chunk;
$t->ctl_ok('feed', 'reset', 'gone');
is($reader->to_end, 'well', 'ends when its feed is reset');
is($reader->problem->{status}, 410, 'and says why');
is(problem("/v1/feeds/gone/events?after=$gone"), '410 feed-reset',
    'which is said to who comes back, too');

###############################################################################
# many, and those that leave

@streams = map { reader("$events?from=latest") } 1 .. 40;
$_->chunk for @streams;
$t->publish('orders', { id => 'all' });
is(scalar(grep { $_->ids(1) eq 'all' } @streams), 40, 'all are woken');
$_->await(sub { 1 }) for @streams;
close $_->{call}{sock} for @streams[0 .. 9];
$t->reset_socket($_->{call}{sock}) for @streams[10 .. 19];
$t->publish('orders', { id => 'left' });
is(scalar(grep { $_->ids(1) eq 'left' } @streams[20 .. 39]), 20,
    'others go on when some leave');
@streams = ();

###############################################################################
# much to send, and readers that do not read

my $pad = 'x' x 1000;
for my $part (0 .. 9) {
    $t->publish('big', map { { id => "b" . ($part * 2000 + $_),
        data => $pad } } 1 .. 2000);
}
$reader = reader('/v1/feeds/big/events');
my ($n, $wrong) = (0, 0);
while ($n < 20000) {
    $reader->chunk or last;
    for (splice @{ $reader->{got} }) {
        $n++;
        $wrong++ unless $_->{id} =~ /-$n\z/ && $_->{data} =~ /"id":"b$n"/;
    }
}
is("$n $wrong", '20000 0', 'a long feed, whole and in order');
$t->publish('big', { id => 'tail' });
is($reader->ids(1), 'tail', 'and then what is new');
close $reader->{call}{sock};

# A socket with a small window that is not read from.
sub stuck {
    my ($path) = @_;
    socket my $sock, PF_INET, SOCK_STREAM, 0;
    setsockopt $sock, SOL_SOCKET, SO_RCVBUF, 4096;
    connect $sock, pack_sockaddr_in($t->port(0), inet_aton('127.0.0.1'))
        or die "cannot connect: $!\n";
    $t->send_all($sock, "GET $path HTTP/1.1\r\nHost: x\r\nAccept: text/"
        . "event-stream\r\nAuthorization: Bearer $key\r\n\r\n");
    return $sock;
}

sub memory {
    my $kb = 0;
    for my $pid ($t->workers) {
        $kb += $1 if $t->read_file("/proc/$pid/status")
            =~ /^RssAnon:\s+(\d+)/m;
    }
    return $kb;
}

my $before = memory();
my @stuck = map { stuck('/v1/feeds/big/events') } 1 .. 50;
$t->publish('orders', { id => 'stuck1' });
$reader = reader("$events?from=latest");
$reader->chunk;
my $size = -s $t->store . '/log/data.mdb';
for my $round (1 .. 30) {
    $t->publish('orders', map { { id => "st$round-$_", data => $pad } } 1 .. 20);
}
$reader->events(600);
SKIP: {
    skip 'a sanitizer keeps what is freed', 1 if $t->sanitized;
    cmp_ok(memory() - $before, '<', 50 * 128,
        'a stuck reader holds one slice');
}
cmp_ok((-s $t->store . '/log/data.mdb') - $size, '<', 8 << 20,
    'and pins no pages');
close $_ for @stuck;

@stuck = map { stuck('/stuck/feeds/big/events') } 1 .. 3;
ok(wait_for(sub { $t->read_file('stuck.log') =~ tr/\n// == 3 }, 15),
    'who takes nothing is cut off after send_timeout');
like($t->read_file('stuck.log'), qr/^200 1-\d+$/m, 'the log: what was sent');

# One byte now and then keeps send_timeout away, but not the end.
my $slow = stuck('/slow/feeds/big/events');
$began = time;
ok(wait_for(sub { sysread $slow, my $byte, 1;
    return $t->read_file('slow.log') =~ /\n/ }, 15),
    'who trickles is cut off at the end of its time');
cmp_ok(time - $began, '<', 10, 'not much later');

###############################################################################
# http/2

SKIP: {
    skip 'curl has no HTTP/2', 4 if `curl --version` !~ /HTTP2/;

    my @curl = ('curl', '-sN', '--max-time', 20, '--http2-prior-knowledge',
        '-H', 'Accept: text/event-stream', '-H', "Authorization: Bearer $key");
    my $base = 'http://127.0.0.1:' . $t->port(1);

    my $proc = $t->start('curl', {}, @curl,
        "$base/short/feeds/big/events");
    is($proc->wait(20), 0, 'http/2: ends politely');
    my $text = $proc->stdout;
    is(scalar(() = $text =~ /^data: \{"specversion.*\}$/mg), 20001, 'http/2: every event');
    my @lines = $text =~ /^((?:event|id|data): .*)$/mg;
    my ($last) = $lines[-5] =~ /^id: ([a-z2-7]+-20001)$/;
    like($lines[-4], qr/^data: .*"id":"tail"/, 'http/2: in order');
    is_deeply([ @lines[-3 .. -1] ], [ 'event: position', "id: $last",
        qq(data: {"cursor":"$last"}) ], 'http/2: and where it was at the end');
}

###############################################################################
# reload

@streams = map { reader("$events?from=latest") } 1 .. 10;
$_->chunk for @streams;
@stuck = map { stuck('/v1/feeds/big/events') } 1 .. 3;
sleep 0.3;
$began = time;
ok($t->reload, 'reload');
is(scalar(grep { $_->to_end eq 'well' } @streams), 10,
    'reload: streams end politely');
ok(wait_for(sub { pids() == 2 }, 10), 'reload: no old worker lingers');
cmp_ok(time - $began, '<', 10, 'not even for a reader that is stuck');

$reader = reader($events, 'last-event-id' => $streams[0]{id}
    || "$epoch-11");
is($reader->{status}, 200, 'and go on with the new ones');

is($t->stop_nginx, 0, 'quit');
is($reader->to_end, 'well', 'quit: politely');
unlike($t->read_file('error.log'), qr/open socket .* left/, 'nothing leaks');

done_testing();
