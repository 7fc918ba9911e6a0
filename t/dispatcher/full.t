#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The disk of the delivery state is full: nothing new is sent, nothing is
# lost, and it goes on by itself when there is room.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

plan skip_all => 'needs root, to mount a small disk' if $>;

my $t = webhook_store();
my $delivery = $t->store . '/delivery';
my $aside = $t->testdir . '/aside';

rename $delivery, $aside or die "rename: $!\n";
$t->small_disk($delivery, '400k') or plan skip_all => 'cannot mount';
system('cp', '-a', '--sparse=always', "$aside/.", $delivery) == 0
    or die "cannot copy\n";

my $recv = $t->receiver({ status => 200, body => 'y' x 256 });
my $fifo = $t->endpoint('acme', url => $recv->url('/fifo'),
    feeds => 'orders', start => 'oldest');
my $none = $t->endpoint('acme', url => $recv->url('/none'),
    feeds => 'orders', start => 'oldest', ordering => 'none', in_flight => 8);
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }

put($t, 'orders', 1500);
my $proc = $t->run_dispatcher;

ok(wait_for(sub { $proc->stderr =~ /error: cannot write delivery state/ }, 30),
    'a full disk is in the log');
my $count;
ok(wait_for(sub {
    my $before = $recv->count;
    sleep 0.3;
    $count = $recv->count;
    return $count == $before;
}), 'nothing new is sent');
cmp_ok($count, '<', 3000, 'before everything was');
my $lines = () = $proc->stderr =~ /cannot write delivery state/g;
is($lines, 1, 'the log says it once');

$t->resize_disk($delivery, '64m');
ok(wait_for(sub { $recv->count >= 3000 }, 30), 'with room again it goes on');
like($proc->stderr, qr/warn: delivery state can be written again/,
    'and says so');

is_deeply([sequences(came('/fifo'))], [1 .. 1500],
    'everything was sent once, in order');
is_deeply([sort { $a <=> $b } sequences(came('/none'))], [1 .. 1500],
    'or not in order');
ok(wait_for(sub { attempts($t, $_) == 1500 }),
    'and every attempt is on record') for $fifo, $none;

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
$t->stop;

done_testing();
