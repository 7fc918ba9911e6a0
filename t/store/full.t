#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A full disk, and a log at its greatest size: publishing is refused as a
# whole and says so, reading goes on, and all of it ends by itself.  So it is
# with checkpoints; pages that cannot be kept are sent all the same.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $pad = 'x' x 2000;

disk();
map_max();
others();

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
    $t->small_disk($disk, '24m') or skip 'cannot mount', 7;
    $t->{store} = "$disk/store";
    $t->store_init->feed('orders');
    my $key = $t->master_key;
    $t->default_conf;
    $t->run_nginx;

    my $acked = refused($t, $key, 'full disk');
    $t->resize_disk($disk, '64m');
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

# Checkpoints and encoded pages, each in an environment of its own.
sub others {
  SKIP: {
    skip 'needs root, to mount a small disk', 16 if $>;

    my $t = Test::Eventsync->new;
    my $disk = $t->testdir . '/disk';
    $t->small_disk($disk, '24m') or skip 'cannot mount', 16;
    $t->allow_errors(qr/eventsync store is full/);
    $t->{store} = "$disk/store";
    $t->store_init->feed('orders');
    $t->default_conf(location => 'eventsync_checkpoints on; eventsync_pages on;');
    $t->run_nginx;
    my $noise = sub { join '', map { chr 97 + rand 26 } 1 .. 1000 };
    $t->publish('orders', map { { data => { pad => $noise->() } } } 1 .. 100);
    my ($epoch) = $t->poll('orders', from => 'latest')->{next} =~ /^(.*)-/;
    my %key = (authorization => 'Bearer ' . $t->master_key);

    my $put = sub {
        my ($consumer, $sequence) = @_;
        return $t->http(PUT => "/v1/feeds/orders/checkpoints/$consumer",
            { %key, 'content-type' => 'application/json' },
            qq({"cursor":"$epoch-$sequence"}));
    };
    my $page = sub {
        return $t->http(GET => "/v1/feeds/orders/pages/$epoch/1",
            { %key, 'accept-encoding' => $_[0] });
    };
    is($put->('first', 5)->{status}, 201, 'checkpoints: made');
    is($page->('zstd')->{status}, 200, 'pages: kept');

    # to the last byte
    open my $fh, '>', "$disk/full" or die "$disk/full: $!\n";
    1 while syswrite $fh, 'x' x 4096;
    close $fh;

    my ($answer, @made);
    for my $n (100 .. 999) {
        $answer = $put->('c' x 60 . $n, 7);
        last if $answer->{status} != 201;
        push @made, 'c' x 60 . $n;
    }
    is($answer->{status}, 507, 'checkpoints: refused in the end');
    is(Test::Eventsync::json($answer->{body})->{type},
        'urn:eventsync:problem:store-full', 'as a problem');
    my $list = Test::Eventsync::json($t->http(GET =>
        '/v1/feeds/orders/checkpoints', \%key)->{body})->{checkpoints};
    my @names = sort map { $_->{consumer} } @$list;
    is_deeply(\@names, [ @made, 'first' ],
        'all that was said is there, and no more');
    is($put->('first', 6)->{status}, 200,
        'one that takes no more room still moves');
    is($t->http(DELETE => "/v1/feeds/orders/checkpoints/$_", \%key)
        ->{status}, 204, 'and others can be removed') for @made[0, -1];

    $answer = $page->('br');
    is($answer->{status}, 200, 'pages: one that cannot be kept is sent');
    is($answer->{headers}{'content-encoding'}, 'br', 'as it was asked for');
    ok($t->logged('error.log',
        qr/\[warn\].*eventsync cannot store encoded pages: /),
        'and the log says so');
    is($page->('zstd')->{status}, 200, 'what was kept is sent');

    unlink "$disk/full" or die "unlink: $!\n";
    is($put->('first', 9)->{status}, 200, 'checkpoints: with room they move');
    is($put->('second', 9)->{status}, 201, 'and are made');
    is($page->('gzip')->{status}, 200, 'pages: and so they are');
    ok($t->verify, 'the store is sound');
    $t->stop;
  }
}
