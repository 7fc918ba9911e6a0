#!/usr/bin/perl

# Whatever is asked, nothing is answered by a 5xx, by silence, or by an empty
# 200 to a cursor that is not honest.  Random, but repeatable: the seed is
# printed, ES_FUZZ_SEED sets it, ES_FUZZ_ROUNDS says how many requests.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $seed = $ENV{ES_FUZZ_SEED} // time;
my $rounds = $ENV{ES_FUZZ_ROUNDS} // 4000;
srand $seed;
note("ES_FUZZ_SEED=$seed");

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for 'orders', 'empty', 'other';
my $key = $t->master_key;
$t->default_conf(location => 'eventsync_poll_limit 5 50; eventsync_sse on; '
    . 'eventsync_poll_wait_max 1s; eventsync_cors https://a.example;',
    server => 'large_client_header_buffers 4 16k;');
$t->run_nginx;

$t->publish('orders', map { { id => "o$_", $_ % 3 ? () : (subject => "s$_"),
    type => $_ % 2 ? 'a.b' : 'a.c' } } 1 .. 60);
my ($epoch) = $t->poll('orders', from => 'latest')->{next} =~ /^(.*)-60$/;
my ($other) = $t->poll('other')->{next} =~ /^(.*)-0$/;
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-21");
my ($oldest, $latest) = map { /-(\d+)$/ }
    @{ $t->poll('orders') }{qw(oldest latest)};
is("$oldest $latest", '20 60', 'a feed with a beginning and an end');

###############################################################################
# what is asked

sub pick { return $_[rand @_] }
sub bytes { return join '', map { chr(33 + int rand 223) } 1 .. rand $_[0] }

sub number {
    return pick(0, 1, 19, 20, 21, 59, 60, 61, 5, 50, 51, -1, '', '00', '020',
        '+20', '1e1', '0x14', 4294967296, 1099511627775, 1099511627776,
        9223372036854775807, 9223372036854775808, 18446744073709551615,
        '18446744073709551636', int rand 100, '9' x rand 400);
}

sub cursor {
    my $e = pick(($epoch) x 5, $other, uc $epoch, "$epoch$epoch",
        substr($epoch, 1), '', 'a' x 15, 'a' x 16, bytes(12));
    return pick("$e-" . number(), ("$e-" . int rand 70) x 2, $e, "-$e",
        "$e-" . number() . '-1', "$e--1", "$e-20\0", "$e-20 ", "$e -20",
        "$e\x{ef}\x{bc}\x{8d}20");
}

sub value {
    my ($name) = @_;
    return pick(cursor(), number(), bytes(40)) if rand() < 0.15;
    return cursor() if $name =~ /after/i;
    return pick(0, 0, 0, 0, number()) if $name eq 'wait';
    return number() if $name eq 'limit';
    return pick('a.*', '*', 'a.b', 'a.b,a.c', ',', 'a*', '.*', 'none',
        join(',', map { "t$_" } 1 .. rand 40), bytes(20)) if $name eq 'types';
    return pick('oldest', 'latest', '2026-01-01T00:00:00Z',
        '2999-12-31T23:59:60.999999999+23:59', '0000-00-00T00:00:00Z', 'now',
        bytes(20)) if $name eq 'from';
    return pick('s3', '', bytes(30), 'x' x rand 3000);
}

# Percent-encoded wholly, in part, wrongly, or not at all.
sub encoded {
    my ($text) = @_;
    my $how = rand;

    $text =~ s/([^A-Za-z0-9._~:*,-])/sprintf '%%%02X', ord $1/ges
        if $how < 0.7;
    $text =~ s/(.)/rand() < 0.3 ? sprintf '%%%02x', ord $1 : $1/ges
        if $how > 0.5 && $how < 0.7;
    $text =~ s/[\0- \x7f#]/?/g;
    substr $text, rand 1 + length $text, 0, pick('%', '%%', '%0', '%zz', '+',
        '%00', '&', '=', ';') if rand() < 0.1;
    return $text;
}

sub query {
    my @names = qw(after after after from limit wait types subject After
        after[] next);
    my @args;
    for (1 .. pick(0, 1, 1, 1, 2, 2, 3, 4)) {
        my $name = rand() < 0.05 ? encoded(bytes(9)) : pick(@names[0 .. 7],
            rand() < 0.1 ? @names : ());
        push @args, rand() < 0.03 ? $name
            : "$name=" . encoded(value($name));
    }
    return join pick('&', '&', '&', '&&', ';'), @args;
}

sub headers {
    my $text = sub { my $v = pick(@_); $v =~ tr/\0\r\n//d; $v };
    my @headers = (authorization => rand() < 0.97 ? "Bearer $key"
        : $text->("Bearer $key x", 'Bearer', bytes(80), "bearer  $key"));
    push @headers, accept => $text->('application/x-ndjson', '*/*;q=0.1',
        'application/cloudevents-batch+json', 'text/event-stream',
        'application/json;q=' . number(), 'text/event-stream;q=0.' . number(),
        bytes(60), join(',', map { pick('a/b', '*/*', 'application/*') . ';q=0.'
            . int rand 999 } 1 .. rand 50)) if rand() < 0.4;
    push @headers, 'if-none-match' => $text->('*', '"x"', 'W/', '"', ',',
        bytes(60), '"0123456789abcdef"') if rand() < 0.2;
    push @headers, 'last-event-id' => $text->(cursor(), bytes(30))
        if rand() < 0.2;
    push @headers, origin => $text->('https://a.example', bytes(20))
        if rand() < 0.1;
    return @headers;
}

###############################################################################
# what must hold

# The value that a correct reader of the query sees, or undef.
sub param {
    my ($query, $name) = @_;
    my @values;
    for (split /&/, $query) {
        next if $_ eq '';
        my ($n, $v) = split /=/, $_, 2;
        $v //= '';
        $v =~ tr/+/ /;
        $v =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        push @values, $v if $n eq $name;
    }
    return @values == 1 ? $values[0] : @values ? "twice" : undef;
}

sub honest {
    my ($feed, $cursor) = @_;
    return $cursor =~ /\A\Q$epoch\E-(0|[1-9][0-9]*)\z/ && length $1 < 4
        && $1 >= $oldest && $1 <= $latest if $feed eq 'orders';
    return $cursor =~ /\A[a-z2-7]+-0\z/;
}

# What is wrong with an answer, or nothing.
sub fault {
    my ($feed, $query, $answer, %headers) = @_;
    my $status = $answer->{status};
    my $type = $answer->{headers}{'content-type'} // '';

    return 'no answer' if !$status;
    return "status $status" if $status >= 500
        || !grep { $status == $_ } 200, 304, 400, 401, 404, 406, 410;
    if ($type eq 'application/problem+json') {
        my $doc = Test::Eventsync::json($answer->{body});
        return 'a malformed problem' if !$doc || ($doc->{status} // 0)
            != $status || !$doc->{type} || !$doc->{detail};
        return 'no no-store'
            if ($answer->{headers}{'cache-control'} // '') ne 'no-store';
        return "restart leads to $_" for grep { $_ != 200 } map {
            $t->http(GET => $_, { authorization => "Bearer $key" })->{status} }
            grep { defined && !/wait=/ } $doc->{restart};
        return;
    }
    return if $status != 200 && $status != 304;

    my $after = param($query, 'after');
    my $stream = $type eq 'text/event-stream';
    $after = $headers{'last-event-id'} if $stream
        && ($headers{'last-event-id'} // '') =~ /[^ \t]/;
    $after =~ s/\A[ \t]+|[ \t]+\z//g if $stream && defined $after;
    return "$status to the cursor '$after'"
        if defined $after && !honest($feed, $after);
    return if $status == 304 || $stream;

    my $next = $answer->{headers}{'eventsync-next'};
    if ($type eq 'application/json') {
        my $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';
        $next = $doc->{next};
        return 'events that are not after the cursor' if defined $after
            && $feed eq 'orders' && grep { ($_->{cursor} =~ /-(\d+)$/)[0]
                <= ($after =~ /-(\d+)$/)[0] } @{ $doc->{events} };
        return 'a page with more than were asked for'
            if @{ $doc->{events} } > (param($query, 'limit') // 5);
    }
    return 'no next' if !defined $next;
    return "next is '$next'" if !honest($feed, $next);
    return;
}

###############################################################################

my ($sock, %count, @faults);
for my $round (1 .. $rounds) {
    my $feed = pick(('orders') x 8, 'empty');
    my $query = query();
    my @headers = headers();
    my %headers = @headers;
    my $path = "/v1/feeds/$feed/events?$query";
    my $answer;

    if (($headers{accept} // '') =~ m{text/event|\*}) {

        # It may be a stream: the head is all that is awaited.
        my $call = $t->http_start(GET => $path, \@headers);
        my $head = Test::Eventsync::read_until($call, "\r\n\r\n",
            $call->{began} + 20) // '';
        if ($head =~ m{^Content-Type: text/event-stream}m) {
            $answer = { status => ($head =~ m{^HTTP/1.1 (\d+)})[0],
                headers => { 'content-type' => 'text/event-stream' },
                body => '' };
        } else {
            $call->{buf} = "$head\r\n\r\n$call->{buf}";
            $answer = $t->http_end($call);
        }

    } else {
        $sock = undef if $sock && !$sock->connected;
        $sock //= $t->socket;
        $answer = $t->http(GET => $path, \@headers, undef, socket => $sock);
        $sock = undef if !$answer->{status}
            || ($answer->{headers}{connection} // '') eq 'close';
    }

    $count{ $answer->{status} }++;
    my $fault = fault($feed, $query, $answer, %headers) or next;
    push @faults, "$fault: $path "
        . join ' ', map { $_ // '' } @headers[2 .. $#headers];
    last if @faults > 5;
}

diag("ES_FUZZ_SEED=$seed: $_") for @faults;
is(scalar @faults, 0, "$rounds requests, each with an honest answer");
note(join ', ', map { "$_: $count{$_}" } sort keys %count);
ok($count{$_}, "some were $_") for 200, 400, 410;

is($t->poll('orders', after => "$epoch-20", limit => 50)->{events}[0]{cursor},
    "$epoch-21", 'and all is well afterwards');

done_testing();
