#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl endpoint status, attempts and dead: what the dispatcher has on
# record, for people and as JSON.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return { status => 500, body => "no\xff\"way\n" }
        if $request->{path} eq '/bad';
    return { status => $request->{path} =~ m{^/(\d+)} ? $1 : 204 };
});
my %endpoint = map { $_->[0] => scalar $t->endpoint('acme', feeds => 'orders',
    url => $recv->url("/$_->[0]"), start => 'oldest', ordering => 'none',
    schedule => $_->[1]) } ['good', '0'], ['bad', '0'], ['503', '0,1h'],
    ['410', '0,1h'];

put($t, 'orders', 5);
$t->run_dispatcher;
ok(wait_for(sub { retries($t, $endpoint{503}) == 5
    && dead($t, $endpoint{bad}) == 5 && attempts($t, $endpoint{good}) == 5
    && grep { /stopped/ } map { $_->{line} } status_lines($t,
        $endpoint{410}) }, 30), 'deliveries of every kind');
$t->stop_dispatcher;
put($t, 'orders', 3);

sub objects { map { decode_json($_) } split /\n/, $t->ctl_ok(@_, '--json') }

my ($first) = split /\n/, $t->ctl_ok('endpoint', 'attempts', $endpoint{good});
like($first, qr/^\S+Z\ $endpoint{good}\ feed=orders\ sequence=1\ attempt=1
    \ status=204\ class=ok\ latency_us=\d+\ reused=[01]$/x, 'an attempt');
my @attempts = objects('endpoint', 'attempts', $endpoint{bad});
is(scalar @attempts, 5, 'as JSON');
is_deeply([@{ $attempts[4] }{qw(endpoint feed attempt status class body)}],
    [$endpoint{bad}, 'orders', 1, 500, 'status', "no?\"way\n"],
    'with the start of the answer, whatever bytes it was');
my $all = () = $t->ctl_ok('endpoint', 'attempts') =~ /\n/g;
cmp_ok($all, '>=', 16, 'of every endpoint');
is_deeply([objects('endpoint', 'attempts', $endpoint{bad}, '--limit=2')],
    [@attempts[3, 4]], 'the last ones');
is(scalar objects('endpoint', 'attempts', $endpoint{bad}, '--limit=9'), 5,
    'as many as there are');

like(($t->ctl_ok('endpoint', 'dead', $endpoint{bad}))[0],
    qr/^\S+Z\ $endpoint{bad}\ feed=orders\ sequence=1\ attempts=1
    \ status=500\ class=status$/xm, 'a dead letter');
my @dead = objects('endpoint', 'dead');
is(scalar @dead, 5, 'of every endpoint');
is($dead[0]{feed}, 'orders', 'as JSON');

my @status = objects('endpoint', 'status', $endpoint{503});
is_deeply([map { $_->{kind} } @status],
    ['state', 'progress', 'waiting', ('retry') x 5, 'figures'],
    'status of a failing endpoint');
is($status[0]{state}, 'active', 'its state');
is_deeply([@{ $status[1] }{qw(feed pending behind)}], ['orders', 0, 3],
    'how far behind it is');
like($status[1]{cursor}, qr/^[a-z2-7]+-5$/, 'where it is');
is_deeply([@{ $status[2] }{qw(feed retries held statuses)}],
    ['orders', 5, 0, { 503 => 5 }], 'how many wait, and with what status');
is_deeply([@{ $status[3] }{qw(endpoint feed sequence attempts status)}],
    [$endpoint{503}, 'orders', 1, 1, 503], 'what is tried again');
is_deeply([map { "$_->{endpoint} $_->{reason}" } grep { $_->{kind} eq 'stop' }
    objects('endpoint', 'status')], ["$endpoint{410} 410 Gone"],
    'what is stopped');
$t->ctl_ok('endpoint', 'resume', $endpoint{410});
unlike($t->ctl_ok('endpoint', 'status'), qr/stopped/, 'until it is resumed');

$t->ctl_ok('endpoint', 'remove', $endpoint{good});
$t->ctl_ok('feed', 'remove', 'orders');
my ($gone) = grep { $_->{status} == 204 } objects('endpoint', 'attempts');
is("$gone->{endpoint} $gone->{feed}", '(removed) (removed)',
    'what is left of endpoints and feeds that are no more');
for (['unknown option "--limit"', 'status', '--limit=1'],
    ['"--limit" needs an endpoint', 'attempts', '--limit=1'],
    ['"--limit=0" is not', 'attempts', 'x', '--limit=0'])
{
    my ($line, @args) = @$_;
    my ($rc, undef, $err) = $t->ctl('endpoint', @args);
    is($rc, 2, "refused: @args");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, 'in one line');
}

done_testing();
