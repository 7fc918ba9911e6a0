#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Keys of scope manage that are narrowed to feeds: endpoints of other feeds are
# not there for them, and none can be made or changed to be sent more.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(a-one a-two b);
$t->{partners}{acme} = 1;
my $wide = $t->partner_key('acme', scopes => 'read,manage');
my $narrow = $t->partner_key('acme', scopes => 'read,manage', key_feeds => 'a-*');
my $exact = $t->partner_key('acme', scopes => 'read,manage',
    key_feeds => 'a-one,b');
my $all = $t->partner_key('acme', scopes => 'read,manage', key_feeds => '*');
my $recv = $t->receiver(sub { 500 });

$t->default_conf(location => <<'CONF');
eventsync_endpoints on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;
$t->run_dispatcher;

sub ask {
    my ($as, $method, $path, $body) = @_;

    $body = JSON::PP->new->encode($body) if $body;
    my $r = $t->http($method => "/v1/endpoints$path", {
        authorization => "Bearer $as",
        ($body ? ('content-type' => 'application/json') : ()) }, $body // ());
    $r->{json} = eval { Test::Eventsync::json($r->{body}) } if $r->{body};
    return $r;
}

sub make {
    my ($as, @feeds) = @_;
    return ask($as, POST => '', { url => $recv->url('/'), feeds => \@feeds,
        start => 'oldest', schedule => ['0'] });
}

sub names {
    my ($as) = @_;
    return [sort map { $_->{name} } @{ ask($as, GET => '')->{json}{endpoints} }];
}

sub beyond {
    my ($r, $pattern, $what) = @_;
    is($r->{status}, 403, $what);
    like($r->{json}{type} // '', qr/:forbidden$/, '... as out of scope');
    like($r->{json}{detail} // '', qr/"\Q$pattern\E"/, '... says of what');
    like($r->{headers}{'www-authenticate'} // '',
        qr/error="insufficient_scope", scope="manage"$/, '... and what for');
}

###############################################################################
# what is there for whom

my %made = map {
    my $r = make($wide, split /,/);
    is($r->{status}, 201, "a key of all feeds makes one of $_");
    ($_ => $r->{json}{name})
} 'a-one', 'a-*', 'b', '*', 'a-one,b', 'a*';

is_deeply(names($wide), [sort values %made], 'and sees them all');
is_deeply(names($all), [sort values %made], 'as one narrowed to * does');
is_deeply(names($narrow), [sort @made{'a-one', 'a-*'}],
    'a key of a-* those of a-* and of what begins so');
is_deeply(names($exact), [sort @made{'a-one', 'b', 'a-one,b'}],
    'a key of names those of these');

my @uses = (
    [GET => ''], [GET => '/status'], [GET => '/attempts'],
    [GET => '/dead-letters'], [GET => '/keys'], [PATCH => '', {}],
    [DELETE => ''], [POST => '/pause'], [POST => '/resume'],
    [POST => '/rotate'], [POST => '/redrive'], [POST => '/test'],
    [POST => '/simulate', { failure => 'drop' }],
    [POST => '/replay', { feed => 'b', from => 'oldest' }],
    [POST => '/resend', { feed => 'b', cursor => 'k3f9-1' }],
);
my $before = $t->ctl_ok('endpoint', 'list', '--json');
for my $use (@uses) {
    my ($method, $path, @body) = @$use;
    my ($r, $none) = map { ask($narrow, $method => "/$_$path", @body) }
        $made{b}, 'ep_none';
    is($r->{status}, 404, "of another feed: $method $path");
    is($r->{body}, $none->{body}, '... as if there were none');
}
is(ask($narrow, GET => "/$made{$_}")->{status}, 404, "nor is one of $_ there")
    for '*', 'a-one,b', 'a*';
is($t->ctl_ok('endpoint', 'list', '--json'), $before, 'nothing has changed');

###############################################################################
# making and changing

beyond(make($narrow, @$_), $_->[-1], "none is made of @$_")
    for ['*'], ['b'], ['a*'], ['a-one', 'b'];
beyond(make($exact, 'a-*'), 'a-*', 'nor of a pattern by a key of names');
is(make($narrow, 'a-two')->{status}, 201, 'but of the own feeds');
is(make($narrow, 'a-t*', 'a-one')->{status}, 201, 'and patterns');
is(make($narrow)->{status}, 400, 'one of no feeds is malformed');
is(ask($narrow, POST => '', { url => 'https://e.org/', feeds => $_ })->{status},
    400, 'as are feeds that are none') for 'a-one', [1], { a => 1 };

my $mine = $made{'a-one'};
is(ask($narrow, PATCH => "/$mine", { feeds => ['a-two', 'a-*'] })->{status},
    200, 'it is changed to be sent other own feeds');
beyond(ask($narrow, PATCH => "/$mine", { feeds => ['a-one', $_] }), $_,
    "and not $_") for '*', 'b', 'a*';
is_deeply(ask($narrow, GET => "/$mine")->{json}{feeds}, ['a-two', 'a-*'],
    'which leaves it as it was');
is(ask($narrow, POST => "/$mine/rotate")->{status}, 200, 'all else is done');

###############################################################################
# what was sent before its feeds were changed

put($t, 'a-one', 1);
put($t, 'b', 1);
my $moved = make($wide, 'a-*', 'b')->{json}{name};
ok(wait_for(sub {
    @{ ask($wide, GET => "/$moved/dead-letters")->{json}{dead_letters} } == 2
}, 20), 'an endpoint of two feeds');
is(ask($wide, PATCH => "/$moved", { feeds => ['a-*'] })->{status}, 200,
    'is taken away one');
for (['attempts', 'attempts'], ['dead-letters', 'dead_letters'],
    ['status', 'deliveries'])
{
    my ($path, $list) = @$_;
    my %told = map { $_->{feed} => 1 }
        @{ ask($narrow, GET => "/$moved/$path")->{json}{$list} };
    delete $told{'a-two'};
    is_deeply([keys %told], ['a-one'],
        "of what was sent, $path tell of the key's own feeds only");
}

###############################################################################
# at once

$t->ctl_ok('endpoint', 'change', $mine, '--feeds=a-one,b');
is(ask($narrow, GET => "/$mine")->{status}, 404,
    'an endpoint that is sent more is gone for it');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
