#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Reading does not move checkpoints, because webhooks may pass over what a
# checkpoint acknowledges: the scope "ack" does, or a key that is bound to
# consumers.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('prices');
$t->{partners}{acme} = 1;
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders');
my $reader = $t->partner_key('acme', scopes => 'read');
my $acker = $t->partner_key('acme', scopes => 'ack');
my $both = $t->partner_key('acme', scopes => 'read,ack');
my $bound = bound('read', 'billing-*,audit');
my $narrow = bound('read,ack', 'audit');
$t->write_file('token.json', JSON::PP->new->encode({ keys => [{
    kty => 'oct', kid => 'k1', alg => 'HS256',
    k => 'c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA' }] }));
chmod 0600, $t->testdir . '/token.json';
my $keys = $t->testdir . '/token.json';
$t->default_conf(http => "eventsync_token_keys $keys;", location => <<'CONF');
eventsync_checkpoints on;
            eventsync_token on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;
put($t, 'orders', 3);
my ($epoch) = (stored($t, 'orders'))[0] =~ /"cursor":"(\w+)-1"/;

sub bound {
    my ($scopes, $consumers) = @_;
    my $out = $t->ctl_ok('key', 'create', 'acme', "--scopes=$scopes",
        "--consumers=$consumers");
    return $out =~ /(esk_\w+)/ ? $1 : die "no key: $out\n";
}

sub ask {
    my ($as, $method, $consumer, $feed) = @_;
    $feed //= 'orders';
    my $r = $t->http($method => "/v1/feeds/$feed/checkpoints/$consumer", {
        authorization => "Bearer $as", ($method eq 'PUT'
            ? ('content-type' => 'application/json') : ()) },
        $method eq 'PUT' ? qq({"cursor":"$epoch-2"}) : ());
    $r->{json} = eval { Test::Eventsync::json($r->{body}) } if $r->{body};
    return $r;
}

sub token {
    my ($as, $scope) = @_;
    my ($id) = $as =~ /^esk_([a-z2-7]+)_/;
    return $t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        "grant_type=client_credentials&client_id=$id&client_secret=$as"
        . ($scope ? "&scope=$scope" : ''));
}

sub access { Test::Eventsync::json(token(@_)->{body})->{access_token} }

sub refused {
    my ($what, $as, $consumer, $detail) = @_;
    for my $method (qw(PUT DELETE)) {
        my $r = ask($as, $method, $consumer);
        is($r->{status}, 403, "$what: no $method");
        like($r->{json}{type} // '', qr/:forbidden$/, '... as out of scope');
        like($r->{json}{detail} // '', $detail, '... and why');
        like($r->{headers}{'www-authenticate'} // '', qr/scope="ack"/,
            '... with the scope');
    }
}

sub moves {
    my ($what, $as, $consumer) = @_;
    is(ask($as, PUT => $consumer)->{status}, 201, "$what: PUT");
    is(ask($as, DELETE => $consumer)->{status}, 204, "$what: DELETE");
}

###############################################################################
# keys

moves('with both scopes', $both, 'any');
moves('without reading', $acker, 'any');
is(ask($both, PUT => 'any')->{status}, 201, 'a checkpoint');
refused('a key that only reads', $reader, 'any', qr/lacks the scope "ack"/);
is(ask($reader, GET => 'any')->{status}, 200, '... sees it');
is(ask($acker, GET => 'any')->{status}, 403, 'one that only moves does not');

moves("a bound key, $_", $bound, $_) for 'billing-1', 'audit';
refused("a bound key, $_", $bound, $_, qr/bound to other consumers/)
    for 'any', 'billing', 'audit-1';
is(ask($bound, GET => 'any')->{status}, 200, '... but it sees others');
moves('bound and with the scope', $narrow, 'audit');
refused('bound and with the scope', $narrow, 'any', qr/bound to other/);

my @none = map { ask($acker, PUT => 'any', $_) } qw(prices none);
is($none[0]{status}, 404, 'a feed that is not granted');
is($none[0]{body}, $none[1]{body}, '... is as one that is not there');

###############################################################################
# tokens

my $r = Test::Eventsync::json(token($both)->{body});
is($r->{scope}, 'read ack', 'a token has the scope of its key');
is(Test::Eventsync::json(token($bound)->{body})->{scope}, 'read ack',
    '... also of one that is bound');
refused('a token that only reads', access($_, 'read'), 'audit',
    qr/token lacks the scope "ack"/) for $both, $bound;
moves('a token that moves', access($both, 'ack'), 'one');
moves('one of a bound key', access($bound, 'ack'), 'audit');
refused('for another consumer', access($bound, 'ack'), 'any', qr/bound to/);
moves('one of a feed alone', access($both, 'feed:orders'), 'one');
is(token($reader, 'ack')->{status}, 400, 'none beyond its key');

###############################################################################
# eventsyncctl

my ($rc, undef, $err) = $t->ctl('key', 'create', 'acme', '--scopes=read',
    '--consumers=');
is($rc, 2, 'no consumer');
like($err, qr/"--consumers" names no consumer/, '... is a mistake');
($rc, undef, $err) = $t->ctl('key', 'create', 'acme', '--scopes=read',
    '--consumers=a,B');
is($rc, 1, 'a wrong name');
like($err, qr{/consumers/1}, '... is named');

done_testing();
