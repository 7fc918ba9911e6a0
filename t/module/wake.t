#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Many who wait: large pages that they share, feeds that have nothing new, and
# workers that are to exit.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant WAITERS => 200;

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('large')->feed('small')->feed('still');
my $key = $t->master_key;

$t->default_conf(location => 'eventsync_backfill on; eventsync_pages on;');
$t->run_nginx;

sub waiter {
    my ($feed, $query, %opts) = @_;
    return $t->http_start(GET => "/v1/feeds/$feed/events?wait=30&$query",
        { authorization => 'Bearer ' . (delete $opts{key} // $key),
          %{ $opts{headers} // {} } }, undef, %opts);
}

sub answers { return map { $t->http_end($_) } @_ }

sub ids { return join ' ', $_[0]{body} =~ /"id":"(.*?)"/g }

sub settled { sleep 0.3 }
sub waiting { $t->waiting(@_) }

# 100 events of 2 KB, in one commit.
my $batches;
sub batch {
    my ($feed, %attrs) = @_;
    $batches++;
    return $t->publish($feed, map { { id => "b$batches-$_", data => 'x' x 2000,
        %attrs } } 1 .. 100);
}

sub memory {
    my ($pid) = $t->workers;
    return $t->read_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m ? $1
        : die "no VmHWM\n";
}

# Seconds of processor time.
sub busy {
    my ($pid) = @_;
    my @stat = split ' ', $t->read_file("/proc/$pid/stat") =~ s/.*\)//r;
    return ($stat[11] + $stat[12]) / 100;
}

###############################################################################
# large pages

for my $case ([ 'no filter', '' ], [ 'a filter', '&types=order.*,a.b&subject=s' ])
{
    my ($name, $query) = @$case;

    # What a connection and its request cost is there from the first time on.
    my @waiters = map { waiter('large', "from=latest$query") } 1 .. WAITERS;
    waiting(WAITERS);
    $t->publish('large', { id => 'f' . ++$batches, type => 'order.made',
        subject => 's' });
    is(scalar(grep { $_->{status} == 200 } answers(@waiters)), WAITERS,
        "$name: all are woken");

    @waiters = map { waiter('large', "from=latest$query") } 1 .. WAITERS;
    waiting(WAITERS);
    my $before = memory();
    is(batch('large', type => 'order.made', subject => 's')->{status}, 201,
        "$name: a large batch");
    settled();
    my $kb = memory() - $before;
    my @answers = answers(@waiters);
    is(scalar(grep { $_->{status} == 200 && length $_->{body} > 200_000 }
        @answers), WAITERS, "$name: all have it");
    is(keys %{ { map { $_->{body} => 1 } @answers } }, 1,
        "$name: the same bytes");

    SKIP: {
        skip 'memory is not the same under a sanitizer', 1 if $t->sanitized;
        cmp_ok($kb, '<', 16_000, "$name: they share one page")
            or diag("$kb KB more");
    }
}

my %wanted = ('types=a.b' => 'm1', 'types=a.*' => 'm1 m2', 'types=c.d' => 'm3',
    'subject=t' => 'm2', 'types=a.b&subject=s' => 'm1',
    'types=a.*&subject=t' => 'm2', 'types=*' => 'm1 m2 m3',
    'types=a.b,c.d' => 'm1 m3', 'types=c.d,a.b' => 'm1 m3');
my @queries = map { ($_) x 3 } sort keys %wanted;
my @waiters = map { waiter('small', "from=latest&$_") } @queries;
waiting(scalar @queries);
$t->publish('small', { id => 'm1', type => 'a.b', subject => 's' },
    { id => 'm2', type => 'a.c', subject => 't' },
    { id => 'm3', type => 'c.d' });
is_deeply([ map { ids($_) } answers(@waiters) ], [ map { $wanted{$_} }
    @queries ], 'who has another filter has another page');

###############################################################################
# many, in turns

my @large = map { waiter('large', 'from=latest') } 1 .. WAITERS;
my @small = map { waiter('small', 'from=latest') } 1 .. 20;
my @still = map { waiter('still', 'from=latest') } 1 .. 20;
my @gone = map { waiter('large', 'from=latest') } 1 .. WAITERS;
waiting(2 * WAITERS + 40);
close $_->{sock} for @gone;
batch('large');
$t->publish('small', { id => 's1' });
is(scalar(grep { ids($_) eq 's1' } answers(@small)), 20,
    'those of another feed are woken');
is(scalar(grep { length $_->{body} > 200_000 } answers(@large)), WAITERS,
    'and so are all of the large one');
$t->publish('still', { id => 'w1' });
is(scalar(grep { ids($_) eq 'w1' } answers(@still)), 20,
    'those who waited on have lost nothing');

@waiters = map { waiter('still', 'from=latest&types=none') } 1 .. 100;
waiting(100);
$t->publish('still', { id => "w2-$_" }) for 1 .. 3;
settled();
$t->publish('still', { id => 'w3', type => 'none' });
is(scalar(grep { ids($_) eq 'w3' } answers(@waiters)), 100,
    'who found nothing looks again');

my $began = time;
@waiters = map { $t->http_start(GET => '/v1/feeds/still/events?wait=1'
    . '&from=latest', { authorization => "Bearer $key" }) } 1 .. WAITERS;
is(scalar(grep { $_->{status} == 200 && ids($_) eq '' } answers(@waiters)),
    WAITERS, 'the time of many is over at once');
cmp_ok(time - $began, '<', 10, 'in time');

###############################################################################
# keys

my $other = $t->partner_key('acme', feeds => 'still');
@waiters = map { waiter('still', 'from=latest', key => $other) } 1 .. 100;
my $stays = waiter('still', 'from=latest');
waiting(101);
my ($id) = $other =~ /^esk_([a-z2-7]+)_/;
$t->ctl_ok('key', 'revoke', $id);
$began = time;
is(scalar(grep { $_->{status} == 401 } answers(@waiters)), 100,
    'a key is revoked: all of its requests end');
cmp_ok(time - $began, '<', 10, 'though nothing was published');
$t->publish('still', { id => 'k1' });
is(ids(answers($stays)), 'k1', 'and nobody else');

###############################################################################
# a commit that is looked at while it is made

SKIP: {
    my $preload = $t->build . '/fault.so';
    skip 'needs fault.so, and no sanitizer', 6
        if !-e $preload || $t->sanitized;
    my $page = sub {
        my $answer = $t->http(GET => $_[0], { authorization => "Bearer $key" });
        return ids($answer);
    };
    my ($epoch) = $t->poll('still', from => 'latest')->{next} =~ /^(.*)-/;
    my $head = "/v1/feeds/still/pages/$epoch/head";

    $t->write_file('fault', "late /log/\n");
    for my $n (1 .. 3) {
        @waiters = map { waiter('still', 'from=latest', timeout => 10) } 1 .. 5;
        waiting(5);
        my $publisher = $t->ctl_start({ stdin => $t->event(id => "l$n") . "\n",
            env => { LD_PRELOAD => $preload,
                ES_FAULT => $t->testdir . '/fault' } }, 'publish', 'still');
        while ($publisher->running) {
            $page->($head);
            sleep 0.01;
        }
        is(scalar(grep { ids($_) eq "l$n" } answers(@waiters)), 5,
            'who looked too early looks again');
        like($page->($head), qr/\bl$n\z/, 'so does who asks for pages');
    }
    unlink $t->testdir . '/fault';
}

###############################################################################
# a worker that is to exit, and has something that goes on

batch('large') for 1 .. 40;
my $slow = $t->http_start(GET => '/v1/feeds/large/backfill',
    { authorization => "Bearer $key" });
settled();
my ($worker) = $t->workers;
@waiters = map { waiter('large', 'from=latest') } 1 .. WAITERS;
waiting(WAITERS);
ok($t->reload, 'reload');
is(scalar(grep { $_->{status} == 200 } answers(@waiters)), WAITERS,
    'all who wait are answered');
ok(kill(0, $worker), 'the old worker has a stream that nobody reads');
$t->publish('still', { id => "r$_" }) for 1 .. 3;
my $before = busy($worker);
sleep 1;
cmp_ok(busy($worker) - $before, '<', 0.15, 'and is idle while it waits');
is($t->http_end($slow)->{status}, 200, 'the stream ends');
ok(wait_for(sub { !kill 0, $worker }, 10), 'and so does the worker');

done_testing();
