#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher goes on when another epoch of a feed begins: nothing is sent
# again or lost, and dead letters can be tried again.  And what it was sent of
# a log that was lost is known as such.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return 500 if $request->{path} eq '/bad'
        && $request->{body} =~ /"type":"bad"/ && !-e $t->testdir . '/works';
    return 200;
});
my %opts = (feeds => 'orders', start => 'oldest', ordering => 'none',
    schedule => '0');
my %name = map { $_ => scalar $t->endpoint('acme', url => $recv->url("/$_"),
    %opts, $_ eq 'some' ? (types => 'good') : ()) } qw(all some bad);

sub came { my ($path) = @_; return grep { $_->{path} eq "/$path" }
    $recv->requests }
sub texts { return map { $_->{body} } came(@_) }
sub cursors { return join ' ', sort { ($a =~ /(\d+)$/)[0] <=> ($b =~ /(\d+)$/)[0] }
    map { /"cursor":"([^"]+)"/ } texts(@_) }
sub at { my ($endpoint) = @_;
    my ($line) = grep { /progress|orders/ } split /\n/,
        $t->ctl_ok('endpoint', 'status', $name{$endpoint});
    return $line =~ /\b([a-z2-7]{8}-\d+)\b/ ? $1 : '' }
sub dead_cursors { return join ' ', sort map { Test::Eventsync::json($_)->{cursor} }
    split /\n/, $t->ctl_ok('endpoint', 'dead', $name{bad}, '--json') }
sub begin { return $t->ctl_ok('feed', 'begin-epoch', 'orders') =~ s/\s//gr }

$t->run_dispatcher;
put_types($t, 'orders', qw(good bad good bad));
my ($old) = (stored($t, 'orders'))[0] =~ /"cursor":"(\w+)-1"/;
ok(wait_for(sub { came('all') == 4 && came('some') == 2
    && dead($t, $name{bad}) == 2 }, 20), 'events of the first epoch');

###############################################################################
# an epoch begins while the dispatcher runs

my $new = begin();
put_types($t, 'orders', qw(bad good));
ok(wait_for(sub { came('all') == 6 && came('some') == 3
    && dead($t, $name{bad}) == 3 }, 20), 'events of the new one');
is(cursors('all'), join(' ', map({ "$old-$_" } 1 .. 4), "$new-5", "$new-6"),
    'each is sent once');
is((grep { /"cursor":"$new-5"/ } texts('all'))[0], (stored($t, 'orders'))[4],
    'as it is stored');
like((grep { /"cursor":"$new-6"/ } texts('some'))[0],
    qr/"prevcursor":"$old-3"/, 'a filtered one names the last one before');
is(dead_cursors(), join(' ', sort "$old-2", "$old-4", "$new-5"),
    'a dead letter has the cursor of its event');
unlike($t->{dispatcher}->stderr, qr/was reset/, 'this is no reset');

my $bad = came('bad');
$t->ctl_ok('endpoint', 'redrive', $name{bad});
ok(wait_for(sub { came('bad') == $bad + 3 && dead($t, $name{bad}) == 3 }, 20),
    'they die again');
is(dead_cursors(), join(' ', sort "$old-2", "$old-4", "$new-5"),
    'as the same events');

$t->write_file('works', '');
$t->ctl_ok('endpoint', 'redrive', $name{bad});
ok(wait_for(sub { dead($t, $name{bad}) == 0 }, 20), 'they are tried again');
is_deeply([sort { $a cmp $b } map { /"cursor":"([^"]+)"/ }
    grep { /"type":"bad"/ } (texts('bad'))[-3 .. -1]],
    [sort "$old-2", "$old-4", "$new-5"], 'those of both epochs');

$t->ctl_ok('endpoint', 'replay', $name{some}, 'orders', "--after=$old-1");
ok(wait_for(sub { came('some') == 5 }, 20), 'a replay from the old epoch');
is(join(' ', map { /"cursor":"([^"]+)"/ } (texts('some'))[-2, -1]),
    "$old-3 $new-6", 'sends the events of both');
is($t->stop_dispatcher, 0, 'it stops');

###############################################################################
# an epoch begins while it does not run

my $third = begin();
put_types($t, 'orders', 'good');
my $before = came('all');
$t->run_dispatcher;
ok(wait_for(sub { came('all') == $before + 1 && came('some') == 6 }, 20),
    'only the new event is sent');
like((texts('all'))[-1], qr/"cursor":"$third-7","prevcursor":"$new-6"/,
    'of the third epoch');
ok(wait_for(sub { at('all') eq "$third-7" }, 20), 'and that is its position');
is($t->stop_dispatcher, 0, 'it stops');

###############################################################################
# the log loses its latest events, which were sent

sub copy { system('cp', '-r', @_) == 0 or die }
copy($t->store . '/log', $t->testdir . '/kept');
unlink $t->testdir . '/works';
put_types($t, 'orders', qw(good bad));
$t->run_dispatcher;
ok(wait_for(sub { came('all') == $before + 3 && dead($t, $name{bad}) == 1 }, 20),
    'two more events');
is(dead_cursors(), "$third-9", 'one is dead');
ok(wait_for(sub { at('all') eq "$third-9" }, 20), 'the position is behind them');
is($t->stop_dispatcher, 0, 'it stops');

system('rm', '-rf', $t->store . '/log');
copy($t->testdir . '/kept', $t->store . '/log');
my $fourth = begin();
put_types($t, 'orders', qw(good bad));
$t->run_dispatcher;
ok(wait_for(sub { came('all') == $before + 5 }, 20),
    'the events that have their sequences now are sent');
is(join(' ', map { /"cursor":"([^"]+)"/ } (texts('all'))[-2, -1]),
    "$fourth-8 $fourth-9", 'all of them');
like($t->{dispatcher}->stderr, qr/feed "orders": epoch $fourth began after event 7: endpoint $name{all} was sent events up to $third-9, and continues in the new epoch/,
    'the log says what happened');
ok(wait_for(sub { dead($t, $name{bad}) == 2 }, 20), 'another event is dead');
is(dead_cursors(), join(' ', sort "$third-9", "$fourth-9"),
    'and the dead letter of the lost event with its sequence stays');
$t->write_file('works', '');
put_types($t, 'orders', 'bad');
$t->ctl_ok('endpoint', 'redrive', $name{bad});
ok(wait_for(sub { came('all') == $before + 6
    && dead($t, $name{bad}) == 1 }, 20), 'it goes on');
is(dead_cursors(), "$third-9", 'and a redrive does not send another event');
is($t->stop_dispatcher, 0, 'it stops');
ok($t->verify, 'the store verifies');

done_testing();
