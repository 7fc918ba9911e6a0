#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A reader that comes back to its stream is not turned away by what passes, and
# a stream that will not go on says why, and where to go on.  An EventSource
# gives up for good on any answer but 200, so a refusal of a reconnect is an
# event of its own; the log, the counters and the limits have it as a refusal.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('gone')->feed('trimmed')->feed('removed');
my $key = $t->master_key;
my $other = $t->partner_key('other', feeds => 'orders');

# A store that has gone after its configuration was read.
mkdir $t->testdir . '/gone';
$t->write_file('gone/format', $t->read_file('store/format'));

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_sse on;
    log_format status '$remote_port $status';
    access_log %%TESTDIR%%/status.log status;
    client_max_body_size 16m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_sse_heartbeat 300ms;
            eventsync_cors https://page.example;

            location /rate/ { eventsync_limit poll rate=1r/m burst=2; }
            location /address/ { eventsync_limit address rate=1r/h burst=1; }
            location /plain/ { eventsync_sse off; }
            location /dry/ {
                eventsync_limit poll rate=1r/h burst=1;
                eventsync_limit_dry_run on;
            }
        }
        location /metrics { eventsync_metrics on; eventsync_auth off; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        eventsync_store %%TESTDIR%%/gone;
        location /v1/ { eventsync_poll on; }
    }
}
CONF
$t->run_nginx;
$t->allow_errors(qr/gone/);

sub reader {
    my ($path, %headers) = @_;
    return Test::Eventsync::Reader->new($t, $path,
        exists $headers{key} ? delete $headers{key} : $key, %headers);
}

# The status on the wire, that of the last event's problem, and that of the log.
sub outcome {
    my ($path, %headers) = @_;
    my $reader = reader($path, %headers);
    my $port = $reader->{call}{sock}->sockport;
    $reader->to_end;
    my $logged;
    wait_for(sub { ($logged) = $t->read_file('status.log')
        =~ /^$port (\d+)$/m }, 20);
    my $problem = $reader->problem // {};
    return ($reader, join ' ', $reader->{status}, $problem->{status} // 'none',
        $logged // 'nothing');
}

sub counted {
    my ($code) = @_;
    my $body = $t->http(GET => '/metrics')->{body};
    return ($body =~ /^eventsync_http_requests_total\{resource="poll",code="$code"\} (\d+)/m)[0] // 0;
}

my $orders = '/v1/feeds/orders/events';
$t->publish('orders', { id => 'o1' }, { id => 'o2' });
my ($epoch) = $t->poll('orders')->{latest} =~ /^(.*)-/;

###############################################################################
# a position that is gone

my $trimmed = '/v1/feeds/trimmed/events';
$t->publish('trimmed', map { { id => "t$_" } } 1 .. 9);
my ($of) = $t->poll('trimmed')->{latest} =~ /^(.*)-/;
$t->ctl_ok('feed', 'trim', 'trimmed', "--before=$of-5");

my $before = counted('4xx');
my ($reader, $outcome) = outcome("$trimmed?types=test.*", 'last-event-id' => "$of-2");
is($outcome, '200 410 410', 'an expired position: 200, whose log says 410');
is(counted('4xx'), $before + 1, 'and so do the metrics');
my $problem = $reader->problem;
is($problem->{type}, 'urn:eventsync:problem:cursor-expired', 'the problem');
is_deeply([ @$problem{qw(oldest missed restart)} ], [ "$of-4", 2,
    "$trimmed?after=$of-4&types=test.*" ], 'says where to go on');
is($reader->{id}, "$of-2", 'the reader still holds what it held');
cmp_ok($reader->{retry}, '>=', 30000, 'and is in no hurry to be told again');
like($reader->{head}, qr{^Content-Type: text/event-stream\r?$}m, 'a stream');
like($reader->{head}, qr{^Cache-Control: no-store\r?$}m, 'not to be stored');
is($reader->{ended}, 'well', 'that ends');
is(scalar @{ $reader->{all} }, 1, 'with nothing else in it');

for my $name (qw(lastEventId Last-Event-ID)) {
    my ($reader, $outcome) = outcome("$trimmed?from=oldest&$name=$of-2");
    is($outcome, '200 410 410', "$name in the query");
    is($reader->problem->{restart}, "$trimmed?after=$of-4",
        "$name: is not part of where to go on");
    is($reader->{id}, "$of-2", "$name: the reader still holds it");
}
is((outcome($orders, 'last-event-id' => 'abc-7'))[1], '200 410 410',
    'a position of another epoch');
is((outcome("$trimmed?after=$of-2"))[1], '410 none 410',
    'who comes for the first time has 410');
is((outcome("$trimmed?after=$of-2", 'last-event-id' => ''))[1], '410 none 410',
    'or with an empty id');
is($t->http(GET => $trimmed, { authorization => "Bearer $key",
    accept => 'application/json', 'last-event-id' => "$of-2" })->{status}, 200,
    'a poll knows no such field');
is($t->http(HEAD => $trimmed, { authorization => "Bearer $key",
    accept => 'text/event-stream', 'last-event-id' => "$of-2" })->{status}, 410,
    'a HEAD is told by its status');

###############################################################################
# what does not pass, and credentials

is((outcome($orders, 'last-event-id' => "$epoch-99"))[1], '400 none 400',
    'a position that the feed does not have yet');
is((outcome($orders, 'last-event-id' => 'x'))[1], '400 none 400', 'none');
is((outcome('/v1/feeds/none/events', 'last-event-id' => "$epoch-1"))[1],
    '404 none 404', 'a feed that is not there');
is((outcome("$orders?limit=1", 'last-event-id' => 'abc-1'))[1],
    '400 none 400', 'a parameter that is wrong');
is((outcome($orders, 'last-event-id' => 'abc-1', key => undef))[1],
    '401 none 401', 'no credential');
is((outcome($orders, 'last-event-id' => 'abc-1', key => 'esk_none'))[1],
    '401 none 401', 'a credential that is none');
is((outcome('/plain/feeds/orders/events', 'last-event-id' => 'abc-1'))[1],
    '406 none 406', 'where there are no streams');

###############################################################################
# what passes

my @refused = map { ($t->http(GET => '/metrics')->{body}
    =~ /^eventsync_limit_refused_total\{policy="poll"\} (\d+)/m)[0] // 0 } 1;
my $rate = '/rate/feeds/orders/events';
is(reader($rate, 'last-event-id' => "$epoch-1")->ids(1), 'o2', "a reader ($_)")
    for 1, 2;
($reader, $outcome) = outcome($rate, 'last-event-id' => "$epoch-1");
is($outcome, '200 429 429', 'over its rate: 200, whose log says 429');
is_deeply($reader->problem->{'violated-policies'}, ['poll'], 'by which policy');
cmp_ok($reader->{retry}, '>', 20000, 'and when to come back');
is($reader->{retry} % 1000, 0, 'in the milliseconds of Retry-After');
is($reader->{id}, "$epoch-1", 'with what it holds');
like($reader->{head}, qr/^RateLimit: "poll";r=0;t=\d+/m, 'its quota is told');
is((outcome($rate))[1], '429 none 429', 'who comes for the first time has 429');
is(($t->http(GET => '/metrics')->{body}
    =~ /^eventsync_limit_refused_total\{policy="poll"\} (\d+)/m)[0],
    $refused[0] + 2, 'each is counted as refused');
is(reader('/dry/feeds/orders/events', 'last-event-id' => "$epoch-1")->ids(1),
    'o2', "what only watches refuses nobody ($_)") for 1, 2;

# An address that has failed is told so before its credential is looked at.
my $address = '/address/feeds/orders/events';
is((outcome($address, 'last-event-id' => "$epoch-1", key => 'esk_x'))[1],
    '401 none 401', 'a credential that fails');
($reader, $outcome) = outcome($address, 'last-event-id' => "$epoch-1");
is($outcome, '200 429 429', 'and then an address that is refused');

my $call = eval { Test::Eventsync::Reader->new($t, $orders, $key,
    port => $t->port(1), 'last-event-id' => "$epoch-1") };
$call->to_end;
is("$call->{status} " . $call->problem->{status}, '200 503',
    'a store that cannot answer now');
ok($call->{retry} >= 1000 && $call->{retry} <= 4000, 'when to come back');
is(Test::Eventsync::Reader->new($t, $orders, $key, port => $t->port(1))->{status},
    503, 'who comes for the first time has 503');

($reader) = outcome($orders, 'last-event-id' => 'abc-7',
    origin => 'https://page.example');
like($reader->{head}, qr{^Access-Control-Allow-Origin: https://page.example\r?$}m,
    'a page may read it');

###############################################################################
# streams that end for good

sub live {
    my ($path, %headers) = @_;
    my $reader = reader($path, %headers);
    $reader->await(sub { @{ $_[0]{named} } });
    return $reader;
}

sub last_two {
    my ($reader) = @_;
    return join ' ', map { $_->{name} // 'message' }
        @{ $reader->{all} }[-2, -1];
}

$t->publish('gone', { id => 'g1' });
my $held = $t->poll('gone')->{latest};
$reader = live('/v1/feeds/gone/events?from=latest&types=test.*');
$t->ctl_ok('feed', 'reset', 'gone');
is($reader->to_end, 'well', 'a feed that is reset ends its streams');
is(last_two($reader), 'position end', 'with the position, and an end');
is($reader->problem->{type}, 'urn:eventsync:problem:feed-reset', 'that says why');
my $oldest = $t->poll('gone')->{oldest};
is($reader->problem->{restart}, "/v1/feeds/gone/events?after=$oldest&types=test.*",
    'and where to go on');
is($reader->{id}, $held, 'the reader holds what it held');
is(reader($reader->problem->{restart})->{status}, 200, 'from there it goes on');

$reader = live("$orders?from=latest", key => $other);
$t->ctl_ok('key', 'revoke', $other =~ /^esk_([a-z2-7]+)_/);
is($reader->to_end, 'well', 'a key that is revoked ends its streams');
is(last_two($reader), 'position end', 'with the position, and an end');
is($reader->problem->{type}, 'urn:eventsync:problem:unauthorized', 'that says why');
is((outcome($orders, key => $other, 'last-event-id' => $reader->{id}))[1],
    '401 none 401', 'who then comes back has 401');

my $short = $t->partner_key('third', feeds => 'orders');
$reader = live("$orders?from=latest", key => $short);
$t->ctl_ok('partner', 'change', 'third', '--feeds=gone');
is($reader->to_end, 'well', 'a feed that is not granted any more');
is($reader->problem->{type}, 'urn:eventsync:problem:not-found', 'which is said');

$reader = live('/v1/feeds/removed/events?from=latest');
$t->ctl_ok('feed', 'remove', 'removed');
is($reader->to_end, 'well', 'a feed that is removed');
is($reader->problem->{type}, 'urn:eventsync:problem:not-found', 'which is said');

# A reader that takes nothing is overtaken by retention.
my $stuck = $t->socket;
$t->publish('trimmed', map { { id => "x$_", data => 'x' x 1000 } } 1 .. 9000);
$t->send_all($stuck, "GET $trimmed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    . "Accept: text/event-stream\r\nAuthorization: Bearer $key\r\n\r\n");
my $text = '';
sysread $stuck, $text, 100, length $text until $text =~ /event: position/;
$t->ctl_ok('feed', 'trim', 'trimmed', "--before=$of-9008");
$text .= do { local $/; <$stuck> };
like($text, qr/\nevent: position\n.*\nevent: end\n.*cursor-expired/s,
    'a stream that retention has overtaken says so');
like($text, qr/"restart":"\Q$trimmed\E\?after=$of-9007"/, 'and where to go on');

is($t->http(GET => $orders, { authorization => "Bearer $key" })->{status}, 200,
    'and all is well');

done_testing();
