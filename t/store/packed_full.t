#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Packing in a store that is full, by its map or by its disk: it takes nothing
# that a publisher could use, loses nothing, and gives room back.  A reader that
# keeps an old state keeps the pages from use until it ends.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

map_max();
SKIP: {
    skip 'needs root, to mount a small disk', 1 if $>;
    disk();
}

done_testing();

###############################################################################

# Publishes until the store is full; returns how many events it has then.
sub fill {
    my ($t) = @_;
    our $n;
    my $text = join '', map { ++$n; $t->event(id => "e$n", subject => "s" . $n % 50,
        data => { n => $n, text => "a text that comes again $n" }) . "\n" } 1 .. 60_000;
    my ($rc, undef, $err) = $t->ctl({ stdin => $text }, qw(publish orders --batch=20));
    like($err, qr/store full/, 'the store is full') if $rc;
    return Test::Eventsync::json($t->ctl_ok(qw(feed show orders)))->{events};
}

sub packs {
    my ($t, $what) = @_;
    my $full = fill($t);
    my $texts = $t->ctl_ok(qw(tail orders));
    my $reader = $t->start('reader', {}, $t->build . '/helper/reader', $t->store);
    wait_for(sub { $reader->stdout ne '' }, 20);

    my ($rc, $out, $err) = $t->ctl(qw(feed pack orders));
    ok($rc == 0 || $err =~ /store full/, "$what: beside a reader it packs, or says that "
        . 'the store is full') or diag("$rc $out$err");
    ok($t->verify, "$what: the store verifies");
    $reader->stop('KILL');

    my $packed = Test::Eventsync::json($t->ctl_ok(qw(feed pack orders --json)));
    ok($t->verify, "$what: the store verifies when all is packed");
    is($t->ctl_ok(qw(tail orders)), $texts, "$what: with the same events");
    cmp_ok(fill($t), '>', 1.2 * $full, "$what: more events have room now");
    ok($t->verify, "$what: the store verifies when it is full again");
}

sub map_max {
    my $t = Test::Eventsync->new;
    $t->store_init;
    $t->write_file('store/format', $t->read_file('store/format')
        =~ s/^map_initial .*/map_initial 1048576/mr =~ s/^map_max .*/map_max 12582912/mr);
    $t->feed('orders', pack => 'off');
    packs($t, 'map');
}

sub disk {
    my $t = Test::Eventsync->new;
    my $dir = $t->testdir . '/disk';
    $t->small_disk($dir, '24m') or return pass('no disk can be mounted');
    $t->{store} = "$dir/store";
    $t->store_init->feed('orders', pack => 'off');
    packs($t, 'disk');
}
