#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A store without room gives it back: at map_max and on a full disk trimming,
# retention, reset, remove and every other deletion succeed, again and again,
# and publishing then goes on without a restart.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $pad = 'x' x 2000;

at_map_max();
on_a_full_disk();
with_a_reader();

done_testing();

###############################################################################

sub at_map_max {
    my $t = Test::Eventsync->new;
    $t->store_init;
    small_maps($t);
    $t->feed('orders');
    log_recovers($t, 'map_max', qr{store full: log/ has reached map_max});

    fill($t);
    my $format = $t->read_file('store/format') =~ s/8388608/16777216/r;
    $t->write_file('store/format', $format);
    is(publish($t), 201, 'map_max: when it is raised, publishing goes on '
        . 'without a restart');
    $t->stop;
}

sub on_a_full_disk {
  SKIP: {
    skip 'needs root, to mount a small disk', 16 if $>;

    my $t = Test::Eventsync->new;
    my $disk = $t->testdir . '/disk';
    $t->small_disk($disk, '24m') or skip 'cannot mount', 16;
    $t->{store} = "$disk/store";
    $t->store_init->feed('orders');
    log_recovers($t, 'disk', qr{store full: log/ has no room on its disk});

    open my $fh, '>', "$disk/full" or die "$disk/full: $!\n";
    1 while syswrite $fh, 'x' x 4096;
    close $fh;
    my $readers = $t->start('readers', {}, $t->build . '/helper/readers',
        $t->store);
    ok(wait_for(sub { $readers->stdout =~ /^full after/ }),
        'disk: every slot for a reader can be used');
    $readers->stop('KILL');
    $t->forget($readers);
    $t->stop;
  }
}

# What a stopped reader still sees cannot be used again; nothing is lost, and
# all is as it was when the reader ends.
sub with_a_reader {
    my $t = Test::Eventsync->new;
    $t->store_init;
    small_maps($t);
    $t->feed('orders');
    $t->master_key;
    $t->default_conf;
    $t->run_nginx;
    fill($t);

    my $reader = $t->start('reader', {}, $t->build . '/helper/reader',
        $t->store);
    ok(wait_for(sub { $reader->stdout =~ /reading/ }), 'a reader stops');

    my ($rc, $err) = (0);
    for my $step (1 .. 200) {
        ($rc, $err) = trim($t, 100);
        last if $rc;
        fill($t) if $step == 1;
    }
    is($rc, 1, 'reader: once the reserve is used, trimming is refused');
    my $pid = $reader->pid;
    like($err, qr/store full: .*; process $pid reads an old state/,
        'reader: and the message names the process');
    ok($t->verify, 'reader: the store is sound');

    $reader->stop('KILL');
    $t->forget($reader);
    ($rc, $err) = trim($t, 1000);
    is($rc, 0, 'reader: when it is gone, trimming succeeds') or diag($err);
    is(publish($t), 201, 'reader: and publishing goes on');
    $t->stop;
}

# Maps of 8 MB at most, as if the store had grown for years.
sub small_maps {
    my ($t) = @_;
    my $format = $t->read_file('store/format');
    $format =~ s/^map_initial \d+$/map_initial 1048576/m;
    $format =~ s/^map_max \d+$/map_max 8388608/m;
    $t->write_file('store/format', $format);
}

# Publishes batches of so many events, and then single small ones, until they
# are refused; returns the message.
my $filled = 0;
sub fill {
    my ($t, @sizes) = @_;
    my $err;

    $filled++;
    for my $size (@sizes ? @sizes : (200, 20, 1)) {
        my $events = join '', map {
            my $n = ($_ * 7919) % 100_003;
            qq({"specversion":"1.0","id":"$filled-$size-$_","source":"/fill",)
            . '"type":"t' . $n % 100 . qq(","subject":"s$n",)
            . '"data":"' . ($size > 1 ? $pad : '') . qq("}\n)
        } 1 .. ($size > 1 ? 12_000 : 20_000);
        (my $rc, undef, $err) = $t->ctl({ stdin => $events }, 'publish',
            'orders', "--batch=$size");
        $rc == 1 or die "the store is not full: exit $rc\n$err";
    }
    return $err;
}

sub feed {
    my ($t) = @_;
    my $out = $t->ctl_ok('feed', 'show', 'orders');
    return Test::Eventsync::json($out);
}

sub sequence { $_[0] =~ /-(\d+)$/ ? $1 : die "$_[0]: no cursor\n" }

sub publish {
    my ($t) = @_;
    return $t->publish('orders', { key => $t->master_key },
        { data => {} })->{status};
}

# Trims so many events; returns the exit status and the message.
sub trim {
    my ($t, $n) = @_;
    my $feed = feed($t);
    my $before = sequence($feed->{oldest}) + 1 + $n;
    my ($rc, undef, $err) = $t->ctl('feed', 'trim', 'orders',
        "--before=$feed->{epoch}-$before");
    return ($rc, $err);
}

sub done {
    my ($name, $rc, $err) = @_;
    is($rc, 0, $name) or diag($err);
}

sub log_recovers {
    my ($t, $what, $full) = @_;

    my $key = $t->master_key;
    $t->default_conf;
    $t->run_nginx;
    my $ctl = sub { my ($rc, undef, $err) = $t->ctl(@_); return ($rc, $err) };

    like(fill($t), $full, "$what: the message says what is full");
    my $answer = $t->publish('orders', { key => $key },
        { data => { pad => $pad x 30 } });
    is($answer->{status}, 507, "$what: a worker is refused too");
    like(Test::Eventsync::json($answer->{body})->{detail}, $full,
        "$what: and its answer says what is full");

    done("$what: the older half can be trimmed",
        trim($t, int(feed($t)->{events} / 2)));
    is(publish($t), 201, "$what: then publishing goes on");

    my @refused;
    fill($t);
    for (1 .. 8) {
        my ($rc, $err) = trim($t, 5);
        push @refused, $err if $rc;
        fill($t, 1);
    }
    is_deeply(\@refused, [], "$what: so can five events, again and again");

    fill($t);
    done("$what: a rule of retention can be set",
        $ctl->('feed', 'change', 'orders', '--retain-count=100'));
    my $dispatcher = $t->run_dispatcher;
    ok(wait_for(sub { feed($t)->{events} <= 100 }, 30),
        "$what: retention is applied");
    is(publish($t), 201, "$what: then publishing goes on");
    $t->stop_dispatcher;
    $ctl->('feed', 'change', 'orders', '--retain-count=0');

    fill($t);
    done("$what: a feed can be reset", $ctl->('feed', 'reset', 'orders'));
    is(publish($t), 201, "$what: then publishing goes on");

    fill($t);
    done("$what: a feed can be removed", $ctl->('feed', 'remove', 'orders'));
    done("$what: another can be made", $ctl->('feed', 'create', 'orders'));
    is(publish($t), 201, "$what: then publishing goes on");
    ok($t->verify, "$what: the store is sound");
}
