#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An issuer that nobody here wrote: keys and tokens of npm jose are accepted.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $jose = $t->build . '/node_modules/jose';
plan skip_all => 'npm has not installed jose: make verifier' if !-d $jose;
$jose = "$ENV{PWD}/$jose" if $jose !~ m{^/};

my ($iss, $aud) = ('https://login.example/', 'https://events.example');
my $made = JSON::PP->new->decode(scalar `node t/node/issuer.js $jose $iss $aud`);

$t->store_init->feed('prices');
$t->partner('acme', feeds => 'prices');
$t->write_file('jwks.json', JSON::PP->new->encode($made->{jwks}));
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_issuer $iss jwks=%%TESTDIR%%/jwks.json aud=$aud partner_claim=partner;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_poll on; }
    }
}
CONF
$t->run_nginx;

my @algs = sort keys %{ $made->{tokens} };
is("@algs", 'ES256 EdDSA PS256 RS256', 'jose has made a token by each algorithm');

for my $alg (@algs) {
    my $token = $made->{tokens}{$alg};
    is(status($token), 200, "$alg is accepted");
    is(status(substr($token, 0, -8) . 'AAAAAAAA'), 401, "$alg: but no forgery");
    is(status(swapped($token, $_)), 401, "$alg: nor the signature of $_")
        for grep { $_ ne $alg } @algs;
}

done_testing();

sub status {
    return $t->http(GET => '/v1/feeds/prices/events',
        { authorization => "Bearer $_[0]" })->{status};
}

sub swapped {
    my ($token, $other) = @_;
    return $token =~ s/[^.]+$//r . ($made->{tokens}{$other} =~ s/.*\.//r);
}
