#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Poll: where it begins, what it says, and every way in which a cursor or a
# parameter can be wrong.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init->feed('orders')->feed('other')->feed('empty')
    ->feed('alike');
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    log_format events '$status partner=$eventsync_partner '
                      'feed=$eventsync_feed '
                      'events=$eventsync_first-$eventsync_last';
    access_log %%TESTDIR%%/events.log events;
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_feeds on;
        }

        location /small/ {
            eventsync_poll on;
            eventsync_poll_limit 2 3;
            eventsync_poll_wait_max 1s;
        }

        location /deep/er/ {
            eventsync_poll on;
        }

        location ~ ^/re.ex/ {
            eventsync_prefix /re-ex;
            eventsync_poll on;
        }
    }
}
CONF
$t->run_nginx;

my $events = '/v1/feeds/orders/events';

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $key", %headers });
}

sub problem {
    my ($answer) = @_;
    return Test::Eventsync::json($answer->{body});
}

# An answer that must be a problem: its document.
sub is_problem {
    my ($answer, $status, $type, $name) = @_;

    my $doc = problem($answer) // {};
    $type = "urn:eventsync:problem:$type" unless $type =~ /^https/;
    is("$answer->{status} " . ($doc->{type} // ''), "$status $type", $name);
    is($answer->{headers}{'content-type'}, 'application/problem+json',
        "$name: a problem document");
    is($doc->{status}, $status, "$name: status in the document");
    ok(length $doc->{title} && length $doc->{detail}, "$name: has words");
    is($answer->{headers}{'cache-control'}, 'no-store', "$name: no-store");
    return $doc;
}

###############################################################################
# an empty feed

my $page = $t->poll('empty');
my ($epoch) = $page->{next} =~ /^([a-z2-7]+)-0$/;
ok($epoch, 'cursor of an empty feed is its beginning');
is_deeply($page, { events => [], next => "$epoch-0",
    has_more => JSON::PP::false, oldest => "$epoch-0", latest => "$epoch-0" },
    'empty feed');

###############################################################################
# pages

$t->publish('orders', map { { id => "o$_", type => 'order.created',
    data => { n => $_ } } } 1 .. 10);
$t->publish('other', { id => 'x' });

$page = $t->poll('orders');
($epoch) = $page->{next} =~ /^([a-z2-7]+)-10$/;
ok($epoch, 'next is the last event');
is(@{ $page->{events} }, 10, 'without a position from the oldest');
is_deeply([ map { $_->{id} } @{ $page->{events} } ], [ map { "o$_" } 1 .. 10 ],
    'in order');
ok(!$page->{has_more}, 'no more');
is($page->{oldest}, "$epoch-0", 'oldest');
is($page->{latest}, "$epoch-10", 'latest');

my $event = $page->{events}[3];
is($event->{sequence}, '00000000000000000004', 'sequence');
is($event->{cursor}, "$epoch-4", 'cursor');
is($event->{prevcursor}, "$epoch-3", 'prevcursor');
is($event->{feed}, 'orders', 'feed');

$page = $t->poll('orders', after => "$epoch-4", limit => 3);
is_deeply([ map { $_->{id} } @{ $page->{events} } ], [qw(o5 o6 o7)],
    'after and limit');
is($page->{next}, "$epoch-7", 'next of a full page');
ok($page->{has_more}, 'there is more');

$page = $t->poll('orders', after => "$epoch-10");
is_deeply([ $page->{events}, $page->{next} ], [ [], "$epoch-10" ],
    'nothing new: next is where it was');
ok(!$page->{has_more}, 'nothing new: no more');

my @seen;
my $cursor = "$epoch-0";
while (1) {
    $page = $t->poll('orders', after => $cursor, limit => 4);
    push @seen, map { $_->{id} } @{ $page->{events} };
    $cursor = $page->{next};
    last unless $page->{has_more};
}
is_deeply(\@seen, [ map { "o$_" } 1 .. 10 ], 'following next sees each once');

my $answer = get("$events?after=$epoch-9");
is($answer->{status}, 200, 'status');
is($answer->{headers}{'content-type'}, 'application/json', 'type');
is($answer->{headers}{'cache-control'}, 'private, no-cache', 'not to be shared');
is($answer->{headers}{vary}, 'Accept', 'vary');
like($answer->{body}, qr/\A\{"events":\[\{"specversion":"1\.0",.*\}\],"next":"$epoch-10","has_more":false,"oldest":"$epoch-0","latest":"$epoch-10"\}\z/,
    'exact frame');

###############################################################################
# from

is($t->poll('orders', from => 'oldest', limit => 1)->{events}[0]{id}, 'o1',
    'from oldest');
$page = $t->poll('orders', from => 'latest');
is_deeply([ $page->{events}, $page->{next} ], [ [], "$epoch-10" ],
    'from latest');
is(@{ $t->poll('orders', from => '1999-01-01T00:00:00Z')->{events} }, 10,
    'from a time before everything');
is(@{ $t->poll('orders', from => '2999-01-01T00:00:00Z')->{events} }, 0,
    'from a time to come');

sleep 0.05;
my @now = gmtime;
my $now = sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $now[5] + 1900, $now[4] + 1,
    @now[3, 2, 1, 0];
sleep 1;
$t->publish('other', { id => 'y' });
is($t->poll('other', from => (split /Z/, $t->poll('other')->{events}[1]{time})[0]
        . 'Z')->{events}[-1]{id}, 'y', 'from a time between');
is(get("$events?from=2999-01-01T00:00:00+02:00")->{status}, 200,
    "a plus in a time is a plus");

###############################################################################
# filters

$t->publish('orders',
    { id => 'f1', type => 'order.updated', subject => 'a' },
    { id => 'f2', type => 'price.updated', subject => 'b c' },
    { id => 'f3', type => 'order.updated', subject => "q\"\x{e9}" },
    { id => 'f4', type => 'price.updated', subject => 'a' });

sub ids {
    return join ' ', map { $_->{id} } @{ $t->poll('orders', @_)->{events} };
}

is(ids(types => 'order.updated'), 'f1 f3', 'one type');
is(ids(types => 'order.updated,price.updated'), 'f1 f2 f3 f4', 'two types');
is(ids(types => 'price.*'), 'f2 f4', 'types by prefix');
is(ids(types => '*', after => "$epoch-12"), 'f3 f4', 'every type');
is(ids(types => 'none.such'), '', 'a type that nothing has');
is(ids(subject => 'a'), 'f1 f4', 'subject');
is(ids(subject => 'a', types => 'price.*'), 'f4', 'subject and type');
is(ids(subject => 'b c'), 'f2', 'subject with a space');
is(Test::Eventsync::json(get("$events?subject=b+c")->{body})->{events}[0]{id},
    'f2', 'a plus in a subject is a space');
is(Test::Eventsync::json(get("$events?subject=q%22%C3%A9")->{body})
    ->{events}[0]{id}, 'f3', 'subject with a quote and beyond ASCII');

$page = $t->poll('orders', types => 'order.updated', after => "$epoch-10");
is_deeply([ map { $_->{prevcursor} } @{ $page->{events} } ],
    [ "$epoch-10", "$epoch-11" ],
    'with a filter prevcursor is the event before in what is sent');
is($page->{next}, "$epoch-13", 'with a filter next is the last that matched');

$page = $t->poll('orders', types => 'none.such', after => "$epoch-3");
is($page->{next}, "$epoch-14", 'nothing matches: next moves on');

$page = $t->poll('orders', types => 'price.*', limit => 1, after => "$epoch-10");
is($page->{events}[0]{id}, 'f2', 'filter and limit');
my $next = $t->poll('orders', types => 'price.*', after => $page->{next});
is($next->{events}[0]{id}, 'f4', 'filter goes on from next');
is($next->{events}[0]{prevcursor}, $page->{next},
    'and prevcursor is the cursor held');

# Enough of them that the index of types is asked.
$t->publish('alike', map { { id => "s$_", type => (qw(order order-x order.a
    order.b.c orders.created))[$_ % 5] } } 1 .. 200);
is(scalar(my @alike = @{ $t->poll('alike', types => 'order.*', limit => 1000)
    ->{events} }), 80, 'a prefix ends with its point');
is_deeply([ sort keys %{ { map { $_->{type} => 1 } @alike } } ],
    [ qw(order.a order.b.c) ], 'types that only begin alike are others');

###############################################################################
# conditional requests

$answer = get("$events?after=$epoch-14");
my $etag = $answer->{headers}{etag};
like($etag, qr/\A"[0-9a-f]{16}"\z/, 'a strong etag');
is(get("$events?after=$epoch-14")->{headers}{etag}, $etag, 'etag is stable');

$answer = get("$events?after=$epoch-14", 'if-none-match' => $etag);
is($answer->{status}, 304, 'not modified');
is($answer->{body}, '', 'no body');
is($answer->{headers}{etag}, $etag, 'its etag');
is($answer->{headers}{'cache-control'}, 'private, no-cache', 'its caching');
is(get("$events?after=$epoch-14", 'if-none-match' => $_)->{status}, 304,
    "if-none-match $_") for "W/$etag", "\"x\", $etag", '*';
is(get("$events?after=$epoch-14", 'if-none-match' => $_)->{status}, 200,
    "if-none-match $_") for '"x"', 'x';
is(get("$events?after=$epoch-13", 'if-none-match' => $etag)->{status}, 200,
    'of another position');
is($t->http(HEAD => "$events?after=$epoch-14", { authorization => "Bearer $key",
    'if-none-match' => $etag })->{status}, 304, 'head, not modified');

$t->publish('orders', { id => 'g1' });
is(get("$events?after=$epoch-14", 'if-none-match' => $etag)->{status}, 200,
    'modified by a commit');

$answer = $t->http(HEAD => $events, { authorization => "Bearer $key" });
is($answer->{status}, 200, 'head');
is($answer->{headers}{'content-length'}, length get($events)->{body},
    'head: length of the page');

###############################################################################
# parameters

my $doc = is_problem(get("$events?foo=1"), 400, 'invalid-parameter',
    'unknown parameter');
like($doc->{detail}, qr/"foo" is unknown/, 'says which');
is($doc->{parameter}, 'foo', 'and so that a program can read it');
$doc = is_problem(get("$events?limit=1&limit=1"), 400, 'invalid-parameter',
    'repeated parameter');
like($doc->{detail}, qr/"limit" is repeated/, 'says which');
is($doc->{parameter}, 'limit', 'and so that a program can read it');
$doc = problem(get("$events?a\"b\\\xff=1"));
is($doc->{parameter}, 'a"b\\?', 'whatever it is called');
is_problem(get("$events?after=$epoch-1&from=oldest"), 400, 'invalid-parameter',
    'after and from');

for my $limit (0, 1001, -1, '', 'x', '1x', '99999999999999999999') {
    $doc = is_problem(get("$events?limit=$limit"), 400, 'invalid-parameter',
        "limit=$limit");
    is_deeply([ @$doc{qw(parameter maximum)} ], [ 'limit', 1000 ],
        'says the maximum');
}
is(get("$events?limit=1000")->{status}, 200, 'limit of the maximum');

for my $wait (61, -1, 'x', '1.5', '') {
    $doc = is_problem(get("$events?wait=$wait"), 400, 'invalid-parameter',
        "wait=$wait");
    is($doc->{maximum}, 60, 'says the maximum');
}
is(get("$events?wait=60")->{status}, 200, 'wait of the maximum');

for my $query (
    'from=yesterday', 'from=2026-13-01T00:00:00Z', 'from=', 'types=',
    'types=a,,b', 'types=a*b', 'subject=', 'subject=%ff', 'subject=%zz',
    'types=%4', 'types=' . 'a' x 256, 'types=b,' . 'a' x 254 . '.*',
    'subject=' . 'a' x 1025, 'types=' . join(',', map { "t$_" } 1 .. 33),
    'types=&types=a', 'types=a&types=', 'types=a&types=%zz', 'types=a&types=b*c',
    join('&', map { "types=t$_" } 1 .. 33),
    join('&', map { "types=t$_,u$_" } 1 .. 17),
    'subject=a&subject=b')
{
    $doc = is_problem(get("$events?$query"), 400, 'invalid-parameter', $query);
    is($doc->{parameter}, $query =~ s/=.*//r, 'says which');
}

# Generated clients repeat a list.
$t->feed('lists');
$t->publish('lists', map { { id => "l-$_", type => "list.$_" } } 'a' .. 'e');
my $lists = '/v1/feeds/lists/events';
my ($start) = $t->poll('lists')->{oldest} =~ /^(\w+)-/;
for my $query ('types=list.a,list.c,list.e', 'types=list.a&types=list.c,list.e',
    'types=list.a&types=list.c&types=list.e',
    'types=%6Cist.a&limit=9&types=list%2Ec%2Clist.e', 'types=list.a,list.c'
    . join('', map { "&types=no.$_" } 1 .. 29) . '&types=list.e')
{
    my $page = get("$lists?after=$start-0&$query")->{body};
    is(join(' ', map { $_->{id} } @{ Test::Eventsync::json($page)->{events} }),
        'l-a l-c l-e', "a list: $query");
}
is(scalar @{ Test::Eventsync::json(get("$lists?after=$start-0&types=a&types=*")
    ->{body})->{events} }, 5, 'a list: of all');
like(get("$lists?from=oldest&types=list.a&limit=1&types=list.b",
    accept => 'application/x-ndjson')->{headers}{link},
    qr/\?after=$start-\d+&types=list\.a&limit=1&types=list\.b>/,
    'a list: also of the next page');

is(get("$events?types=" . 'a' x 255)->{status}, 200, 'a type of 255 bytes');
is(get("$events?subject=" . 'a' x 1024)->{status}, 200,
    'a subject of 1024 bytes');
is(get("$events?&&limit=1&")->{status}, 200, 'empty parameters do no harm');

###############################################################################
# cursors

is_problem(get("$events?after=$_"), 400, 'invalid-cursor', "after=$_") for
    '', 'x', "$epoch-", "$epoch-01", "$epoch--1", "-1", "$epoch-1x",
    uc("$epoch-1"), "$epoch-1%00", "$epoch-99999999999999999999";

$doc = is_problem(get("$events?after=$epoch-16"), 400, 'cursor-ahead',
    'ahead of the log');
is($doc->{latest}, "$epoch-15", 'says where the log is');
is(get("$events?after=$epoch-15")->{status}, 200, 'at the end of the log');

$doc = is_problem(get("$events?after=abc-3"), 410, 'feed-reset',
    'of another epoch');
is_deeply([ @$doc{qw(oldest latest missed restart)} ], [ "$epoch-0",
    "$epoch-15", undef, "$events?after=$epoch-0" ], 'says how to go on');

$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-6");
$doc = is_problem(get("$events?after=$epoch-2&limit=5"), 410, 'cursor-expired',
    'older than retention');
is_deeply([ @$doc{qw(oldest latest missed restart)} ], [ "$epoch-5",
    "$epoch-15", 3, "$events?after=$epoch-5&limit=5" ], 'says how to go on');
is(get($doc->{restart})->{status}, 200, 'and one can');
is(get("$events?after=$epoch-5")->{status}, 200, 'just before the oldest');
is($t->poll('orders')->{events}[0]{cursor}, "$epoch-6", 'from the oldest kept');
is($t->poll('orders', from => '1999-01-01T00:00:00Z')->{events}[0]{cursor},
    "$epoch-6", 'a time before the oldest is the oldest');

$t->ctl_ok('feed', 'reset', 'orders');
is_problem(get("$events?after=$epoch-10"), 410, 'feed-reset', 'after a reset');

###############################################################################
# places and methods

is_problem(get('/v1/feeds/none/events'), 404, 'not-found', 'unknown feed');
is_problem(get("/v1/$_"), 404, 'not-found', "/v1/$_") for
    '', 'events', 'feeds/orders/event', 'feed/orders/events',
    'feeds/orders/events/', 'feeds/orders/events/1', 'feeds//events';
is(get('/v1/feeds/ORDERS/events')->{status}, 404, 'a name that cannot be');

$answer = $t->http(DELETE => $events, { authorization => "Bearer $key" });
is_problem($answer, 405, 'method-not-allowed', 'delete');
is($answer->{headers}{allow}, 'GET, HEAD, POST, OPTIONS', 'what is allowed');
$answer = $t->http(POST => '/small/feeds/orders/events',
    { authorization => "Bearer $key" }, '{}');
is_problem($answer, 405, 'method-not-allowed', 'publish where it is off');
is($answer->{headers}{allow}, 'GET, HEAD, OPTIONS', 'what is allowed there');
is(get('/small/feeds')->{status}, 404, 'feeds where they are off');

is(get("$_/feeds/orders/events")->{status}, 200, "served below $_")
    for '/deep/er', '/re-ex', '/small';
is(get("$_/feeds/orders/events")->{status}, 404, "but not below $_")
    for '/deep', '/deep/er/still', '/re.ex', '/small/v1';

$t->publish('orders', map { { id => "n$_" } } 1 .. 5);
is(@{ Test::Eventsync::json(get('/small/feeds/orders/events')->{body})
    ->{events} }, 2, "a location's own default of limit");
is(problem(get('/small/feeds/orders/events?limit=4'))->{maximum}, 3,
    "a location's own maximum of limit");
is(problem(get('/small/feeds/orders/events?wait=2'))->{maximum}, 1,
    "a location's own maximum of wait");

###############################################################################
# keep-alive survives errors, bodies are not taken for requests

my $sock = $t->socket;
for my $path ("$events?foo=1", $events, '/v1/feeds/none/events', $events) {
    my $a = $t->http(GET => $path, { authorization => "Bearer $key" },
        'GET /evil HTTP/1.1', socket => $sock);
    is($a->{status}, $path eq $events ? 200 : $path =~ /foo/ ? 400 : 404,
        "kept alive: $path");
}
close $sock;

###############################################################################
# the log

$t->stop_nginx;
my $log = $t->read_file('events.log');
like($log, qr/^200 partner=tester feed=orders events=5-7$/m,
    'log: who got what');
like($log, qr/^304 partner=tester feed=orders events=---$/m,
    'log: nothing sent');
like($log, qr/^404 partner=tester feed=none events=---$/m,
    'log: unknown feed');

done_testing();
