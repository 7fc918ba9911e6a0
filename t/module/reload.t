#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Reload of nginx and restart of the dispatcher under traffic: no failed
# request, nothing lost, nothing out of order.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant ROUNDS => $ENV{ES_RELOAD_ROUNDS} || 4;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');
my $key = $t->master_key;

my $recv = $t->receiver(200);
$t->endpoint('tester', url => $recv->url, feeds => 'orders',
    ordering => 'fifo', start => 'oldest');

$t->default_conf;
$t->run_nginx;
$t->run_dispatcher;

# Producers print the ids that were acknowledged, and any failure.
my @producers = map {
    my $name = "p$_";
    $t->background("producer-$name", sub {
        my $n = 0;
        until ($t->told_to_end) {
            my $id = "$name-" . ++$n;
            my $answer = $t->publish('orders',
                { id => $id, data => { n => $n } });
            print $answer->{status} == 201 ? "ok $id\n"
                : "failed $id status $answer->{status} $answer->{body}\n";
        }
    });
} 1 .. 2;

# Pollers print the sequences that they see, by long-poll from the beginning.
my @pollers = map {
    $t->background("poller-$_", sub {
        my %place = (from => 'oldest');
        while (1) {
            my $page = $t->poll('orders', %place, wait => 2, limit => 50);
            if (!$page) {
                print "failed\n";
                next;
            }
            print "$_->{sequence} $_->{id}\n" for @{ $page->{events} };
            %place = (after => $page->{next});
            last if $t->told_to_end && !@{ $page->{events} };
        }
    });
} 1 .. 3;

ok($recv->wait_for(20, 20), 'traffic flows');

for my $round (1 .. ROUNDS) {
    my $before = $recv->count;
    ok($t->reload, "reload $round: a new generation serves");
    is($t->stop_dispatcher, 0, "reload $round: the dispatcher stops cleanly");
    $t->run_dispatcher;
    ok($recv->wait_for($before + 20, 20), "reload $round: traffic goes on");
}

ok(wait_for(sub { Test::Eventsync::children($t->nginx_pid) == 2 }, 10),
    'old workers are gone, long-polls or not');

$t->tell_to_end;
is($_->wait(20), 0, "$_->{name} ends") for @producers, @pollers;

my @acked = map { $_->stdout =~ /^ok (\S+)$/mg } @producers;
my $failed = join '', map { $_->stdout =~ /^(failed.*\n)/mg }
    @producers, @pollers;
is($failed, '', 'no request failed');
cmp_ok(scalar @acked, '>', 50, 'enough was published');

my $kept = $t->poll_all('orders');
is_deeply([sort map { $_->{id} } @$kept], [sort @acked],
    'what was acknowledged is kept, once');
is_deeply([map { $_->{sequence} + 0 } @$kept], [1 .. @acked],
    'sequences are dense');

my $expected = join '', map { "$_->{sequence} $_->{id}\n" } @$kept;
ok($_->stdout eq $expected, "$_->{name} saw every sequence once, in order")
    for @pollers;

ok($recv->wait_for(scalar @acked, 20), 'every event came by webhook');
my (@order, %seen);
for my $request ($recv->requests) {
    push @order, $request->{headers}{'webhook-id'}
        unless $seen{ $request->{headers}{'webhook-id'} }++;
}
is_deeply(\@order, [map { $_->{id} } @$kept], 'in order, none left out');

ok($t->verify, 'the store is sound');

done_testing();
