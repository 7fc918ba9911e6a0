#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Endpoints that are changed by several at once: no change undoes another, and
# who asks for that changes only what was not changed meanwhile.

use warnings;
use strict;

use JSON::PP;
use POSIX qw(strftime);
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 2);
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
$t->default_conf(location => <<'CONF');
eventsync_endpoints on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;

sub start {
    my ($method, $path, $body, %headers) = @_;

    $body = JSON::PP->new->encode($body) if $body;
    return $t->http_start($method => "/v1/endpoints$path", {
        authorization => "Bearer $key", %headers,
        ($body ? ('content-type' => 'application/json') : ()) }, $body // ());
}

sub end {
    my ($call) = @_;
    my $r = $t->http_end($call);
    $r->{json} = eval { Test::Eventsync::json($r->{body}) } if $r->{body};
    return $r;
}

sub ask { return end(start(@_)) }

sub make {
    return ask(POST => '', { url => 'https://e.org/', feeds => ['orders'] });
}

# The secrets as they are stored, those that sign.
sub secrets {
    my ($name) = @_;
    my $record = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $name));
    return map { ref ? $_->{secret} : $_ } @{ $record->{secrets} };
}

###############################################################################
# rotations at once

my ($done, $lost, $other) = (0, 0, 0);
for my $round (1 .. 12) {
    my $name = make()->{json}{name};
    my @answers = map { end($_) }
        map { start(POST => "/$name/rotate") } 1 .. 8;
    my %signs = map { $_ => 1 } secrets($name);

    for my $r (@answers) {
        if ($r->{status} == 200) {
            $done++;
            $lost++ unless $signs{ $r->{json}{secret} };
        } elsif ($r->{status} != 409 || $r->{json}{type} !~ /:in-use$/) {
            $other++;
        }
    }
    is(scalar keys %signs, 4, 'as many secrets sign as may') if $round == 1;
}
is($done, 36, 'of rotations at once those succeed that there is room for');
is($lost, 0, 'and each secret that was given signs');
is($other, 0, 'the others are told that there are too many');

###############################################################################
# only if it is as it was

my $r = make();
my $name = $r->{json}{name};
like($r->{headers}{etag} // '', qr/^"[^"]+"$/, 'one that is made has an ETag');
my $etag = ask(GET => "/$name")->{headers}{etag};
is($r->{headers}{etag}, $etag, 'the same as when it is shown');
is(ask(HEAD => "/$name")->{headers}{etag}, $etag, 'and asked for');

$r = ask(GET => "/$name", undef, 'If-None-Match' => "\"x\", $etag");
is($r->{status}, 304, 'who has it is not sent it again');
is($r->{headers}{etag}, $etag, '... but its ETag');
is(ask(GET => "/$name", undef, 'If-None-Match' => '"x"')->{status}, 200,
    'who has another is');

$r = ask(PATCH => "/$name", { in_flight => 2 }, 'If-Match' => $etag);
is($r->{status}, 200, 'a change of what is known');
isnt($r->{headers}{etag}, $etag, 'gives another ETag');
my $next = $r->{headers}{etag};
is(ask(GET => "/$name")->{headers}{etag}, $next, 'which it is shown with');

for my $match ($etag, 'W/' . $next, '"x"', 'x') {
    $r = ask(PATCH => "/$name", { in_flight => 3 }, 'If-Match' => $match);
    is($r->{status}, 412, "no change of another: $match");
    like($r->{json}{type}, qr/:precondition-failed$/, '... and why');
    is(ask(DELETE => "/$name", undef, 'If-Match' => $match)->{status}, 412,
        'nor is it removed');
}
is(ask(PATCH => "/$name", {}, 'If-None-Match' => $_)->{status}, 412,
    "nor if it is not to be as it is: $_") for '*', $next, "W/$next";
is(ask(GET => "/$name")->{json}{in_flight}, 2, 'nothing has changed');
is(ask(PATCH => "/$name", {}, 'If-Match' => $_)->{status}, 200,
    "or with any: $_") for "\"x\", $next", '*';
is(ask(PATCH => '/ep_none', {}, 'If-Match' => '*')->{status}, 404,
    'one that is not there is not there');

for (map { "/$_" } qw(pause resume rotate simulate)) {
    my $before = ask(GET => "/$name")->{headers}{etag};
    ask(POST => "/$name$_", /simulate/ ? { failure => 'drop' } : undef);
    isnt(ask(GET => "/$name")->{headers}{etag}, $before, "$_ changes it");
}

# Of several at once that have seen the same, one is first.
$etag = ask(GET => "/$name")->{headers}{etag};
my @answers = map { end($_) } map {
    start(PATCH => "/$name", { in_flight => $_ }, 'If-Match' => $etag)
} 11 .. 18;
is_deeply([sort map { $_->{status} } @answers], [200, (412) x 7],
    'of changes at once one is made');
my ($first) = grep { $_->{status} == 200 } @answers;
is(ask(GET => "/$name")->{json}{in_flight}, $first->{json}{in_flight},
    'and stays');

$etag = ask(GET => "/$name")->{headers}{etag};
is(ask(DELETE => "/$name", undef, 'If-Match' => $etag)->{status}, 204,
    'it is removed as it is known');

###############################################################################
# what is simulated ends

$name = make()->{json}{name};
sub until_in {
    my ($seconds) = @_;
    return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time() + $seconds));
}
for my $until ('2999-01-01T00:00:00Z', until_in(86400 + 60)) {
    my %simulate = (simulate => { failure => 'drop', until => $until });
    for ([PATCH => "/$name", \%simulate], [POST => '', { %simulate,
        url => 'https://e.org/', feeds => ['orders'] }])
    {
        $r = ask(@$_);
        is($r->{status}, 400, "$_->[0] with an end at $until");
        is($r->{json}{pointer}, '/simulate/until', '... which is too late');
    }
}
is(ask(PATCH => "/$name", { simulate => { failure => 'drop',
    until => until_in(86400 - 60) } })->{status}, 200, 'within a day it may');
is(ask(POST => "/$name/simulate", { failure => 'drop', for => '1d' })
    ->{status}, 200, 'as may one of a day');
is(ask(PATCH => "/$name", { in_flight => 2 })->{status}, 200,
    'and what is simulated is in the way of no change');

done_testing();
