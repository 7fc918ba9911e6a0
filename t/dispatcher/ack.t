#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What a consumer acknowledges by a checkpoint is not sent to its endpoint.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('other');
my $epoch = Test::Eventsync::json($t->ctl_ok(qw(feed show orders)))->{epoch};
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return 200 if !-e $broken;
    return $request->{body} =~ /"fails"/ || $request->{path} =~ /down/
        ? 500 : 200;
});

sub break_it { $t->write_file('broken', '') }
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', schedule => '0,10ms,1h', %opts);
}
sub event { return { id => "e$_[0]", type => $_[1] // 'works',
    defined $_[2] ? (subject => $_[2]) : () } }
sub add { $t->ctl_ok({ stdin => join '', map { $t->event(%$_) . "\n" } @_ },
    qw(publish orders)) }
sub came { my ($path) = @_; return [ map { $_->{headers}{'webhook-id'} }
    grep { $_->{path} eq $path } $recv->requests ] }
sub distinct { my %seen; return [ grep { !$seen{$_}++ } @{ came($_[0]) } ] }
sub ack { my ($consumer, $n, @opts) = @_;
    $t->ctl_ok(qw(checkpoint set acme orders), $consumer, "$epoch-$n", @opts) }
sub status { return Test::Eventsync::json(
    (grep { /"progress"/ } split /\n/, $t->ctl_ok(qw(endpoint status), $_[0],
        '--json'))[0] // '{}') }
sub at { my ($name, $n) = @_;
    return (status($name)->{cursor} // '') eq "$epoch-$n" }

###############################################################################
# a receiver that is down, a client that polls

break_it();
my $fifo = endpoint('/down/fifo', ack => 'billing');
my $none = endpoint('/down/none', ack => 'billing', ordering => 'none');
my $any = endpoint('/down/any', ack => '*');
my $prefix = endpoint('/down/prefix', ack => 'bill*');
my $plain = endpoint('/down/plain');
my $else = endpoint('/down/else', ack => 'else');
add(map { event($_) } 1 .. 5);
$t->run_dispatcher;

ok(wait_for(sub { retries($t, $none) == 5 && retries($t, $fifo) == 1
    && retries($t, $plain) == 1 && retries($t, $else) == 1
    && retries($t, $any) == 1 && retries($t, $prefix) == 1 }),
    'all of them fail');
ack('billing', 3);
ok(wait_for(sub { retries($t, $none) == 2 && at($any, 4) && at($prefix, 4)
    && at($fifo, 4) }), 'what is acknowledged waits no more');
is_deeply(distinct('/down/fifo'), [qw(e1 e4)],
    'a feed that was blocked goes on behind it');
is(retries($t, $plain), 1, 'without "ack" it waits');
is(retries($t, $else), 1, 'nor does another consumer count');
is_deeply([ map { scalar dead($t, $_) } $fifo, $none, $any ], [ 0, 0, 0 ],
    'there are no dead letters');

ack('billing', 5);
ok(wait_for(sub { retries($t, $none) == 0 && at($fifo, 5) && at($any, 5) }),
    'all of it');
unlink $broken;
add(map { event($_) } 6, 7);
ok(wait_for(sub { my %c = map { $_ => 1 } map { @{ distinct("/down/$_") } }
    qw(fifo); $c{e7} }), 'the receiver is back');
is_deeply(distinct('/down/fifo'), [qw(e1 e4 e6 e7)], 'only later events came');
ok(wait_for(sub { my %c = map { $_ => 1 } @{ distinct('/down/none') };
    $c{e6} && $c{e7} }), 'side by side too');
is(scalar(grep { !/^e[67]$/ } @{ distinct('/down/none') }), 5,
    'each of the others as often as it had failed');
my ($six) = grep { $_->{path} eq '/down/fifo'
    && $_->{headers}{'webhook-id'} eq 'e6' } $recv->requests;
is(Test::Eventsync::json($six->{body})->{prevcursor}, "$epoch-5",
    'prevcursor is what was acknowledged');

###############################################################################
# filters: prevcursor is the checkpoint; before it comes, nothing is sent

my $late = endpoint('/late', ack => 'billing', types => 'other');
ok(wait_for(sub { at($late, 7) }), 'an endpoint with a filter');
break_it();
add(event(8, 'other'), event(9, 'other'));
ok(wait_for(sub { my %c = map { $_ => 1 } @{ distinct('/late') }; $c{e9} }),
    'is sent what matches');
$t->ctl_ok(qw(endpoint pause), $late);
add(event(10, 'other'), event(11), event(12, 'other'));
ack('billing', 11);
ok(wait_for(sub { at($late, 11) }), 'a pause does not matter');
$t->ctl_ok(qw(endpoint resume), $late);
ok(wait_for(sub { my %c = map { $_ => 1 } @{ distinct('/late') }; $c{e12} }),
    'what is behind it comes');
is_deeply(distinct('/late'), [qw(e8 e9 e12)], 'and nothing else');
my ($twelve) = grep { $_->{path} eq '/late'
    && $_->{headers}{'webhook-id'} eq 'e12' } $recv->requests;
is(Test::Eventsync::json($twelve->{body})->{prevcursor}, "$epoch-11",
    'prevcursor is the cursor that is held');

###############################################################################
# order per subject: what an acknowledged one held may go

my $key = endpoint('/key', ack => 'keyed', ordering => 'key', start => 'latest');
ok(wait_for(sub { at($key, 12) }), 'an endpoint in order per subject');
add(event(13, 'fails', 's'), event(14, 'works', 's'), event(15, 'works', 's'));
ok(wait_for(sub { 3 == grep { $_->{line} =~ / (retry|held) / }
    status_lines($t, $key) }), 'one fails and holds two');
ack('keyed', 14);
ok(wait_for(sub { retries($t, $key) == 0 && at($key, 15) }), 'they go on');
is_deeply(distinct('/key'), [qw(e13 e15)], 'but for the one acknowledged');

###############################################################################
# replay, restart, reset

unlink $broken;
$t->ctl_ok(qw(endpoint change), $fifo, '--timeout=20s');
ok(wait_for(sub { at($fifo, 15) }), 'all is delivered');
$t->ctl_ok(qw(endpoint replay), $fifo, 'orders', "--after=$epoch-1");
ok(wait_for(sub { my %c = map { $_ => 1 } @{ distinct('/down/fifo') };
    $c{e2} && $c{e3} && $c{e5} }), 'a replay of what was acknowledged is sent');
ok(wait_for(sub { at($fifo, 15) }), 'all of it');

break_it();
add(map { event($_) } 16 .. 18);
ok(wait_for(sub { retries($t, $fifo) == 1 }), 'it fails again');
$t->stop_dispatcher;
ack('billing', 17);
$t->run_dispatcher;
ok(wait_for(sub { at($fifo, 18) }),
    'what was acknowledged while the dispatcher was stopped');
ok(wait_for(sub { grep { $_ eq 'e18' } @{ came('/down/fifo') } }),
    'is not sent, the rest is');
is(scalar(grep { $_ eq 'e17' } @{ came('/down/fifo') }), 0, 'only that');

$t->ctl_ok(qw(feed reset orders));
($epoch) = Test::Eventsync::json($t->ctl_ok(qw(feed show orders)))->{epoch};
add(map { event("new$_") } 1 .. 3);
ok(wait_for(sub { my %c = map { $_ => 1 } @{ came('/down/fifo') };
    $c{enew1} }), 'a new epoch begins');
ack('billing', 2);
ok(wait_for(sub { my %c = map { $_ => 1 } @{ came('/down/fifo') };
    $c{enew3} }), 'and is acknowledged as the one before');
is(scalar(grep { $_ eq 'enew2' } @{ came('/down/fifo') }), 0, 'in part');

is($t->stop_dispatcher, 0, 'the dispatcher stops');
ok($t->verify, 'verify');
done_testing();
