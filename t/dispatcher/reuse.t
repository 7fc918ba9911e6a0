#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Connections are kept, also after many that were never made.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('dark');
my $recv = $t->receiver(200);

# A port whose queue is full: who connects has no answer at all.
my $hole = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
    // die "cannot listen: $!\n";
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $hole->sockport, Blocking => 0) } 1 .. 8;

my $good = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest');
my @dark = map { scalar $t->endpoint('acme', feeds => 'dark',
    url => 'http://127.0.0.1:' . $hole->sockport . "/$_", start => 'oldest',
    ordering => 'none', connect_timeout => '100ms', timeout => '100ms',
    schedule => '0,10ms,10ms,10ms') } 1 .. 3;
put($t, 'orders', 1);
put($t, 'dark', 4);
$t->run_dispatcher('--max-connections=8');
ok(wait_for(sub { 3 * 4 == map { dead($t, $_) } @dark }, 60),
    'nothing can be sent to some');
my @tries = map { attempts($t, $_) } @dark;
cmp_ok(scalar(@tries), '>', 2 * 8, 'in more attempts than connections may be');
is_deeply([grep { $_->{class} ne 'timeout' } @tries], [],
    'of which none was connected');

put($t, 'orders', 6);
ok(wait_for(sub { $recv->requests == 7 }), 'the other one is sent everything');
is($t->stop_dispatcher, 0, 'the dispatcher stops');
my @reused = map { $_->{reused} } attempts($t, $good);
is_deeply([@reused[2 .. 6]], [(1) x 5], 'by one connection');

done_testing();
