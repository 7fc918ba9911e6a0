#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A disk that refuses the page by which a commit stands leaves LMDB's handle
# unusable.  Workers, the dispatcher and the library open the store again by
# themselves, and publish nothing before they have.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $preload = Test::Eventsync->new->build . '/fault.so';
plan skip_all => 'needs fault.so' unless -e $preload;

worker();
checkpoints();
pages();
library();
delivery();
retention();

done_testing();

###############################################################################

# What fails is written to a file of its own for each process.
sub broken {
    my ($t, $who) = @_;
    return { env => { LD_PRELOAD => $preload,
        ES_FAULT => $t->testdir . "/fault.$who" } };
}

sub break_disk {
    my ($t, $who, $words) = @_;

    # At once: it is read while it is written.
    $t->write_file("fault.$who.new", "$words\n");
    rename $t->testdir . "/fault.$who.new", $t->testdir . "/fault.$who"
        or die "rename: $!\n";
}

sub heal {
    my ($t, $who) = @_;
    unlink $t->testdir . "/fault.$who" or die "unlink: $!\n";
}

sub put_one {
    my ($t, $id) = @_;
    return $t->publish('orders', { key => $t->master_key }, { id => $id });
}

sub worker {
    my $t = Test::Eventsync->new;
    $t->store_init->feed('orders');
    $t->default_conf(main => 'env ES_FAULT;', location => 'eventsync_health '
        . 'on; eventsync_ready_dispatcher off;');
    $t->run_nginx(%{ broken($t, 'nginx') });
    is(put_one($t, 'a')->{status}, 201, 'a worker publishes');
    my ($pid) = $t->workers;

    my $waiting = $t->http_start(GET => '/v1/feeds/orders/events?from=latest'
        . '&wait=60', { authorization => 'Bearer ' . $t->master_key }, undef,
        timeout => 90);

    break_disk($t, 'nginx', 'meta /log/');
    for my $n (1, 2) {
        my $answer = put_one($t, 'b');
        is($answer->{status}, 503, "the disk fails: 503 ($n)");
        like($answer->{headers}{'retry-after'}, qr/^[1-3]$/, 'to be retried');
        is($answer->{json}{type}, 'urn:eventsync:problem:unavailable',
            'as a problem');
    }
    is_deeply([map { $_->{id} } @{ $t->poll_all('orders') }], ['a'],
        'polls go on, with what was acknowledged');
    heal($t, 'nginx');

    my $answer = put_one($t, 'b');
    is($answer->{status}, 201, 'the disk is well: 201');
    my $woken = Test::Eventsync::json($t->http_end($waiting)->{body});
    is($woken->{events}[0]{id}, 'b', 'a long-poll from before gets it');

    break_disk($t, 'nginx', 'meta /log/ start /log/');
    is(put_one($t, 'c')->{status}, 503, 'a disk that stays broken: 503');
    my $poll = $t->http(GET => '/v1/feeds/orders/events?from=oldest',
        { authorization => 'Bearer ' . $t->master_key });
    is($poll->{status}, 503, 'a store whose state is not known is not read');
    is(put_one($t, 'c')->{status}, 503, 'nor written');
    is($t->http(GET => '/v1/readyz')->{status}, 503, 'the worker is not ready');
    is($t->http(GET => '/v1/healthz')->{status}, 200, 'and healthy');
    heal($t, 'nginx');
    ok(wait_for(sub { $t->poll('orders', from => 'oldest') }, 20),
        'it is opened again without a publish');
    is($t->http(GET => '/v1/readyz')->{status}, 200, 'and the worker ready');

    is(put_one($t, $_)->{status}, 201, 'publishing goes on') for qw(c d);
    my @events = @{ $t->poll_all('orders') };
    is_deeply([map { $_->{id} } @events], ['a' .. 'd'], 'each is there once');
    is_deeply([map { $_->{sequence} + 0 } @events], [1 .. 4], 'with no gap');
    is_deeply([$t->workers], [$pid], 'in the same worker');
    ok($t->verify, 'the store is sound');
    like($t->read_file('error.log'), qr/cannot be reopened after a failed commit/,
        'the log says what happened');
}

sub checkpoints {
    my $t = Test::Eventsync->new;
    $t->store_init->feed('orders');
    $t->default_conf(main => 'env ES_FAULT;',
        location => 'eventsync_checkpoints on;');
    $t->run_nginx(%{ broken($t, 'nginx') });
    $t->publish('orders', { key => $t->master_key }, map { {} } 1 .. 9);
    my ($epoch) = $t->poll('orders', from => 'latest')->{next} =~ /^(.*)-/;
    my @asks = ('/v1/feeds/orders/checkpoints/one', {
        authorization => 'Bearer ' . $t->master_key,
        'content-type' => 'application/json' });
    my $move = sub { (PUT => @asks, qq({"cursor":"$epoch-$_[0]"})) };
    my $at = sub {
        my $doc = Test::Eventsync::json($t->http(GET => @asks)->{body});
        return ($doc->{cursor} // '') =~ s/.*-//r;
    };
    is($t->http($move->(1))->{status}, 201, 'a checkpoint is made');

    for my $words ('sync /checkpoints/', 'meta /checkpoints/') {
        my $was = $at->();
        break_disk($t, 'nginx', $words);
        for my $n (1, 2) {
            my $answer = $t->http($move->($was + 1));
            is($answer->{status}, 503, "$words: 503 ($n)");
            like($answer->{headers}{'retry-after'}, qr/^[1-3]$/,
                'to be retried');
        }
        heal($t, 'nginx');
        ok(wait_for(sub { $t->http($move->($was + 1))->{status} == 200 }, 20),
            'the disk is well: it moves');
        is($at->(), $was + 1, 'to where it was said');
    }

    break_disk($t, 'nginx', 'meta /checkpoints/ start /checkpoints/');
    is($t->http($move->(4))->{status}, 503, 'a disk that stays broken: 503');
    is($t->http(GET => @asks)->{status}, 503,
        'what is not known to be on disk is not read');
    ok($t->poll('orders', from => 'oldest'), 'polls go on');
    heal($t, 'nginx');
    ok(wait_for(sub { $t->http(GET => @asks)->{status} == 200 }, 20),
        'it is opened again');
    is($t->http($move->(5))->{status}, 200, 'and moves');
    is($at->(), 5, 'where it is to be');

    # Who reads does not wait for the disk of who writes.
    break_disk($t, 'nginx', 'slow /checkpoints/');
    my @moving = map { $t->http_start($move->(6)) } 1, 2;
    select undef, undef, undef, 0.2;
    my $read = $t->http(GET => @asks);
    my $list = $t->http(GET => '/v1/feeds/orders/checkpoints', $asks[1]);
    is("$_->{status}", 200, 'read meanwhile') for $read, $list;
    cmp_ok($read->{seconds} + $list->{seconds}, '<', 2.5, 'without waiting');
    my @moved = map { $t->http_end($_) } @moving;
    is($_->{status}, 200, 'moved') for @moved;
    cmp_ok($moved[0]{seconds}, '>', 2.5, 'when it was on disk');
    heal($t, 'nginx');
    ok($t->verify, 'the store is sound');
}

# Encoded pages are worth a warning and no more.
sub pages {
    my $t = Test::Eventsync->new;
    $t->store_init->feed('orders');
    $t->default_conf(main => 'env ES_FAULT;', location => 'eventsync_pages on;');
    $t->run_nginx(%{ broken($t, 'nginx') });
    $t->publish('orders', { key => $t->master_key }, map { {} } 1 .. 100);
    my ($epoch) = $t->poll('orders', from => 'latest')->{next} =~ /^(.*)-/;
    my $get = sub {
        my $answer = $t->http(GET => "/v1/feeds/orders/pages/$epoch/1",
            { authorization => 'Bearer ' . $t->master_key,
              'accept-encoding' => $_[0] });
        return "$answer->{status} $answer->{headers}{'content-encoding'}";
    };
    for my $case ([ br => 'sync /pages/' ], [ zstd => 'meta /pages/' ],
        [ gzip => 'meta /pages/ start /pages/' ])
    {
        my ($encoding, $words) = @$case;
        break_disk($t, 'nginx', $words);
        is($get->($encoding), "200 $encoding", "$words: sent");
        heal($t, 'nginx');
    }
    like($t->read_file('error.log'),
        qr/\[warn\].*eventsync cannot store encoded pages: /, 'with a warning');
    is($get->($_), "200 $_", "$_: still") for qw(br zstd gzip);
}

# A producer that ends says that it failed; the one after it succeeds.
sub library {
    my $t = Test::Eventsync->new;
    $t->store_init->feed('orders');
    my $event = $t->event(id => 'a') . "\n";
    my $opts = { %{ broken($t, 'ctl') }, stdin => $event };

    break_disk($t, 'ctl', 'meta /log/');
    my ($rc, $out, $err) = $t->ctl($opts, 'publish', 'orders');
    isnt($rc, 0, 'a producer fails');
    like($err, qr{cannot write "\S+/log": Input/output error}, 'and says why');
    heal($t, 'ctl');
    is(($t->ctl($opts, 'publish', 'orders'))[0], 0, 'the next one does not');
    ok($t->verify, 'the store is sound');
}

sub delivery {
    my $t = webhook_store();
    my $recv = $t->receiver(200);
    $t->endpoint('acme', url => $recv->url, feeds => 'orders',
        start => 'oldest');
    my $dispatcher = $t->run_dispatcher(broken($t, 'dispatcher'));

    put($t, 'orders', 1);
    ok($recv->wait_for(1, 20), 'a webhook');

    break_disk($t, 'dispatcher', 'meta /delivery/');
    put($t, 'orders', 1);
    ok(wait_for(sub { $dispatcher->stderr =~ /cannot write delivery state/ },
        20), 'the dispatcher cannot write its state, and says so');
    heal($t, 'dispatcher');
    ok(wait_for(sub { $dispatcher->stderr =~ /can be written again/ }, 20),
        'then it can');

    put($t, 'orders', 1);
    ok(wait_for(sub { ids($recv) >= 3 }, 20), 'every event comes');
    is($t->stop_dispatcher, 0, 'it ends well');
    $t->run_dispatcher;
    put($t, 'orders', 1);
    ok(wait_for(sub { ids($recv) >= 4 }, 20), 'the next one goes on');
    is($recv->count, 4, 'and knew what was delivered');
}

sub ids {
    my ($recv) = @_;
    my %ids = map { $_->{headers}{'webhook-id'} => 1 } $recv->requests;
    return scalar keys %ids;
}

sub retention {
    my $t = webhook_store();
    my $recv = $t->receiver(200);
    $t->endpoint('acme', url => $recv->url, feeds => 'orders',
        start => 'oldest');
    break_disk($t, 'dispatcher', 'meta /log/ start /log/');
    my $dispatcher = $t->run_dispatcher(broken($t, 'dispatcher'));

    put($t, 'orders', 300);
    ok(wait_for(sub { ids($recv) == 300 }, 30), 'webhooks');
    $t->ctl_ok('feed', 'change', 'orders', '--retain-count=10');
    ok(wait_for(sub { $dispatcher->stderr =~ /cannot open the store again/ },
        20), 'retention fails in a way that loses the log');
    heal($t, 'dispatcher');
    put($t, 'orders', 1);
    ok(wait_for(sub { ids($recv) == 301 }, 20), 'the dispatcher goes on');
    ok(wait_for(sub {
        $t->ctl_ok('feed', 'show', 'orders') !~ /"oldest":"\w+-0"/ }, 20),
        'and applies retention');
    ok($t->verify, 'the store is sound');
}
