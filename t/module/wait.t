#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Long polls: woken by a commit of any process, in every worker, and left
# waiting by nothing else.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('other');
my $key = $t->master_key;

$t->default_conf;
$t->run_nginx;

my $events = '/v1/feeds/orders/events';
my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-0$/;

# A request that waits; its answer is for later.
sub waiter {
    my ($query, %opts) = @_;
    return $t->http_start(GET => "$events?$query",
        { authorization => 'Bearer ' . ($opts{key} // $key) }, undef, %opts);
}

sub answer {
    my $answer = $t->http_end($_[0]);
    $answer->{json} = Test::Eventsync::json($answer->{body});
    return $answer;
}

sub ids {
    my ($answer) = @_;
    return join ' ', map { $_->{id} } @{ $answer->{json}{events} };
}

sub waiting { $t->waiting(@_) }

###############################################################################
# time

my $answer = answer(waiter("after=$epoch-0&wait=1"));
is($answer->{status}, 200, 'nothing comes: 200');
is_deeply([ $answer->{json}{events}, $answer->{json}{next} ], [ [], "$epoch-0" ],
    'no events, next is where it was');
cmp_ok($answer->{seconds}, '>=', 0.99, 'not before its time');
cmp_ok($answer->{seconds}, '<', 10, 'nor long after it');

###############################################################################
# wake

my @waiters = map { waiter("after=$epoch-0&wait=20") } 1 .. 40;
waiting(40);
my $began = time;
$t->publish('orders', { id => 'w1' });
my @answers = map { answer($_) } @waiters;
my $took = time - $began;
is(scalar(grep { ids($_) eq 'w1' } @answers), 40, 'a commit wakes all');
cmp_ok($took, '<', 10, 'before their time');
is(keys %{ { map { $_->{body} => 1 } @answers } }, 1, 'with the same bytes');
is($answers[0]{json}{next}, "$epoch-1", 'next');
is($answers[0]{json}{latest}, "$epoch-1", 'latest');

my $waiter = waiter("after=$epoch-1&wait=20");
waiting(1);
$t->ctl_ok({ stdin => $t->event(id => 'w2') . "\n" }, 'publish', 'orders');
$answer = answer($waiter);
is(ids($answer), 'w2', 'woken by a commit of another process');
cmp_ok($answer->{seconds}, '<', 15, 'not by its time');

$answer = answer(waiter("after=$epoch-0&wait=20"));
is(ids($answer), 'w1 w2', 'what is there is given at once');
cmp_ok($answer->{seconds}, '<', 15, 'without waiting');

@waiters = (waiter("after=$epoch-2&wait=20"),
    waiter("after=$epoch-2&wait=20&limit=1"),
    waiter("after=$epoch-1&wait=20"), waiter('from=latest&wait=20'),
    waiter("after=$epoch-2&wait=20", key => $t->partner_key('acme',
        feeds => 'orders')));
waiting(4);
$t->publish('orders', { id => 'w3' }, { id => 'w4' });
@answers = map { ids(answer($_)) } @waiters;
is_deeply(\@answers, [ 'w3 w4', 'w3', 'w2', 'w3 w4', 'w3 w4' ],
    'each gets what it asked for');

$waiter = waiter("after=$epoch-4&wait=2");
waiting(1);
$t->publish('other', { id => 'x' });
$answer = answer($waiter);
is(ids($answer), '', 'a commit to another feed does not wake');
cmp_ok($answer->{seconds}, '>', 1.9, 'it waits on');

$answer = answer(waiter("after=$epoch-4&wait=1"));
my $etag = $answer->{headers}{etag};
$answer = $t->http(GET => "$events?after=$epoch-4&wait=1",
    { authorization => "Bearer $key", 'if-none-match' => $etag });
is($answer->{status}, 200, 'who waits is not answered by 304');

###############################################################################
# filters

$waiter = waiter("after=$epoch-4&wait=20&types=order.*");
waiting(1);
$t->publish('orders', { id => "n$_", type => 'price.updated' }) for 1 .. 3;
sleep 0.3;
$t->publish('orders', { id => 'm1', type => 'order.created' });
$answer = answer($waiter);
is(ids($answer), 'm1', 'a filter waits for what matches');
is($answer->{json}{events}[0]{prevcursor}, "$epoch-4",
    'prevcursor is the cursor held');
is($answer->{json}{next}, "$epoch-8", 'next');

$waiter = waiter("after=$epoch-8&wait=2&types=none.such");
waiting(1);
$t->publish('orders', { id => "p$_" }) for 1 .. 2;
$answer = answer($waiter);
is_deeply([ $answer->{json}{events}, $answer->{json}{next} ],
    [ [], "$epoch-10" ], 'nothing matched: next has moved');

$waiter = waiter("after=$epoch-10&wait=20&subject=s");
waiting(1);
$t->publish('orders', { id => 's1' }, { id => 's2', subject => 's' });
is(ids(answer($waiter)), 's2', 'by subject');

$waiter = waiter("after=$epoch-12&wait=20");
my $lines = $t->http_start(GET => "$events?after=$epoch-12&wait=20",
    { authorization => "Bearer $key", accept => 'application/x-ndjson' });
waiting(2);
$t->publish('orders', { id => 'l1' });
like($t->http_end($lines)->{body}, qr/\A\{.*"id":"l1".*\}\n\z/,
    'formats are not mixed up');
is(ids(answer($waiter)), 'l1', 'nor the other way');

###############################################################################
# clients that leave

my @gone = map { waiter("after=$epoch-13&wait=20") } 1 .. 30;
$waiter = waiter("after=$epoch-13&wait=20");
waiting(31);
close $_->{sock} for @gone[0 .. 9];
$t->reset_socket($_->{sock}) for @gone[10 .. 19];
waiting(11);
close $_->{sock} for @gone[20 .. 24];
$t->publish('orders', { id => 'g1' });
is(ids(answer($waiter)), 'g1', 'others are woken when some have left');

# One connection after the other, and requests sent ahead of answers.
my $sock = $t->socket;
$t->send_all($sock, join '', map {
    "GET $events?after=$epoch-14&wait=1 HTTP/1.1\r\nHost: x\r\n"
    . "Authorization: Bearer $key\r\n\r\n" } 1 .. 2);
$began = time;
my $call = { sock => $sock, method => 'GET', began => $began, timeout => 10,
    buf => '' };
is($t->http_end($call)->{status}, 200, 'pipelined: the first');
is($t->http_end($call)->{status}, 200, 'pipelined: the second');
cmp_ok(time - $began, '>=', 1.9, 'pipelined: one after the other');
close $sock;

###############################################################################
# what becomes of the feed

$waiter = waiter("after=$epoch-14&wait=20");
waiting(1);
$t->ctl_ok('feed', 'reset', 'orders');
$answer = answer($waiter);
is($answer->{status}, 410, 'the feed is reset');
is($answer->{json}{type}, 'urn:eventsync:problem:feed-reset', 'and says so');
cmp_ok($answer->{seconds}, '<', 5, 'at once');

$waiter = waiter('from=latest&wait=20');
waiting(1);
$t->ctl_ok('feed', 'remove', 'orders');
is(answer($waiter)->{status}, 404, 'the feed is removed');
$t->feed('orders');

###############################################################################
# a worker that is to stop answers at once

@waiters = map { waiter('from=latest&wait=30') } 1 .. 10;
waiting(10);
$began = time;
ok($t->reload, 'reload');
@answers = map { answer($_) } @waiters;
is(scalar(grep { $_->{status} == 200 && !@{ $_->{json}{events} } } @answers),
    10, 'reload: all are answered');
cmp_ok(time - $began, '<', 5, 'reload: promptly');
ok(wait_for(sub {
    my @pids = Test::Eventsync::children($t->nginx_pid);
    return @pids == 2;
}, 5), 'reload: no old worker lingers');

$waiter = waiter('from=latest&wait=20');
waiting(1);
$t->publish('orders', { id => 'r1' });
is(ids(answer($waiter)), 'r1', 'waiting works after a reload');

@waiters = map { waiter('from=latest&wait=30') } 1 .. 4;
waiting(4);
is($t->stop_nginx, 0, 'quit');
is(scalar(grep { answer($_)->{status} == 200 } @waiters), 4,
    'quit: all are answered');

done_testing();
