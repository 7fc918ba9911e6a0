#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher packs the history of feeds: which ones, from where on, what it
# says and counts, and when it stops.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('plain', pack => 'off')->feed('late', pack => 'off')->feed('few');
$t->default_conf;
$t->run_nginx;

many('orders', 2150);
many('plain', 2150);
many('late', 2150);
many('few', 350);
my %texts = map { $_ => $t->ctl_ok('tail', $_) } qw(orders plain late few);

packs();
settings();
goes_on();
faults();
stops();
killed();

done_testing();

###############################################################################

sub many {
    my ($feed, $n) = @_;
    $t->ctl_ok({ stdin => join '', map {
        $t->event(subject => 's' . $_ % 9, data => { n => $_ }) . "\n" } 1 .. $n },
        'publish', $feed);
}

# A dispatcher that has a handler for signals.
sub begun {
    my $proc = $t->run_dispatcher(@_);
    wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on "/ }, 30);
    return $proc;
}

sub metric {
    my ($name) = @_;
    my ($value) = $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_\Q$name\E (\S+)$/m;
    return $value;
}

# How many pages of a feed are packed: so many "feed unpack" makes plain.  The
# dispatcher does not pack meanwhile.
sub packed {
    my ($feed) = @_;
    my $level = Test::Eventsync::json($t->ctl_ok('feed', 'show', $feed))
        ->{pack_level};
    $t->ctl_ok('feed', 'change', $feed, '--pack=off');
    my $pages = Test::Eventsync::json($t->ctl_ok('feed', 'unpack', $feed,
        '--json'))->{pages};
    $t->ctl_ok('feed', 'change', $feed, '--pack=' . ($level || 'off'));
    return $pages;
}

sub same {
    my ($name) = @_;
    is_deeply([ grep { $t->ctl_ok('tail', $_) ne $texts{$_} } sort keys %texts ],
        [], "$name: every feed has its events");
    ok($t->verify, "$name: the store verifies");
}

# A feed with many full pages at once, and one with few after ten seconds.
sub packs {
    is(metric('packed_pages_total'), 0, 'nothing is packed without a dispatcher');
    $t->run_dispatcher;
    ok(wait_for(sub { metric('packed_pages_total') >= 20 }, 30),
        'full pages are packed') or diag(metric('packed_pages_total'));
    cmp_ok(metric('packed_bytes_total{form="packed"}'), '<',
        metric('packed_bytes_total{form="plain"}') / 2, 'their bytes are counted');
    ok(wait_for(sub { metric('packed_pages_total') == 22 }, 30),
        'few pages are packed after a while');
    is(metric('packing_pending_events'), 0, 'nothing waits');
    is(metric('packing_errors_total'), 0, 'nothing failed');
    same('packed');
}

# The setting takes effect in a dispatcher that runs.
sub settings {
    $t->ctl_ok(qw(feed change late --pack=9));
    ok(wait_for(sub { metric('packed_pages_total') == 42 }, 30),
        'a feed that is changed is packed from its beginning');
    same('on');
    my $proc = $t->{dispatcher};
    is($t->stop_dispatcher, 0, 'stop');
    like($proc->stderr, qr/info: packed 42 pages: \d+ bytes became \d+; 0 events wait/,
        'a line says what was packed');
    is(packed('plain'), 0, 'a feed that is off is not packed');
    is(packed('few'), 2, 'of another the pages before the last events');
    is(packed('late'), 20, 'and all of one that was turned on');
}

# What is published later is packed; no page is looked for from the beginning.
sub goes_on {
    $t->run_dispatcher;
    ok(wait_for(sub { metric('packed_pages_total') == 64 }, 30),
        'what is plain again is packed again');
    many('orders', 2000);
    $texts{orders} = $t->ctl_ok('tail', 'orders');
    ok(wait_for(sub { metric('packed_pages_total') == 84 }, 30),
        'and what was published since');
    $t->ctl_ok(qw(feed reset late));
    many('late', 2150);
    $texts{late} = $t->ctl_ok('tail', 'late');
    ok(wait_for(sub { metric('packed_pages_total') == 104 }, 30),
        'a feed that was reset is packed from its beginning');
    $t->ctl_ok(qw(feed begin-epoch late));
    many('late', 2000);
    $texts{late} = $t->ctl_ok('tail', 'late');
    ok(wait_for(sub { metric('packed_pages_total') == 124 }, 30),
        'a feed goes on in another epoch');
    $t->ctl_ok(qw(feed remove late));
    delete $texts{late};
    $t->feed('late');
    many('late', 2150);
    $texts{late} = $t->ctl_ok('tail', 'late');
    ok(wait_for(sub { metric('packed_pages_total') == 144 }, 30),
        'and so is another of the same name');
    same('later');
    is($t->stop_dispatcher, 0, 'stop');
}

# A disk that fails: the log says it once, the counter says it, and it ends.
sub faults {
    my $fault = $t->build . '/fault.so';
    SKIP: {
        skip 'a sanitizer comes before other libraries', 6 if $t->sanitized;
        many('orders', 2000);
        $texts{orders} = $t->ctl_ok('tail', 'orders');
        $t->write_file('fault', "sync /log/data.mdb\n");
        my $proc = $t->run_dispatcher({ env => { LD_PRELOAD => $fault,
            ES_FAULT => $t->testdir . '/fault' } });
        ok(wait_for(sub { $proc->stderr =~ /error: cannot pack feed "orders": .*; the dispatcher tries again every 10 s/ },
            30), 'a step that fails is in the log');
        ok(wait_for(sub { metric('packing_errors_total') >= 2 }, 30),
            'each failure is counted');
        cmp_ok(metric('packing_pending_events'), '>=', 2000, 'the events wait');
        unlink $t->testdir . '/fault' or die "unlink: $!\n";
        ok(wait_for(sub { metric('packing_pending_events') == 0 }, 30),
            'they are packed when the disk works again');
        like($proc->stderr, qr/warn: feed "orders" is packed again/, 'which is said');
        is(scalar(() = $proc->stderr =~ /cannot pack/g), 1, 'the fault was said once');
        is($t->stop_dispatcher, 0, 'stop');
        same('after faults');
    }
}

# A signal ends the work after the present step, and the next start goes on
# there.
sub stops {
    SKIP: {
        skip 'a sanitizer comes before other libraries', 4 if $t->sanitized;
        many('orders', 30000);
        $texts{orders} = $t->ctl_ok('tail', 'orders');
        my $before = metric('packed_pages_total');
        $t->write_file('fault', "hang /log/data.mdb\n");
        my $proc = begun({ env => { LD_PRELOAD => $t->build . '/fault.so',
            ES_FAULT => $t->testdir . '/fault' } });
        kill TERM => $proc->pid;
        ok(wait_for(sub { $proc->stderr =~ /signal 15: stopping/ }, 30),
            'a dispatcher whose commits hang is to stop');
        unlink $t->testdir . '/fault' or die "unlink: $!\n";
        is($proc->wait(60), 0, 'it stops when a commit has ended');
        $t->stop_dispatcher;
        my $after = metric('packed_pages_total');
        cmp_ok($after, '<=', $before + 64, 'after one step at most');
        begun();
        ok(wait_for(sub { metric('packed_pages_total') == $before + 300 }, 60),
            'the rest is packed, and no page twice') or diag("$before $after");
        is($t->stop_dispatcher, 0, 'stop');
        same('after a stop');
    }
}

sub killed {
    many('orders', 20000);
    $texts{orders} = $t->ctl_ok('tail', 'orders');
    for my $n (1 .. 4) {
        begun();
        sleep 0.05 * $n;
        $t->stop_dispatcher('KILL');
    }
    same('after kill -9');
    begun();
    ok(wait_for(sub { metric('packing_pending_events') == 0 }, 60)
        && wait_for(sub { metric('packing_pending_events') == 0 }, 3),
        'all is packed in the end');
    is($t->stop_dispatcher, 0, 'stop');
    same('packed');
}
