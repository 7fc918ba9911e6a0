#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An endpoint that is far behind is told to poll, instead of being sent all.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $epoch = Test::Eventsync::json($t->ctl_ok(qw(feed show orders)))->{epoch};
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub { -e $broken ? 500 : 200 });

sub endpoint {
    my ($path, %opts) = @_;
    my ($name, $secret) = $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', schedule => '0,10ms,20ms,30ms',
        %opts);
    return wantarray ? ($name, $secret) : $name;
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub events { map { Test::Eventsync::json($_->{body}) } @_ }
sub nudges { grep { $_->{type} eq 'feed.poll' } events(came($_[0])) }
sub at { my ($name, $n) = @_;
    my ($p) = grep { defined $_->{cursor} } status_lines($t, $name);
    return $p && $p->{cursor} eq "$epoch-$n" && $p->{behind} eq '0' }

###############################################################################
# a pause

my ($fifo, $secret) = endpoint('/fifo', nudge => 5);
my $plain = endpoint('/plain');
$t->run_dispatcher;
put($t, 'orders', 3);
ok(wait_for(sub { came('/fifo') == 3 && at($fifo, 3) }),
    'a few are sent as ever');
$t->ctl_ok('endpoint', 'pause', $fifo);
put($t, 'orders', 5);
ok(wait_for(sub { came('/plain') == 8 }), 'while it is paused');
$t->ctl_ok('endpoint', 'resume', $fifo);
ok(wait_for(sub { came('/fifo') == 8 && at($fifo, 8) }),
    'as many as it says are sent, too');

$t->ctl_ok('endpoint', 'pause', $fifo);
put($t, 'orders', 6);
ok(wait_for(sub { came('/plain') == 14 }), 'more of them');
$t->ctl_ok('endpoint', 'resume', $fifo);
ok(wait_for(sub { nudges('/fifo') == 1 && at($fifo, 14) }), 'are not');
is(scalar came('/fifo'), 9, 'but one request');
my $request = (came('/fifo'))[8];
my ($nudge) = nudges('/fifo');
ok(signature_ok($request, $secret), 'that is signed');
is($request->{headers}{'webhook-id'}, $nudge->{id}, 'has an id');
is($request->{headers}{'eventsync-feed'}, 'orders', 'is of the feed');
is_deeply([@$nudge{qw(specversion id source type subject)}],
    ['1.0', "nudge-$fifo-$epoch-8", '/eventsync', 'feed.poll', 'orders'],
    'is an event of its own');
is_deeply($nudge->{data}, { feed => 'orders', after => "$epoch-8",
    latest => "$epoch-14", events => 6 }, 'and says from where to poll');
my ($attempt) = grep { $_->{line} =~ /kind=nudge/ } attempts($t, $fifo);
is($attempt->{sequence}, 14, 'it is on record, with its last event');
put($t, 'orders', 1);
ok(wait_for(sub { came('/fifo') == 10 }), 'what comes after it');
is((events(came('/fifo')))[9]{prevcursor}, $nudge->{data}{latest},
    'follows it');

###############################################################################
# an outage: what waits counts, too, and nothing is lost until it is taken

my $none = endpoint('/none', nudge => 5, ordering => 'none',
    start => 'latest', schedule => '0,1h');
my $dead = endpoint('/dead', nudge => 5, start => 'latest',
    schedule => '0');
ok(wait_for(sub { at($none, 15) && at($dead, 15) }), 'two more');
$t->write_file('broken', '');
put($t, 'orders', 4);
ok(wait_for(sub { retries($t, $none) == 4 }), 'an outage');
put($t, 'orders', 3);
ok(wait_for(sub { grep { $_->{line} =~ /kind=nudge/ } attempts($t, $none) }),
    'a nudge fails');
is(scalar(dead($t, $none)), 0, 'and costs nothing');
is($t->stop_dispatcher, 0, 'stop');
unlink $broken;
$t->run_dispatcher;
ok(wait_for(sub { at($none, 22) && !retries($t, $none) }, 20),
    'until it is taken');
my @told = nudges('/none');
is_deeply($told[-1]{data}, { feed => 'orders', after => "$epoch-15",
    latest => "$epoch-22", events => $told[-1]{data}{events} },
    'from the first that was not delivered');
cmp_ok($told[-1]{data}{events}, '>=', 6, 'with their number');
my %ids = map { $_->{id} => 1 } @told;
is(scalar(keys %ids), 1, 'under one id, however often');
is(scalar(dead($t, $none)), 0, 'no dead letters');

###############################################################################
# filters: what does not match does not count

my $some = endpoint('/some', nudge => 3, types => 'rare');
$t->ctl_ok('endpoint', 'pause', $some);
put_types($t, 'orders', ('often') x 300, 'rare', ('often') x 300, 'rare');
$t->ctl_ok('endpoint', 'resume', $some);
ok(wait_for(sub { came('/some') == 2 }), 'few that match among many');
is(scalar nudges('/some'), 0, 'are sent');
$t->ctl_ok('endpoint', 'pause', $some);
put_types($t, 'orders', map { ('often', 'rare') } 1 .. 4);
$t->ctl_ok('endpoint', 'resume', $some);
ok(wait_for(sub { nudges('/some') == 1 }), 'more of them are not');
is((nudges('/some'))[0]{data}{events}, 4, 'and only they count');

$t->ctl_ok('endpoint', 'replay', $some, 'orders', '--from=oldest');
ok(wait_for(sub { nudges('/some') == 2 }), 'a replay is told to poll, too');
is((nudges('/some'))[1]{data}{after}, "$epoch-0", 'from its start');

###############################################################################
# it counts as a failure

my $over = endpoint('/over', nudge => 3, disable_after => '1s',
    schedule => '0,1s');
$t->ctl_ok('endpoint', 'pause', $over);
put($t, 'orders', 5);
$t->write_file('broken', '');
$t->ctl_ok('endpoint', 'resume', $over);
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $over) =~ /stopped/ }, 40),
    'an endpoint that only fails, with nudges alone, is disabled');
is_deeply([grep { $_->{line} !~ /kind=nudge/ } attempts($t, $over)], [],
    'nothing else was sent');

###############################################################################
# one that failed is over with its cause

$t->write_file('broken', '');
my $acks = endpoint('/acks', nudge => 2, ack => 'polls', ordering => 'none',
    start => 'latest', schedule => '0,1h');
my $replays = endpoint('/replays', nudge => 2, start => 'latest',
    schedule => '0,1h');
put($t, 'orders', 3);
ok(wait_for(sub { 1 <= grep { $_->{line} =~ /kind=nudge/ }
    attempts($t, $acks) }), 'three that fail, and a nudge that does');
ok(wait_for(sub { grep { $_->{line} =~ /kind=nudge/ }
    attempts($t, $replays) }), 'another nudge');
unlink $broken;
my ($cursor) = map { Test::Eventsync::json($_)->{cursor} }
    (stored($t, 'orders'))[-1];
$t->ctl_ok(qw(checkpoint set acme orders polls), $cursor);
ok(wait_for(sub { retries($t, $acks) == 0 }), 'all are acknowledged');
my @before = came('/acks');
put($t, 'orders', 1);
ok(wait_for(sub { came('/acks') > @before }, 20),
    'the next is sent without waiting for the nudge');

@before = nudges('/replays');
$t->ctl_ok('endpoint', 'replay', $replays, 'orders', '--from=oldest');
ok(wait_for(sub { nudges('/replays') > @before }, 20),
    'nor does a replay wait for it');

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'verify');

for my $bad ('0', '1000000001', 'x') {
    my ($rc, undef, $err) = $t->ctl('endpoint', 'change', $some,
        "--nudge=$bad");
    isnt($rc, 0, "--nudge=$bad is refused");
    like($err, qr/nudge/, 'and it says so');
}

done_testing();
