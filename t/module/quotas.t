#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Quotas of a partner over HTTP: the problem that names quota and limit, the
# default, and a quota that is raised.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->{partners}{acme} = 1;
$t->feed('more');
my $key = $t->partner_key('acme', scopes => 'read,ack,manage');
my $theirs = $t->partner_key('bolt', feeds => '*', scopes => 'read,ack,manage');
$t->default_conf(location => <<'CONF');
eventsync_endpoints on;
            eventsync_checkpoints on;
CONF
$t->run_nginx;

sub ask {
    my ($method, $path, $body, $as) = @_;
    my $r = $t->http($method => "/v1$path", {
        authorization => 'Bearer ' . ($as // $key),
        $body ? ('content-type' => 'application/json') : () },
        $body ? encode_json($body) : ());
    $r->{json} = eval { decode_json($r->{body}) };
    return $r;
}

my $hook = { url => 'https://a.example/', feeds => ['orders'] };
sub hook { return ask(POST => '/endpoints', $hook, @_) }
sub quotas { $t->ctl_ok('partner', 'change', 'acme', map { "--quota-$_" } @_) }
sub listed { return @{ ask(GET => '/endpoints?limit=1000')->{json}{endpoints} } }

sub too_many {
    my ($r, $quota, $limit, $detail) = @_;
    is($r->{status}, 409, "over the quota of $quota");
    is($r->{json}{type}, 'urn:eventsync:problem:too-many', '... by its type');
    is($r->{json}{quota}, $quota, '... its name');
    is($r->{json}{limit}, $limit, '... its limit');
    like($r->{json}{detail}, $detail, '... and in words');
}

###############################################################################
# endpoints, a hundred by default

my @status = map { hook()->{status} } 1 .. 100;
is_deeply(\@status, [(201) x 100], 'a hundred endpoints');
too_many(hook(), 'endpoints', 100,
    qr/"acme" has 100 endpoints, and its quota is 100/);
is(scalar listed(), 100, 'and no more');
ok($t->logged('error.log',
    qr/\[info\].*eventsync limits partner "acme" by quota "endpoints" of 100/),
    'the log names the partner');
is(hook($theirs)->{status}, 201, 'another partner has its own');

my ($one, $two) = map { $_->{name} } listed();
is(ask(PATCH => "/endpoints/$one", { timeout => '20s' })->{status}, 200,
    'what is there can be changed');
is(ask(DELETE => "/endpoints/$two")->{status}, 204, 'one is removed');
is(hook()->{status}, 201, 'and another takes its place');
is(hook()->{status}, 409, 'but not two');
quotas('endpoints=101');
is(hook()->{status}, 201, 'a raised quota holds at once');
too_many(hook(), 'endpoints', 101, qr/quota is 101/);

# Of many at once exactly as many as fit are made.
quotas('endpoints=105');
my @calls = map { $t->http_start(POST => '/v1/endpoints',
    { authorization => "Bearer $key", 'content-type' => 'application/json' },
    encode_json($hook)) } 1 .. 12;
my %status;
$status{ $t->http_end($_)->{status} }++ for @calls;
is_deeply(\%status, { 201 => 4, 409 => 8 }, 'of twelve at once four fit');

###############################################################################
# bytes

quotas('bytes=1k');
too_many(ask(PATCH => "/endpoints/$one", { headers => { 'x-a' => 'y' x 99 } }),
    'bytes', 1024, qr/would take \d+ bytes, and its quota is 1024/);
too_many(ask(POST => "/endpoints/$one/rotate"), 'bytes', 1024, qr/bytes/);
too_many(ask(POST => "/endpoints/$one/simulate", { failure => 'drop' }),
    'bytes', 1024, qr/bytes/);
is(ask(GET => "/endpoints/$one")->{json}{headers}, undef, 'nothing was changed');
is(ask(PATCH => "/endpoints/$one", { timeout => undef })->{status}, 200,
    'a change that needs no more is admitted');
is(ask(POST => "/endpoints/$one/$_")->{status}, 200, "and so is a $_")
    for 'pause', 'resume';
is(ask(DELETE => '/endpoints/' . (listed())[-1]{name})->{status}, 204,
    'and a removal');
quotas('bytes=default');
is(ask(POST => "/endpoints/$one/rotate")->{status}, 200, 'the default is more');

###############################################################################
# requests that wait: they pass, so the refusal is a 429

sub asked { return ask(POST => "/endpoints/$_[0]/redrive") }
quotas('requests=3');
my @names = map { $_->{name} } (listed())[0 .. 4];
is(asked($_)->{status}, 202, 'a request waits') for @names[0 .. 2];
my $r = asked($names[3]);
is($r->{status}, 429, 'three of a partner, of whichever endpoint');
is_deeply([@{ $r->{json} }{qw(violated-policies quota limit)}],
    [['requests'], 'requests', 3], '... by name and limit');
like($r->{json}{detail}, qr/3 requests of the partner wait/, '... in words');
ok($r->{headers}{'retry-after'} > 0, '... for a time');
my ($rc, undef, $err) = $t->ctl('endpoint', 'redrive', $names[3]);
is($rc, 1, 'nor by eventsyncctl');
like($err, qr/3 requests of the partner .*--quota-requests=N/,
    '... which says how to raise it');
($rc, undef, $err) = $t->ctl('endpoint', 'discard', $names[3], '--expect=0');
like($err, qr/3 requests of the partner .*--quota-requests=N/, '... always');
quotas('requests=4');
is(asked($names[3])->{status}, 202, 'a raised quota holds at once');
is(ask(POST => "/endpoints/$names[4]/redrive")->{status}, 429, 'and no longer');

###############################################################################
# consumers, on all feeds together

put($t, $_, 2) for qw(orders more);
sub moved {
    my ($feed, $consumer, $as) = @_;
    my $latest = $t->poll($feed, key => $key, from => 'latest')->{next};
    return ask(PUT => "/feeds/$feed/checkpoints/$consumer",
        { cursor => $latest }, $as);
}
quotas('consumers=3');
is(moved('orders', $_)->{status}, 201, "$_ on orders") for 'one', 'two';
is(moved('more', 'one')->{status}, 201, 'one on another feed');
too_many(moved('more', 'two'), 'consumers', 3, qr/already has 3 checkpoints/);
too_many(moved('orders', 'three'), 'consumers', 3, qr/3/);
put($t, 'orders', 1);
is(moved('orders', 'one')->{status}, 200, 'one that is there moves');
is(moved('more', 'two', $theirs)->{status}, 201, 'another partner has its own');
is(ask(DELETE => '/feeds/orders/checkpoints/two')->{status}, 204, 'one is removed');
is(moved('more', 'two')->{status}, 201, 'and another takes its place');
quotas('consumers=4');
is(moved('orders', 'two')->{status}, 201, 'a raised quota holds at once');

###############################################################################
# the policy "manage": a rate of its own, a list by the records it examines

sub left {
    my ($r) = @_;
    my ($left) = ($r->{headers}{ratelimit} // '') =~ /"manage";r=(\d+)/;
    return "$r->{status} " . ($left // 'none');
}
quotas('endpoints=120');
$t->ctl_ok('partner', 'change', 'acme', '--limit-manage=1r/d,burst=20');
is(left(ask(GET => '/endpoints?limit=10')), '200 19', 'a short list is one unit');
is(left(ask(GET => '/endpoints?limit=99')), '200 18', 'up to a hundred records');
is(left(ask(GET => '/endpoints?limit=100')), '200 16', 'a hundred are two');
is(left(ask(GET => '/endpoints?limit=1000')), '200 14',
    'a list is charged by what it examines, not by what it may');
is(left(ask(GET => "/endpoints/$one/attempts?limit=1000")), '200 13',
    'a list of nothing is one unit');
is(left(ask(GET => '/endpoints?limit=10&after=x')), '400 13',
    'a position that is none is free');
is(left(ask(GET => "/endpoints/$one")), '200 12', 'what is shown is one');
is(left(ask(POST => "/endpoints/$one/rotate")), '200 11', 'a write is one');
is(left(ask(POST => '/endpoints', { url => 1 })), '400 10',
    'a wrong one stays charged');
quotas('endpoints=0', 'bytes=1');
is(left(hook()), '409 10', 'one over a quota is returned');
is(left(ask(POST => "/endpoints/$one/simulate", { failure => 'drop' })), '409 10',
    'over any quota');
is(left(ask(POST => "/endpoints/$names[4]/redrive")), '429 10', 'requests, too');
quotas('consumers=0');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=1r/d,burst=3');
my $refusal = moved('more', 'new');
is($refusal->{status}, 409, 'no further checkpoint');
like($refusal->{headers}{ratelimit}, qr/"poll";r=2/, 'which costs nothing');
is(left(ask(GET => '/endpoints?limit=1')), '200 9', 'polls have a meter of their own');
ask(GET => '/endpoints?limit=1') for 1 .. 8;
is(left(ask(GET => '/endpoints?limit=1000')), '429 1',
    'a list that may examine more than is left is refused');
is_deeply(ask(GET => '/endpoints?limit=1000')->{json}{'violated-policies'},
    ['manage'], '... by this policy');
is(left(ask(GET => '/endpoints?limit=9')), '200 0', 'a shorter one is not');
is(ask(GET => '/feeds')->{status}, 200, 'and other requests go on');
$t->ctl_ok('partner', 'change', 'bolt', '--limit-manage=1r/d,burst=1');
is(left(ask(GET => '/endpoints?limit=1000', undef, $theirs)), '200 0',
    'a burst of one admits any list');

ok($t->verify, 'the store is sound');
done_testing();
