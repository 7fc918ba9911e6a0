#!/usr/bin/perl

# Endpoints that are changed by several at once: no change undoes another.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 2);
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'manage');
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

done_testing();
