#!/usr/bin/perl

# A full disk, and a log at its greatest size: publishing is refused as a
# whole and says so, reading goes on, and all of it ends by itself.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $pad = 'x' x 2000;

disk();
map_max();

done_testing();

###############################################################################

# Publishes until it is refused; returns the answer and what was acknowledged.
sub fill {
    my ($t, $key, $prefix) = @_;
    my $acked = 0;

    for my $i (1 .. 5000) {
        my $answer = $t->publish('orders', { key => $key }, map { {
            id => "$prefix-$i-$_", data => { pad => $pad }
        } } 1 .. 20);
        return ($answer, $acked) if $answer->{status} != 201;
        $acked += 20;
    }
    return (undef, $acked);
}

sub refused {
    my ($t, $key, $what) = @_;

    my ($answer, $acked) = fill($t, $key, 'fill');
    ok($answer, "$what: publishing is refused in the end") or return 0;
    is($answer->{status}, 507, "$what: with 507");
    is($answer->{headers}{'content-type'}, 'application/problem+json',
        "$what: as a problem");
    is($answer->{headers}{'cache-control'}, 'no-store',
        "$what: that nobody keeps");

    my $kept = $t->poll_all('orders', key => $key);
    is(scalar @$kept, $acked, "$what: reading goes on, and has what was "
        . 'acknowledged and nothing else');
    ok($t->verify, "$what: the store is sound");
    return $acked;
}

sub disk {
  SKIP: {
    skip 'needs root, to mount a small disk', 7 if $>;

    my $t = Test::Eventsync->new;
    my $disk = $t->testdir . '/disk';
    mkdir $disk;
    system('mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', $disk) == 0
        or skip 'cannot mount', 7;
    $t->at_end(sub { system('umount', $disk) });
    $t->{store} = "$disk/store";
    $t->store_init->feed('orders');
    my $key = $t->master_key;
    $t->default_conf;
    $t->run_nginx;

    my $acked = refused($t, $key, 'full disk');
    system('mount', '-o', 'remount,size=64m', $disk) == 0
        or die "cannot remount\n";
    is($t->publish('orders', { key => $key }, {})->{status}, 201,
        'full disk: publishing goes on when there is room');
    is($t->poll('orders', key => $key, from => 'latest')->{latest}
        =~ s/.*-//r, $acked + 1, 'full disk: and no sequence was lost');
    $t->stop;
  }
}

sub map_max {
    my $t = Test::Eventsync->new;
    $t->store_init;
    my $format = $t->read_file('store/format');
    $format =~ s/^map_initial \d+$/map_initial 1048576/m;
    $format =~ s/^map_max \d+$/map_max 8388608/m;
    $t->write_file('store/format', $format);
    $t->feed('orders');
    my $key = $t->master_key;
    $t->default_conf;
    $t->run_nginx;

    refused($t, $key, 'log at its greatest size');
}
