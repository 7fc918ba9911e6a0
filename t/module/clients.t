#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Clients that stall, vanish or pipeline: each ends in its time, nothing of
# them is left behind, and what they publish is wholly there or not at all.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init->feed('orders')->feed('aborted')->feed('stalled');
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { worker_connections 512; }
http {
    log_format events '$status $request_uri';
    access_log %%TESTDIR%%/events.log events;
    eventsync_store %%STORE%%;
    client_header_timeout 1s;
    client_body_timeout 1s;
    send_timeout 1s;
    keepalive_timeout 20s;
    lingering_timeout 1s;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            client_max_body_size 32m;
        }
        location /few/ {
            eventsync_poll on;
            eventsync_limit waits max=5;
        }
        location /sse/ {
            eventsync_poll on;
            eventsync_sse on;
            eventsync_sse_max_time 1s;
        }
        location = /status { stub_status; }
        location = /ops/metrics { eventsync_metrics on; eventsync_auth off; }
    }
}
CONF
$t->run_nginx;

my $events = '/v1/feeds/orders/events';
$t->publish('orders', map { { id => "o$_" } } 1 .. 5);
my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-5$/;

sub text {
    my ($method, $path, $body, @headers) = @_;
    return join "\r\n", "$method $path HTTP/1.1", 'Host: x',
        "Authorization: Bearer $key", @headers,
        defined $body ? ('Content-Type: application/x-ndjson',
            'Content-Length: ' . length $body) : (), '', $body // '';
}

# A connection on which this was sent, to read answers from.
sub client {
    my ($text) = @_;
    my $sock = $t->socket;
    $t->send_all($sock, $text);
    return { sock => $sock, method => 'GET', began => time, timeout => 30,
        buf => '' };
}

sub gone { $t->reset_socket($_->{sock}) for @_ }

# Connections that nginx has, but for the one that asks.
sub connections {
    my $body = $t->http(GET => '/status')->{body};
    return $body =~ /^Active connections: (\d+)/ ? $1 - 1 : -1;
}

sub none_left {
    my ($name) = @_;
    ok(wait_for(sub { connections() == 0 }, 20), "$name: nothing is left");
}

sub ids {
    my ($answer) = @_;
    my $doc = Test::Eventsync::json($answer->{body}) or return 'none';
    return join ' ', map { $_->{id} } @{ $doc->{events} };
}

###############################################################################
# stall

my $event = $t->event(id => 'half') . "\n";
my %stalled = (
    'a connection and nothing' => '',
    'half a request line' => 'GET /v1/feeds/ord',
    'half a head' => "GET $events HTTP/1.1\r\nHost: x\r\nAuthoriz",
    'half a body' => substr(text(POST => '/v1/feeds/stalled/events',
        $event x 2), 0, -20),
    'half a chunk' => text(POST => '/v1/feeds/stalled/events', undef,
        'Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked')
        . sprintf("%x\r\n%s", length($event) + 99, $event),
    'no body' => text(POST => '/v1/feeds/stalled/events', undef,
        'Content-Type: application/x-ndjson', 'Content-Length: 100'),
    'a body that nobody asked for' => text(GET => $events, undef,
        'Content-Length: 1000') . 'x' x 10,
);
my %clients = map { $_ => client($stalled{$_}) } keys %stalled;
for my $name (sort keys %stalled) {
    my $client = $clients{$name};
    my $text = $t->read_all($client->{sock}, 20);
    cmp_ok(time - $client->{began}, '<', 15, "$name: is ended");
    unlike($text, qr{^HTTP/1.1 5}m, "$name: not by an error of ours");
}
%clients = ();
none_left('stalled');
is(@{ $t->poll('stalled')->{events} }, 0, 'nothing half is stored');

###############################################################################
# vanish

my @clients = map { client(text(GET => "$events?after=$epoch-5&wait=60")) }
    1 .. 60;
ok(wait_for(sub { connections() == 60 }, 10), 'sixty wait');
close $_->{sock} for @clients[0 .. 29];
gone(@clients[30 .. 59]);
none_left('long polls');

for my $round (1 .. 3) {
    @clients = map { client(text(GET =>
        "/few/feeds/orders/events?after=$epoch-5&wait=60")) } 1 .. 5;
    ok(wait_for(sub { $t->http(GET =>
        "/few/feeds/orders/events?after=$epoch-5&wait=60",
        { authorization => "Bearer $key" }, undef, timeout => 1)->{status}
        == 429 }, 10), 'five may wait');
    gone(@clients);
    none_left('those that count as waiting');
}

# Leaving in the moment in which they are woken.
for my $round (1 .. 10) {
    @clients = map { client(text(GET => "$events?from=latest&wait=60")) }
        1 .. 20;
    ok(wait_for(sub { connections() == 20 }, 10), 'twenty wait') if $round < 2;
    my $publish = client(text(POST => $events, $t->event(id => "w$round")));
    gone(@clients[0 .. 9]);
    is($t->http_end($publish)->{status}, 201, 'a commit wakes them');
    close $publish->{sock};
    gone(@clients[10 .. 19]);
}
none_left('those that left when they were woken');

@clients = map { client(text(GET => '/sse/feeds/orders/events?from=latest',
    undef, 'Accept: text/event-stream')) } 1 .. 20;
$t->publish('orders', { id => 'sse' });
gone(@clients);
none_left('streams');

###############################################################################
# vanish while publishing: all or nothing of each request

my $n = 0;
my $pad = 'x' x 400;
for my $round (1 .. 40) {
    my $body = join '', map {
        $t->event(id => "r$round-$_", data => $pad) . "\n" } 1 .. 50;
    my $text = text(POST => '/v1/feeds/aborted/events', $body);

    # Cut somewhere, or nowhere, and left at once or a little later.
    my $cut = $round % 3 ? length $text : int rand length $text;
    my $client = client(substr $text, 0, $cut);
    sleep rand 0.01 if $round % 2;
    $round % 5 ? gone($client) : close $client->{sock};
    $n++ if $cut == length $text;
}
none_left('publishers');

my %rounds;
$rounds{ ($_->{id} =~ /^r(\d+)-/)[0] }++ for @{ $t->poll_all('aborted') };
is_deeply([ grep { $rounds{$_} != 50 } keys %rounds ], [],
    'of each request all is stored, or nothing');
cmp_ok(keys %rounds, '<=', $n, 'nothing of those that were cut');
note(scalar(keys %rounds) . " of $n were stored");
ok($t->verify, 'and the store is sound');

# What one does not know, one sends again.
for my $round (1 .. 40) {
    $t->publish('aborted', map { $t->event(id => "r$round-$_", data => $pad) }
        1 .. 50);
}
is(scalar @{ $t->poll_all('aborted') }, 2000, 'sent again, each is there once');

###############################################################################
# pipeline

my $client = client(join '', map {
    text(GET => "$events?after=$epoch-$_&limit=1") } 0 .. 4, 0 .. 4);
is(join(' ', map { ids($t->http_end($client)) } 1 .. 10),
    'o1 o2 o3 o4 o5 o1 o2 o3 o4 o5', 'polls are answered in order');
close $client->{sock};

$client = client(text(GET => "$events?from=latest&wait=20")
    . text(GET => "$events?after=$epoch-0&limit=1")
    . text(GET => "$events?after=x")
    . text(GET => "$events?from=latest&wait=1"));
ok(wait_for(sub { connections() == 1 }, 10), 'a long poll before others');
$t->waiting(1);
$t->publish('orders', { id => 'behind' });
is(ids($t->http_end($client)), 'behind', 'the long poll is answered first');
is(ids($t->http_end($client)), 'o1', 'then what was behind it');
is($t->http_end($client)->{status}, 400, 'an error too');
is(ids($t->http_end($client)), '', 'and another long poll');
close $client->{sock};

$client = client(join '', map { text(POST => $events,
    $t->event(id => "p$_") . "\n") . text(GET => "$events?from=latest")
    . text(GET => "$events?limit=1000") } 1 .. 3);
for (1 .. 3) {
    is($t->http_end($client)->{status}, 201, 'published in a pipeline');
    is($t->http_end($client)->{status}, 200, 'polled in it');
    like(ids($t->http_end($client)), qr/ p$_\z/, 'and it is there');
}
close $client->{sock};

$client = client(text(GET => '/sse/feeds/orders/events?from=latest', undef,
    'Accept: text/event-stream') . text(GET => "$events?after=$epoch-0&limit=1"));
is($t->http_end($client)->{status}, 200, 'a stream ends');
is(ids($t->http_end($client)), 'o1', 'and what was behind it is answered');
close $client->{sock};

# Leaving a pipeline: what was behind a long poll is not done.
$client = client(text(GET => "$events?from=latest&wait=60")
    . text(POST => $events, $t->event(id => 'never') . "\n"));
ok(wait_for(sub { connections() == 1 }, 10), 'a publish behind a long poll');
$t->waiting(1);
gone($client);
none_left('a pipeline');
is(scalar(grep { $_->{id} eq 'never' } @{ $t->poll_all('orders') }), 0,
    'is not published');

# A half-closed connection still has its answer.
$client = client(text(GET => "$events?limit=1", undef, 'Connection: close'));
shutdown $client->{sock}, 1;
is(ids($t->http_end($client)), 'o1', 'half-closed, it has its answer');
close $client->{sock};

###############################################################################

is($t->http(GET => $events, { authorization => "Bearer $key",
    'x-long' => 'x' x 40000 })->{status}, 400, 'too long a header');
none_left('all');
is($t->stop_nginx, 0, 'nginx ends');
unlike($t->read_file('error.log'), qr/open socket .* left|\[alert\]/,
    'and has nothing to complain of');

done_testing();
