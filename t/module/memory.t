#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Memory of a worker while clients ask for large answers and do not read them,
# or read a little now and then.  CLIENTS=1000 is the full size.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

# An idle worker may grow by 100 MB for 1000 clients.
my $clients = $ENV{CLIENTS} || 200;
my $bound = $clients * 100;     # kB

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('large')->feed('huge');
my $key = $t->master_key;

$t->default_conf(connections => $clients + 200,
    main => 'worker_rlimit_nofile ' . ($clients * 2 + 500) . ';',
    http => 'gzip_types *;', listen => 'sndbuf=64k',
    server => <<'CONF', location => <<'CONF');
        location /gzip/ {
            eventsync_poll on;
            gzip on;
        }
CONF
client_max_body_size 16m;
            eventsync_snapshot on;
            eventsync_pages on;
            eventsync_catalogue on;
            eventsync_sse on;
CONF
$t->run_nginx;

my $worker;
wait_for(sub { ($worker) = $t->workers }) or die "no worker\n";

sub resident {
    open my $f, '<', "/proc/$worker/status" or die "no status: $!\n";
    return (map { /^VmRSS:\s+(\d+)/ } <$f>)[0];
}

# 1000 events with a subject of their own, and 4 MB in all.
srand 4711;
sub fill {
    my ($feed) = @_;
    my @events = map { { subject => "s$_", data => { n => $_, x => join '',
        map { chr 97 + int rand 26 } 1 .. 3900 } } } 1 .. 1000;
    while (my @some = splice @events, 0, 250) {
        is($t->publish($feed, @some)->{status}, 201, "published to $feed");
    }
}
fill('large');

# The first line of an answer, which has begun then.
sub status {
    my ($sock) = @_;
    sysread $sock, my $text, 12;
    return $text;
}

my $epoch = $t->json_get('/v1/feeds/large', $key)->{epoch};

my %of = (
    'polls' => ['events?limit=1000'],
    'polls of lines' => ['events?limit=1000', 'application/x-ndjson'],
    'polls with a filter' => ['events?limit=1000&types=test.*'],
    'polls with gzip' => ['/gzip/feeds/large/events?limit=1000', '*/*', 'gzip'],
    'streams of large events' => ['/v1/feeds/huge/events', 'text/event-stream'],
    'snapshots' => ['snapshot?limit=1000'],
    'pages' => ["pages/$epoch/1"],
    'encoded pages' => ["pages/$epoch/1", '*/*', 'br'],
);

sub request {
    my ($path, $type, $encoding) = @{ $of{ $_[0] } };
    return ($path =~ m{^/} ? $path : "/v1/feeds/large/$path", {
        authorization => "Bearer $key", accept => $type // 'application/json',
        $encoding ? ('accept-encoding' => $encoding) : () });
}

$t->publish('huge', map { { data => 'x' x 260_000 } } 1, 2);

# An answer of each kind once, so that the events are in memory.
for my $what (grep { !/streams/ } sort keys %of) {
    my $answer = $t->http(GET => request($what));
    cmp_ok(length $answer->{body}, '>', 200_000, "$what: an answer is large");
}
my $idle = resident();

# A sanitizer keeps what is freed.
sub grown {
    my ($what, $most) = @_;
    my $grown = resident() - $idle;
    SKIP: {
        skip 'freed memory is kept', 1 if $t->sanitized;
        cmp_ok($grown, '<', $most, "$what: $grown kB for $clients clients");
    }
}

for my $what (sort keys %of) {
    my @socks = map { $t->stalled(request($what)) } 1 .. $clients;
    is(scalar(grep { status($_) ne 'HTTP/1.1 200' } @socks), 0,
        "$what: $clients clients have an answer");
    grown($what, $bound);
}

# Answers in one piece: a partner has room for 16 MB, and beyond that its
# requests are refused.
my ($code) = $t->ctl({ stdin => '{"description":"' . 'd' x 260_000 . '"}' },
    'type', 'register', 'test.large', '1.0.0');
is($code, 0, 'a large document');
{
    my %statuses;
    my @socks = map { $t->stalled('/v1/event-types/test.large/1.0.0',
        { authorization => "Bearer $key" }) } 1 .. $clients;
    $statuses{ status($_) }++ for @socks;
    cmp_ok($statuses{'HTTP/1.1 200'}, '>', 50, 'documents: so many are sent');
    is(join(' ', sort keys %statuses), 'HTTP/1.1 200 HTTP/1.1 429',
        'documents: the others are refused');
    grown('documents', $bound > 30_000 ? $bound : 30_000);
}

$t->stop_nginx;
done_testing();
