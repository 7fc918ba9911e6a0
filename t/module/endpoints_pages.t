#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Lists of endpoints, attempts and dead letters by pages: each is on one of
# them, whatever is added meanwhile.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
my $theirs = $t->partner_key('other', feeds => '*', scopes => 'read,manage');
$t->feed('more');
$t->default_conf(location => <<'CONF');
eventsync_endpoints on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;
my $recv = $t->receiver(sub { 500 });

sub get {
    my ($path, $as) = @_;
    my $r = $t->http(GET => "/v1/endpoints$path",
        { authorization => 'Bearer ' . ($as // $key) });
    $r->{json} = eval { Test::Eventsync::json($r->{body}) };
    return $r;
}

# All pages of so many, each as a list of what `of` says.
sub pages {
    my ($path, $list, $limit, $of, $as) = @_;
    my (@pages, $next);

    do {
        my $json = get("$path?limit=$limit"
            . (defined $next ? "&after=$next" : ''), $as)->{json};
        push @pages, [map { $of->($_) } @{ $json->{$list} }];
        $next = $json->{next};
        $json->{has_more} = defined $next if $list eq 'endpoints';
        is($json->{has_more} ? 1 : 0, defined $next ? 1 : 0,
            'there is a next page if there is more');
    } while (defined $next && @pages < 100);
    return @pages;
}

###############################################################################
# endpoints

my @mine = sort map { scalar $t->endpoint('acme', url => $recv->url('/'),
    feeds => 'more') } 1 .. 7;
my @others = map { scalar $t->endpoint('other', url => $recv->url('/'),
    feeds => 'more') } 1 .. 9;
my $name = sub { $_[0]{name} };

is_deeply([pages('', 'endpoints', 3, $name)],
    [[@mine[0 .. 2]], [@mine[3 .. 5]], [$mine[6]]], 'endpoints by threes');
is_deeply([pages('', 'endpoints', 7, $name)], [\@mine],
    'a page that is full by what there is has no next');
is_deeply([map { $_->{name} } @{ get('')->{json}{endpoints} }], \@mine,
    'all on one page, in the order of their names');
is(get('')->{json}{next}, undef, 'and no more');
is(scalar @{ get('?limit=1000', $theirs)->{json}{endpoints} }, 9,
    "another partner's are its own");
my $token = get('?limit=1')->{json}{next};
unlike($token, qr/ep_|65705f/, 'a position shows no name');
is_deeply([map { $_->{name} } @{ get("?after=$token")->{json}{endpoints} }],
    [@mine[1 .. 6]], 'and leads to the next page');
is(get("?after=$token", $theirs)->{status}, 400, 'but not for another partner');
is(get('?after=' . $_)->{status}, 400, 'nor is a name a position')
    for $mine[0], $others[0];
is(get("?$_")->{status}, 400, "refused: $_")
    for 'limit=0', 'limit=1001', 'after=', 'after=A', 'after=a&after=b';
is(get('?limit=0')->{json}{maximum}, 1000, 'with the maximum');
is(get('?after=A')->{json}{parameter}, 'after', 'or the parameter');

$t->ctl_ok('endpoint', 'remove', $_) for @mine, @others;

###############################################################################
# attempts and dead letters

my $endpoint = $t->endpoint('acme', url => $recv->url('/'), schedule => '0',
    feeds => 'orders,more', start => 'oldest', ordering => 'none');
my $beside = $t->endpoint('acme', url => $recv->url('/'), schedule => '0',
    feeds => 'orders', start => 'oldest', ordering => 'none');
put($t, 'orders', 8);
put($t, 'more', 5);
$t->run_dispatcher;
ok(wait_for(sub { dead($t, $endpoint) == 13 && dead($t, $beside) == 8 }, 30),
    'deliveries');

my $event = sub { "$_[0]{feed} $_[0]{sequence}" };
my @dead = map { "orders $_" } 1 .. 8;
@dead = (@dead, map { "more $_" } 1 .. 5);
my @pages = pages("/$endpoint/dead-letters", 'dead_letters', 5, $event);
is_deeply([map { scalar @$_ } @pages], [5, 5, 3], 'dead letters by fives');
is_deeply([map { @$_ } @pages], \@dead, 'each once, the oldest first');

my @attempts = map { "$_->{feed} $_->{sequence}" } reverse
    attempts($t, $endpoint);
is(@attempts, 13, 'attempts');
for my $limit (1, 5, 13, 20) {
    is_deeply([map { @$_ } pages("/$endpoint/attempts", 'attempts', $limit,
        $event)], \@attempts, "by ${limit}s: each once, the newest first");
}

# What is new comes before the page that was read, and moves nothing.
my $first = get("/$endpoint/attempts?limit=5")->{json};
put($t, 'orders', 3);
ok(wait_for(sub { attempts($t, $endpoint) == 16 }, 30), 'more of them');
is_deeply([map { $event->($_) } @{ get("/$endpoint/attempts?limit=5&after="
    . $first->{next})->{json}{attempts} }], [@attempts[5 .. 9]],
    'the next page is what it was');

# What the page ends with may be gone.
my $page = get("/$beside/dead-letters?limit=3")->{json};
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
$recv->stop;
is_deeply([map { $event->($_) } @{ get("/$beside/dead-letters?after="
    . $page->{next})->{json}{dead_letters} }],
    [grep { !/^orders [123]$/ } map { $event->($_) }
        @{ get("/$beside/dead-letters")->{json}{dead_letters} }],
    'a position leads on from the last of its page');
is(get("/$endpoint/dead-letters?after=" . $page->{next})->{json}{parameter},
    'after', 'but not in the list of another endpoint');
is(get("/$endpoint/$_->[0]?after=$_->[1]")->{json}{parameter}, 'after',
    "refused: $_->[0] after $_->[1]")
    for ['attempts', 'x'], ['attempts', $page->{next}], ['attempts', ''],
        ['dead-letters', $first->{next}], ['dead-letters', $page->{next} . '0'],
        ['dead-letters', uc($page->{next}) . 'Z'];

done_testing();
