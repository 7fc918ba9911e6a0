#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The figures of polls in GET {prefix}/status: what each kind of request adds,
# for whom, how far the reader is, and since when.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 2);
$t->feed('prices')->feed('quiet');
my $key = $t->partner_key('acme', scopes => 'read');
my $few = $t->partner_key('few', feeds => 'orders', scopes => 'read');
my $other = $t->partner_key('other', feeds => '*', scopes => 'read');
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%% zone_size=64k;
    eventsync_sse on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_poll on;
            eventsync_pages on;
            eventsync_status on;
        }
        location /few/ { eventsync_poll on; eventsync_limit poll rate=1r/h burst=1; }
        location /open/ { eventsync_poll on; eventsync_auth off; }
        location /metrics { eventsync_metrics on; eventsync_auth off; }
    }
}
CONF
put($t, 'orders', 5);
$t->run_nginx;

sub get {
    my ($path, $who, %headers) = @_;
    return $t->http(GET => $path, { authorization => 'Bearer ' . ($who // $key), %headers });
}

# The figures of a feed, once they meet the condition.
sub polls {
    my ($feed, $who, $condition) = @_;
    my $polls;
    my $met = wait_for(sub {
        my $status = Test::Eventsync::json(get('/v1/status', $who)->{body});
        ($polls) = map { $_->{polls} } grep { $_->{name} eq $feed } @{ $status->{feeds} };
        return $condition->($polls);
    }, 20);
    diag(explain($polls)) unless $met;
    return $polls;
}

sub requests { my $n = shift; return sub { $_[0] && $_[0]{requests} == $n } }

is(polls('orders', $key, sub { 1 }), undef, 'a partner that never polled has no figures');

###############################################################################
# polls

my $events = '/v1/feeds/orders/events';
my $next = Test::Eventsync::json(get("$events?limit=2")->{body})->{next};
my ($epoch) = $next =~ /^(.*)-/;
my $polls = polls('orders', $key, requests(1));
is_deeply([@$polls{qw(cursor behind events batch empty)}], [$next, 3, 2, 2, 0],
    'a poll counts, and leaves its reader at its next');
cmp_ok($polls->{seconds}, '>', 0, 'which is behind by the age of the next event');
like($polls->{$_}, qr/^\d{4}-.*Z$/, "since when: $_") for qw(since last);

get("$events?after=$epoch-2");
get("$events?after=$epoch-5");
get("$events?after=$epoch-1&limit=1");
$polls = polls('orders', $key, requests(4));
is_deeply([@$polls{qw(cursor behind seconds events batch empty)}], ["$epoch-5", 0, 0, 6, 2, 1],
    'the furthest position stays, and an answer without events is empty');
is_deeply($polls->{answers}, { '2xx' => 4 }, 'all of class 2xx');

my $since = $polls->{since};
my $etag = get($events)->{headers}{etag};
is(get($events, $key, 'if-none-match' => $etag)->{status}, 304, 'a page that has not changed');
is(get("$events?after=$epoch-99")->{status}, 400, 'a cursor ahead of the log');
is(get("$events?after=zzzz-1")->{status}, 410, 'a cursor of another epoch');
$t->http(HEAD => $events, { authorization => "Bearer $key" });
get('/v1/feeds/none/events');
get('/v1/feeds/orders/events?wrong=1');
$polls = polls('orders', $key, requests(8));
is_deeply($polls->{answers}, { '2xx' => 5, '3xx' => 1, '4xx' => 2 },
    'errors by class; HEAD, an unknown feed, and a request before its credential do not count');
is($polls->{refused}, 0, 'none of them was refused by a limit');

###############################################################################
# long polls, pages, streams

is(get("$events?after=$epoch-1", $key, prefer => 'figures=none')->{status}, 200,
    'a request that prefers not to be counted is not');
get("$events?after=$epoch-5&wait=1");
is(get("/v1/feeds/orders/pages/$epoch/1")->{status}, 200, 'a page');
$polls = polls('orders', $key, requests(10));
is_deeply($polls->{channels}{long_poll}, { requests => 1, events => 0, empty => 1 },
    'a long poll that ended without events');
is_deeply($polls->{channels}{pages}, { requests => 1, events => 5, empty => 0 },
    'a page with its events');

my $reader = Test::Eventsync::Reader->new($t, "$events?after=$epoch-4", $key);
$reader->events(1);
$polls = polls('orders', $key, requests(11));
is_deeply($polls->{channels}{stream}, { requests => 1, events => 1, empty => 0 },
    'a stream counts when it begins, and its events as they go');
put($t, 'orders', 1);
$reader->events(1);
$polls = polls('orders', $key, sub { ($_[0]{channels}{stream}{events} // 0) == 2 });
is_deeply([@$polls{qw(cursor behind requests)}], ["$epoch-6", 0, 11], 'and it moves the reader');
close $reader->{call}{sock};
is($polls->{since}, $since, 'all this since the first request');

###############################################################################
# refusals, partners, feeds

is(get('/few/feeds/orders/events', $few)->{status}, $_, "a poll: $_") for 200, 429, 429;
$polls = polls('orders', $few, requests(3));
is_deeply([@$polls{qw(refused answers)}], [2, { '2xx' => 1, '4xx' => 2 }],
    'a limit refused two');
is(polls('orders', $other, sub { 1 }), undef, 'another partner has figures of its own');
is(polls('prices', $key, sub { 1 }), undef, 'and so has another feed');

is(get('/open/feeds/orders/events')->{status}, 200, 'a request without authentication');
is(polls('orders', $other, sub { 1 }), undef, 'belongs to no partner');

###############################################################################
# a promise of freshness

sub feed {
    my ($name) = @_;
    my $status = Test::Eventsync::json(get('/v1/status')->{body});
    return (grep { $_->{name} eq $name } @{ $status->{feeds} })[0];
}

sub fresh { my ($n, $of) = @_; return sub { $_[0] && $_[0]{fresh}{$of} == $n } }

is(feed('prices')->{fresh_within}, undef, 'a feed promises nothing');
put($t, 'prices', 1);
get('/v1/feeds/prices/events');
$polls = polls('prices', $key, requests(1));
is_deeply($polls->{fresh}, { kept => 0, missed => 0, excused => 0, share => undef,
    worst => undef }, 'and nothing is judged');

$t->ctl_ok('feed', 'change', 'prices', '--fresh-within=1h');
put($t, 'prices', 2);
my ($of) = feed('prices')->{latest} =~ /^(.*)-/;
get("/v1/feeds/prices/events?after=$of-1&limit=2");
get('/v1/feeds/prices/events');
$polls = polls('prices', $key, fresh(1, 'kept'));
is($polls->{requests}, 3, 'events that were returned before are not judged again');
is_deeply([@{ $polls->{fresh} }{qw(missed excused share)}], [0, 0, 1], 'the promise was kept');
cmp_ok($polls->{fresh}{worst}, '<', 3600, 'at worst');
ok(wait_for(sub { (feed('prices')->{fresh_within} // 0) == 3600 }, 20), 'the status has the promise');

my $wait = Test::Eventsync::Reader->new($t, '/v1/feeds/prices/events?from=latest', $key);
put($t, 'prices', 1);
$wait->events(1);
is(polls('prices', $key, fresh(2, 'kept'))->{fresh}{missed}, 0, 'a stream keeps it, too');
close $wait->{call}{sock};

# longer than any machine takes for an answer, and shorter than the test waits

$t->ctl_ok('feed', 'change', 'prices', '--fresh-within=2s');
put($t, 'prices', 1);
sleep 2.2;
get('/v1/feeds/prices/events?from=oldest');
$polls = polls('prices', $key, sub { 1 });
is($polls->{fresh}{missed}, 0, 'who pages through history breaks nothing');
my ($last) = feed('prices')->{latest} =~ /-(\d+)$/;
put($t, 'prices', 1);
sleep 2.2;
get("/v1/feeds/prices/events?after=$of-$last");
$polls = polls('prices', $key, fresh(1, 'excused'));
is_deeply([@{ $polls->{fresh} }{qw(kept missed share)}], [2, 0, 1],
    'nor does who asks seldom');

my $long = $t->http_start(GET => "/v1/feeds/prices/events?after=$of-" . ($last + 1) . '&wait=60',
    { authorization => "Bearer $key" });
ok(wait_for(sub { $t->http(GET => '/metrics')->{body}
    =~ /^eventsync_http_waiting_requests\{kind="poll"\} 1$/m }), 'a long poll waits');
my @workers = $t->workers;
kill 'STOP', @workers;
put($t, 'prices', 1);
sleep 2.2;
kill 'CONT', @workers;
is($t->http_end($long)->{status}, 200, 'a server that hangs answers it late');
$polls = polls('prices', $key, fresh(1, 'missed'));
cmp_ok($polls->{fresh}{worst}, '>', 2, 'which breaks the promise');
like($t->http(GET => '/metrics')->{body},
    qr/^eventsync_feed_fresh_total\{feed="prices",channel="poll",result="missed"\} 1$/m,
    'the metrics have it by feed');

###############################################################################
# a reset of the feed, a reload, and a table that is full

$t->ctl_ok('feed', 'reset', 'orders');
$polls = polls('orders', $key, sub { !defined $_[0]{cursor} });
is_deeply([@$polls{qw(cursor behind seconds requests)}], [undef, undef, undef, 11],
    'after a reset the position is unknown');

$t->reload;
$polls = polls('orders', $key, sub { 1 });
is_deeply([@$polls{qw(requests since)}], [11, $since], 'a reload keeps the figures');

sub evicted {
    my ($n) = $t->http(GET => '/metrics')->{body}
        =~ /^eventsync_poll_figures_evicted_total (\d+)$/m;
    return $n;
}

my @many = map { "many$_" } 1 .. 20;
$t->feed($_) for @many;
get("/v1/feeds/$_/events") for @many;
ok(wait_for(sub { evicted() > 0 }, 20), 'in a small zone new pairs take over old ones');
ok(polls($many[-1], $key, requests(1)), 'the newest is there');
is(polls('orders', $few, sub { !$_[0] }), undef, 'the one that was quiet for longest is not');

###############################################################################
# a damaged event

$t->feed('damaged');
put($t, 'damaged', 1);
get('/v1/feeds/damaged/events');
put($t, 'damaged', { data => 'X' x 20 });
ok(polls('damaged', $key, requests(1)), 'a reader that is behind');
{
    my $file = $t->store . '/log/data.mdb';
    open my $fh, '+<:raw', $file or die "$file: $!";
    my $data = do { local $/; <$fh> };
    while ($data =~ /X{20}/g) {
        seek $fh, $-[0], 0;
        print $fh 'Y' x 20;
    }
    close $fh or die;
}
$t->allow_errors(qr/does not match its hash/);
$polls = polls('damaged', $key, sub { $_[0] && !defined $_[0]{cursor} });
is_deeply([@$polls{qw(cursor behind seconds requests)}], [undef, undef, undef, 1],
    'of which the next event is damaged, has a status without a position');

$t->finish;
done_testing();
