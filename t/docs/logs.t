#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/logs.md: each line of the JSON logs is an object, whatever comes, and the
# commands of the page lead from any id to all lines of an event.

use warnings;
use strict;

use IO::Socket::INET;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks qw(attempts);

plan skip_all => 'no jq' if !grep { -x "$_/jq" } split /:/, $ENV{PATH};

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my $page = slurp('docs/logs.md');

sub slurp {
    my ($name) = @_;
    open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

my ($access) = $page =~ /^```nginx\n(access_log .*?)^```/ms;
my ($header) = $page =~ /^```nginx\n(add_header .*?)^```/ms;
my ($options) = $page =~ /^Environment=DISPATCHER_OPTIONS="(.*)"$/m;
$access =~ s{/var/log/nginx/}{$dir/} or die;

$t->store_init->feed('orders')->feed('other');
my $key = $t->partner_key('acme', feeds => 'orders,other',
    publish => 'orders,other');
my $gone = $t->partner_key('gone', feeds => 'orders');
$t->ctl_ok('key', 'revoke', substr $gone, 4, 10);
sub conf {
    my ($http, $location) = @_;
    $t->default_conf(http => slurp('docs/recipes/json-log.conf') . $access
        . $header . $http, location => 'eventsync_sse on; eventsync_backfill on;'
        . " eventsync_pages on; $location");
}
conf('', 'eventsync_limit address rate=1r/m burst=1;');
$t->run_nginx;
my $recv = $t->receiver(sub { $_[0]{path} eq '/bad' ? 500 : 204 });
my ($good) = $t->endpoint('acme', url => $recv->url('/good'),
    feeds => 'orders');
my ($batch) = $t->endpoint('acme', url => $recv->url('/batch'),
    feeds => 'orders', batch => 10);
my ($bad) = $t->endpoint('acme', url => $recv->url('/bad'), feeds => 'orders');
my $proc = $t->run_dispatcher(split ' ', $options);

sub publish {
    my ($feed, $body, %headers) = @_;
    return $t->http(POST => "/v1/feeds/$feed/events", { authorization =>
        "Bearer $key", 'content-type' => 'application/x-ndjson', %headers },
        $body);
}
sub get { $t->http(GET => $_[0], { authorization => "Bearer $key",
    @_[1 .. $#_] }) }
sub lines { map { eval { JSON::PP->new->utf8->decode($_) } // { bad => $_ } }
    split /\n/, slurp("$dir/eventsync.json") }

###############################################################################
# events in all channels

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
is(publish('other', $t->event . "\n")->{status}, 201, 'another feed');
my $earlier = publish('orders', $t->event . "\n")->{headers}{'x-request-id'};
my @ids = map { "evt_$_" } 1 .. 3;
my $body = join '', map { $t->event(id => $_) . "\n" } @ids;
my $stored = publish('orders', $body,
    traceparent => "00-$trace-00f067aa0ba902b7-01");
is($stored->{status}, 201, 'three events');
my $request = $stored->{headers}{'x-request-id'};
like($request, qr/^[0-9a-f]{32}\z/, 'whose answer has the id of the request');
my @waiting = map { $t->http_start(GET => "/v1/feeds/orders/events?after="
    . (Test::Eventsync::json($stored->{body})->{results}[2]{cursor})
    . '&wait=30', { authorization => "Bearer $key" }) } 1 .. 3;
my $again = publish('orders', $body)->{headers}{'x-request-id'};
$t->waiting(3);
is(publish('orders', $t->event . "\n")->{status}, 201, 'and an event after');
my @woken = map { $t->http_end($_)->{headers}{'x-request-id'} } @waiting;
ok(wait_for(sub { attempts($t, $good) == 5 && attempts($t, $batch) == 5
    && attempts($t, $bad) >= 1 }, 30), 'webhooks are sent');

my @cursors = map { $_->{cursor} }
    @{ Test::Eventsync::json($stored->{body})->{results} };
my ($epoch) = $cursors[0] =~ /^(.*)-/;
my %polls = (
    whole => '/v1/feeds/orders/events?from=oldest',
    part => "/v1/feeds/orders/events?after=$cursors[0]",
    backfill => '/v1/feeds/orders/backfill?from=oldest',
    manifest => '/v1/feeds/orders/manifest?from=oldest',
    page => "/v1/feeds/orders/pages/$epoch/head",
    before => "/v1/feeds/orders/events?from=oldest&limit=1",
    other => '/v1/feeds/other/events?from=oldest');
my %id = map { my $a = get($polls{$_}); is($a->{status}, 200, $_);
    ($_ => $a->{headers}{'x-request-id'}) } sort keys %polls;
my $stream = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $t->port(0)) or die;
print $stream "GET $polls{whole} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
    . "$key\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
my $text = '';
wait_for(sub { sysread $stream, $text, 65536, length $text;
    $text =~ /evt_3/ && $text =~ /\Q$cursors[2]\E/ }, 30);
($id{stream}) = $text =~ /^X-Request-Id: (\S+)\r$/mi;
close $stream;

###############################################################################
# what breaks logs

# A key that is not valid has no name in the log.
my $wrong = $t->http(GET => $polls{whole}, { authorization => "Bearer $gone",
    traceparent => "00-$trace-00f067aa0ba902b7-01" });
is($wrong->{status}, 401, 'a key that is not valid');
my $limited = $t->http(GET => $polls{whole}, { authorization => 'Bearer x',
    traceparent => "00-$trace-00f067aa0ba902b7-01" });
is($limited->{status}, 429, 'and an address that tries again');

for my $line ("GET /v1/feeds/\"or\\ders\"/events?a=\"\\ HTTP/1.1",
    "GET /v1/feeds/%ff%00%22%0a/events HTTP/1.1",
    "GET /v1/feeds/\xff\xfe\xc3/events HTTP/1.1",
    "GET /v1/feeds/\x7f\"/events?key=esk_secret\xff HTTP/1.1",
    "\"GE\\T / HTTP/1.1", "GET", "GET /\x01 HTTP/1.1",
    "POST /v1/feeds/orders/events HTTP/1.1\r\nContent-Length: 9")
{
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->port(0)) or die;
    print $s "$line\r\nHost: a\"\\\xff\r\nTraceparent: 00-\"\xff\\-00-01\r\n"
        . "User-Agent: \"\xff\\\r\nConnection: close\r\n\r\n";
    shutdown $s, 1;
    1 while sysread $s, my $some, 65536;
}
ok(wait_for(sub { 18 + keys(%id) <= lines() }, 30), 'there is a line for each')
    or diag scalar(lines());
my @lines = lines();
is_deeply([map { $_->{bad} // () } @lines], [], 'each is a JSON object');
unlike(slurp("$dir/eventsync.json"), qr/esk_|\Q@{[ substr $key, 15 ]}\E/,
    'none has a key');
my %line = map { $_->{request_id} => $_ } @lines;
my ($refused) = $line{ $wrong->{headers}{'x-request-id'} };
is_deeply([@$refused{qw(status problem partner key trace_id)}],
    ['401', 'unauthorized', '', '', $trace], 'a refused request says why');
is_deeply([@{ $line{$request} }{qw(partner key feed epoch first last events)}],
    ['acme', substr($key, 4, 10), 'orders', $epoch, 2, 4, 3],
    'a publish has its key and its events');
is_deeply([@{ $line{$again} }{qw(epoch first last events)}],
    [$epoch, 2, 4, ''], 'repeated, it has the same events, and none is new');
for (['whole', 1, 5, 5], ['part', 3, 5, 3], ['backfill', 1, 5, 5],
    ['page', 1, 5, 5], ['before', 1, 1, 1], ['stream', 1, 5, 5],
    ['manifest', 1, 5, ''])
{
    my ($name, @is) = @$_;
    is_deeply([@{ $line{ $id{$name} } }{qw(epoch first last events)}],
        [$epoch, @is], "$name: so has a request that is sent events");
}
is_deeply([map { join ' ', @$_{qw(epoch first last events)} } @line{@woken}],
    [("$epoch 5 5 1") x 3], 'so have long polls that share an answer');

###############################################################################
# the commands

is($t->stop_dispatcher, 0, 'the dispatcher ends');
$t->write_file('journal', $proc->stderr);
mkdir "$dir/bin";
$t->write_file('bin/journalctl', "#!/bin/sh\ncat $dir/journal\n");
chmod 0755, "$dir/bin/journalctl";
my ($script) = $page =~ /^```sh\n(access=.*?)^```/ms;
$script =~ s{/var/log/nginx/}{$dir/}g;
$script =~ s{^webhooks=}{webhooks=$dir/}m;
my %command = map { /^\| (.*?) \| `(.*?)`[^|]* \|$/ ? ($1 => $2) : () }
    map { s/\\\|/\x{1}/gr } split /\n/, $page;
s/\x{1}/|/g for values %command;

sub run {
    my ($what, %vars) = @_;
    my ($command) = map { $command{$_} } grep { /$what/ } keys %command;
    $t->write_file('run.sh', join "\n", "PATH=$dir/bin:\$PATH", $script,
        (map { "$_='$vars{$_}'" } keys %vars), $command, '');
    my $run = $t->start('run', {}, 'sh', "$dir/run.sh");
    is($run->wait(20), 0, $command) or diag $run->stderr;
    return $run->stdout;
}

# Who is in these lines: requests by their names, endpoints.
my %name = ((map { $id{$_} => $_ } keys %id), $request => 'publish',
    $again => 'again', $earlier => 'earlier',
    $good => 'good', $bad => 'bad', $batch => 'batch');
sub who {
    my ($text, $name) = @_;
    my %who = map { ($name{ $_->{request_id} // $_->{endpoint} } // '?') => 1 }
        map { JSON::PP->new->utf8->decode($_) } split /\n/, $text;
    return join ' ', sort keys %who;
}
my $all = 'again backfill bad batch good manifest page part publish stream'
    . ' whole';

is(who(run('an event that', feed => 'orders', cursor => $cursors[1])), $all
    =~ s/bad //r, 'an event leads to all requests and webhooks that had it');
my $first = $cursors[0] =~ s/-2\z/-1/r;
is(who(run('an event that', feed => 'orders', cursor => $first)),
    'backfill bad batch before earlier good manifest page stream whole',
    'an event that is not delivered leads to the attempts that failed');
is(who(run('a publish', id => $request)), $all =~ s/bad //r,
    'so does the request that published it');
like(run('webhook-id', id => 'evt_2'), qr/"cursor":"\Q$cursors[1]\E"/,
    'a webhook-id leads to the cursor');
my $traced = run('a trace', trace => $trace);
is(scalar(() = $traced =~ /"cursor"/g), 6, 'a trace leads to all its webhooks');
like($traced, qr/"request_id":"$request"/, 'to the publish');
my $id = $limited->{headers}{'x-request-id'};
my $said = qr/eventsync limits client .*?, client: \S+, (??{
    qr{request_id: "$id", trace_id: "$trace", server: } })/;
like($traced, $said, 'and to the error log');
my $failed = run('a request that failed', id => $id);
like($failed, $said, 'a request leads there, too');
is(scalar(() = $failed =~ /\n/g), 1, 'and to no line of another one');

###############################################################################
# a trace that the server begins

conf('eventsync_otlp http://127.0.0.1:1 share=1;', '');
$t->reload;
$proc = $t->run_dispatcher(split ' ', $options);
my $own = publish('orders', $t->event(id => 'evt_own') . "\n");
is($own->{status}, 201, 'another publish') or diag $own->{body};
ok(wait_for(sub { $proc->stderr =~ /"evt_own"/ }, 30), 'another event is sent')
    or diag $proc->stderr;
is($t->stop_dispatcher, 0, 'the dispatcher ends');
my ($begun) = map { $_->{trace_id} } grep { $_->{request_id}
    eq $own->{headers}{'x-request-id'} } lines();
my ($webhook) = map { JSON::PP->new->utf8->decode($_) }
    grep { /"evt_own"/ } split /\n/, $proc->stderr;
like($begun, qr/^[0-9a-f]{32}\z/, 'its publish has the trace that was begun');
is($webhook->{trace_id}, $begun, 'and so has its webhook');

$t->ctl_ok('endpoint', 'remove', $_) for $good, $batch, $bad;
done_testing();
