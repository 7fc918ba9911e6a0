#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Raw requests, changed at random, through a real worker: whatever comes over
# the socket, the answer is well-formed, documented and about this request
# alone, and the worker goes on.
#
# A run is bounded and begins with a seed, so it is the same each time:
#
#     ES_FUZZ_ROUNDS=3000  requests
#     ES_FUZZ_SEED=1       of rand()
#     ES_FUZZ_TIME=60      seconds instead of rounds; what make fuzz uses
#     ES_FUZZ_INPUT=FILE   that request alone
#
# A request whose answer is of a kind that was not seen before becomes a seed
# itself.  One that finds a fault is left in the build directory; copy it to
# t/fuzz/corpus/requests/ after the repair.

use warnings;
use strict;

use Cwd qw(abs_path);
use IO::Select;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Answer;
use Test::Eventsync::Mutate;

my $seed = $ENV{ES_FUZZ_SEED} // 1;
my $rounds = $ENV{ES_FUZZ_ROUNDS} // 3000;
my $until = $ENV{ES_FUZZ_TIME} ? time + $ENV{ES_FUZZ_TIME} : undef;
srand $seed;
note("ES_FUZZ_SEED=$seed");

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_, retain_count => 300) for qw(orders paged trimmed);
$t->feed('strict', schema => 'enforce', retain_count => 300);
$t->feed('lax', schema => 'warn', retain_count => 300);
$t->ctl_ok({ stdin => '{"properties":{"a":{"type":"array"}},'
    . '"additionalProperties":{"type":"integer"}}' }, 'type', 'register', $_,
    '1.0.0', $_ eq 'secret' ? '--feeds=of-others' : ())
    for qw(order.updated secret);

my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds pages sse
    authorize backfill snapshot catalogue checkpoints endpoints status operator
    metrics openapi health token);
chmod 0600, $t->write_file('keys.json', encode_json({ keys => [
    { kty => 'oct', alg => 'HS256', kid => 'one', k => 'MTEx' x 11 } ] }));

$t->write_file_expand('nginx.conf', <<"CONF");
events { }

http {
    eventsync_store %%STORE%%;
    eventsync_token_keys keys.json;
    eventsync_poll_wait_max 1s;
    eventsync_cors https://a.example;
    eventsync_ready_dispatcher off;
    client_max_body_size 64k;
    client_header_timeout 5s;
    client_body_timeout 5s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        keepalive_requests 1000;

        location /v1/ { $all }
        location /shared/ { $all eventsync_cache shared; }
        location /limited/ {
            $all
            eventsync_limit poll rate=600r/m burst=3;
            eventsync_limit publish rate=600r/m burst=3;
            eventsync_ratelimit_headers legacy;
        }
        location /open/ { $all eventsync_auth off; }
        location '/a"> %?#\xc3\xa9b/' { $all }
    }
}
CONF
$t->run_nginx;

my $key = $t->partner_key('acme', feeds => 'orders,paged,trimmed,strict,lax',
    publish => '*', scopes => 'read,publish,ack,manage');
my %known = (KEY => $key,
    READ => $t->partner_key('acme', scopes => 'read', key_feeds => 'paged'),
    ADMIN => $t->partner_key('ops', scopes => 'admin'),
    BASIC => encode_base64(substr($key, 4, 10) . ":$key", ''));

$t->publish('orders', map { { id => "o$_", subject => 's' . $_ % 5,
    type => $_ % 2 ? 'order.updated' : 'b' } } 1 .. 12);
$t->publish('paged', map { { id => "p$_" } } 1 .. 250);
$t->publish('trimmed', {}, {}, {});
@known{qw(EPOCH PAGED OLD)} = map { $t->json_get("/v1/feeds/$_", $key)->{latest}
    =~ s/-.*//r } qw(orders paged trimmed);
$t->ctl_ok('feed', 'trim', 'trimmed', "--before=$known{OLD}-3");
$known{TOKEN} = $t->json_get('/v1/feeds/orders/snapshot?limit=2', $key)->{next};
$known{ETAG} = $t->http(GET => '/v1/event-types/order.updated',
    { authorization => "Bearer $key" })->{headers}{etag};
$known{ENDPOINT} = Test::Eventsync::json($t->http(POST => '/v1/endpoints',
    { authorization => "Bearer $key", 'content-type' => 'application/json' },
    '{"url":"https://a.example/","feeds":["orders"]}')->{body})->{name};
$known{JWT} = Test::Eventsync::json($t->http(POST => '/v1/token',
    { authorization => "Basic $known{BASIC}",
        'content-type' => 'application/x-www-form-urlencoded' },
    'grant_type=client_credentials')->{body})->{access_token};
is((grep { !defined } @known{qw(TOKEN ETAG ENDPOINT JWT)}), 0,
    'all that seeds name is there');

my @workers = $t->workers;
my @seeds = map { $t->read_file("$Test::Eventsync::ROOT/$_") }
    sort glob 't/fuzz/corpus/requests/*';
my (%kinds, @faults, $sock, $tried);
my $read = 0;      # bytes of the log

# ---- one request ----

# Sends a request and reads what comes.  With `alone`, the request ends with the
# sending side of its connection.
sub ask {
    my ($request, $alone) = @_;
    my ($method) = $request =~ /\A([A-Za-z-]*)/;
    my $patience = time + 20;
    my ($bytes, $answer, $ended) = ('');

    $sock //= $t->socket;
    $t->send_all($sock, $request) or $ended = 1;
    shutdown $sock, 1 if $alone;

    # what would only wait is left at once, or now and then not
    my $leave = $request =~ /\A[^\n]*wait=|event-stream/
        && rand 10 > 1 ? time + 0.02 : $patience;

    until ($answer = Test::Eventsync::Answer::read_answer($bytes, $method,
        $ended))
    {
        my $left = $leave - time;
        last if $left <= 0 || !IO::Select->new($sock)->can_read($left);
        $ended = 1 unless sysread $sock, $bytes, 65536, length $bytes;
    }

    if (!$answer && $leave == $patience) {
        $answer = { head => '', body => '', rest => '', fault => 'no answer' };
    }

    undef $sock if $alone || !$answer || $ended || $answer->{stream}
        || $answer->{head} =~ /^connection: close\r?$/mi;
    $answer->{left} = 1 if $answer && $answer->{head} eq '' && $ended;
    return $answer;
}

# A line that a request has put into the log, if it is an alarm.
sub alarm_in_log {
    open my $fh, '<:raw', $t->testdir . '/error.log' or die "error.log: $!\n";
    seek $fh, $read, 0;
    my @lines = <$fh>;
    $read = tell $fh;
    my ($line) = grep { my $text = $_;
        grep { $text =~ $_ } @Test::Eventsync::BAD, qr/\[crit\]/ } @lines;
    return $line && !grep({ $line =~ $_ } @Test::Eventsync::KNOWN)
        ? 'the log has ' . Test::Eventsync::Answer::quoted($line) : undef;
}

# What is wrong with the answer to a request; undef: nothing.
sub fault {
    my ($request) = @_;
    my $framed = Test::Eventsync::Mutate::framed($request);

    undef $sock unless $framed;
    my $answer = ask($request, !$framed) // return;

    # HTTP/0.9 has no header, and half a request no answer
    return if !$framed && (($answer->{left} || $answer->{fault})
        || $request !~ m{\A[^\n]* HTTP/\d\.\d\r?\n});
    return 'the connection is closed without an answer' if $answer->{left};

    my $fault = Test::Eventsync::Answer::fault($answer, $request);
    return $fault if defined $fault;

    if (!$framed) {
        return $answer->{rest} =~ m{\A(?:HTTP/1\.1 |\z)}
            || $request =~ /\AHEAD/ ? undef : 'bytes after the answer';
    }
    return 'bytes after the answer' if $answer->{rest} ne '';

    my $kind = Test::Eventsync::Answer::kind($answer);
    push @seeds, Test::Eventsync::Mutate::collapse($request, \%known)
        if !$kinds{$kind}++ && @seeds < 2000;

    # the next request on the connection is read from its beginning
    return if !$sock || $request =~ /\A(?:GET|HEAD) /;
    my $next = ask("GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return $next && $next->{body} eq '{"status":"ok"}' ? undef
        : 'the next request is not answered';
}

sub try_request {
    my ($request) = @_;

    $tried++;
    my $fault = eval { fault($request) };
    $fault = "the test fails: $@" if $@;
    $fault //= alarm_in_log();
    return unless defined $fault;

    undef $sock;
    my $name = $t->build . '/fuzz-request-' . (@faults + 1);
    open my $fh, '>:raw', $name or die "$name: $!\n";
    print $fh Test::Eventsync::Mutate::collapse($request, \%known);
    close $fh;
    push @faults, "$fault: $name: "
        . Test::Eventsync::Answer::quoted($request);
}

# ---- all of them ----

if ($ENV{ES_FUZZ_INPUT}) {
    my $text = $t->read_file(abs_path($ENV{ES_FUZZ_INPUT}));
    length $text or die "there is no $ENV{ES_FUZZ_INPUT}\n";
    try_request($text =~ /\r/ ? Test::Eventsync::Mutate::expand($text, \%known)
        : Test::Eventsync::Mutate::request($text, \%known));

} else {
    my @corpus = @seeds;
    try_request(Test::Eventsync::Mutate::request($_, \%known)) for @corpus;

    while (@faults < 20 && ($until ? time < $until : $tried < $rounds)) {
        my ($one, $other) = @seeds[rand @seeds, rand @seeds];
        try_request(Test::Eventsync::Mutate::mutate($one, $other, \%known));
    }
}

is(scalar @faults, 0, 'no answer to a request has a fault')
    or diag(join "\n", @faults);
note("$tried requests, " . keys(%kinds) . ' kinds of answers');
cmp_ok(scalar keys %kinds, '>', 60, 'they reach many places')
    unless $ENV{ES_FUZZ_INPUT};

is(join(' ', $t->workers), "@workers", 'the worker is the same');
is_deeply([ grep { /eventsync: .*[^\x20-\x7e]/ }
    split /\n/, $t->read_file('error.log') ], [], 'our lines in the log are text');
$t->verify;

done_testing();
