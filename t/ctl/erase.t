#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What an erasure does outside of the log: backups that are older, answers of
# receivers, and a run that is killed.

use warnings;
use strict;

use File::Find qw(find);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $keys = $t->write_file('keys', encode_base64('k' x 32));
chmod 0600, $keys;
my $dir = $t->testdir;

$t->store_init->feed('orders');

sub publish {
    my ($store, @events) = @_;
    return $t->ctl({ stdin => join '', map { "$_\n" } @events },
        "--store=$store", 'publish', 'orders', '--key-file', $keys);
}

sub canary {
    my ($n, $subject) = @_;
    return $t->event(id => "CANARYID$n", source => '/CANARYSOURCE',
        type => 'order.x', subject => $subject // 'CANARYSUBJECT',
        data => { secret => "CANARYDATA$n" });
}

sub found {
    my ($in, $what) = @_;
    my @found;
    find({ no_chdir => 1, wanted => sub {
        return if !-f;
        open my $fh, '<:raw', $_ or die "$_: $!\n";
        local $/;
        push @found, $_ if index(<$fh>, $what // 'CANARY') >= 0;
    } }, $in);
    return \@found;
}

sub erase {
    my (@args) = @_;
    return $t->ctl('erase', @args, '--key-file', $keys);
}

###############################################################################
# a backup that was made before

publish($t->store, map { canary($_), $t->event(id => "o$_") } 1 .. 20);
my $backup = "$dir/backup";
$t->ctl_ok('backup', $backup);
is_deeply(found($backup), ["$backup/log/data.mdb"], 'a backup has the events');
$t->ctl_ok('erase', '--subject=CANARYSUBJECT', '--expect=20', '--key-file',
    $keys);
is_deeply(found($t->store), [], 'the store has them no more');

my $list = $t->write_file('list', $t->ctl_ok('erasures'));
unlike($t->read_file('list'), qr/CANARY/, 'the list has no part of them');

like($t->ctl_ok('restore', $backup, "$dir/a"), qr/^20 events were erased after/m,
    'a restore erases again what the store of --store has erased');
my ($rc, $out, $err) = $t->ctl('--store=', 'restore', $backup, "$dir/b");
is($rc, 1, 'without that store it refuses');
like($err, qr/nobody knows what was erased after the backup/, 'and says why');
ok(!-e "$dir/b", 'and leaves nothing');
$t->ctl_ok('--store=', 'restore', "--erasures=$list", $backup, "$dir/c");

for my $store ("$dir/a", "$dir/c") {
    is_deeply(found($store), [], 'no byte of them is in the restored store');
    like($t->ctl_ok("--store=$store", 'verify'), qr/ 0 faults$/m,
        'which is sound');
    ($rc, undef, $err) = publish($store, canary(3));
    ok($rc == 1 && $err =~ /was erased/, 'and takes none of them');
    is($t->ctl_ok("--store=$store", 'erasures'), $t->read_file('list'),
        'and has the same list');
}

my @lines = split /^/, $t->read_file('list');
for (['cut short', qr/is cut short/, @lines[0 .. $#lines - 1]],
    ['with a gap', qr/line 3 is not a line/, @lines[0, 1, 3 .. $#lines]],
    ['of another store', qr/of another store/,
        $lines[0] =~ s/"store":"\w{4}/"store":"0000/r, @lines[1 .. $#lines]],
    ['empty', qr/is cut short/],
    ['of other text', qr/line 1 is not a line/, "hello\n"])
{
    my ($name, $why, @text) = @$_;
    my $bad = $t->write_file('bad', join '', @text);
    ($rc, undef, $err) = $t->ctl('--store=', 'restore', "--erasures=$bad",
        $backup, "$dir/d");
    ok($rc == 1 && $err =~ $why && !-e "$dir/d", "a list $name is refused")
        or diag($err);
}
$t->ctl_ok('--store=', 'restore', '--erasures=none', $backup, "$dir/e");
isnt(scalar @{ found("$dir/e") }, 0, 'with "none" the events are back');

###############################################################################
# answers of receivers

my $recv = $t->receiver(sub {
    my ($request) = @_;
    if ($request->{body} =~ /CANARYID51/) {        # answers after the erasure
        wait_for(sub { -e "$dir/erased" }, 30);
    }
    return { status => 500, body => 'CANARYECHO' };
});
$t->partner('acme', feeds => 'orders');
$t->endpoint('acme', url => $recv->url, feeds => 'orders', start => 'latest',
    ordering => 'none');
$t->run_dispatcher('--key-file', $keys);
publish($t->store, canary(50, 'ECHO'));
ok($recv->wait_for(1, 20), 'the event is sent');
ok(wait_for(sub { @{ found($t->store . '/delivery', 'CANARYECHO') } }, 20),
    'its answer is kept');
erase('--subject=ECHO', '--expect=1');
ok(wait_for(sub { !@{ found($t->store . '/delivery', 'CANARYECHO') } }, 30),
    'and taken when the event is erased');
is_deeply(found($t->store), [], 'no byte is left');

my $took = sub { scalar(() = $t->{dispatcher}->stderr =~ /took the answers/g) };
publish($t->store, canary(51, 'LATE'));
ok(wait_for(sub { grep { $_->{body} =~ /CANARYID51/ } $recv->requests }, 20),
    'an event is sent');
erase('--subject=LATE', '--expect=1');
ok(wait_for(sub { $took->() == 2 }, 30), 'and erased before the answer');
$t->write_file('erased', '');
ok(wait_for(sub { my %of = map { $_ => 1 }
    $t->ctl_ok('endpoint', 'attempts') =~ /sequence=(\d+)/g; keys %of == 2 }, 20),
    'which comes then');
is_deeply(found($t->store), [], 'and is not kept');
$t->stop_dispatcher;

###############################################################################
# "doctor" knows a run that was killed: one of its first commits, and its last
# one, after which only the overwriting of the files is not noted

my $preload = $t->build . '/kill.so';
SKIP: {
    skip 'needs kill.so, and no sanitizer', 8
        if !-e $preload || $t->sanitized;
    my $doctor = sub { ($t->ctl('doctor', '--offline'))[1] };
    like($doctor->(), qr/^ok +erasure: no byte of \d+ erased events is in the log$/m,
        'doctor: complete');
    for my $when ('after log-sync 2', 'after log-sync 12') {
        publish($t->store, map { canary($when =~ tr/ /-/r . "-$_", 'HALF') } 1 .. 64);
        is($t->ctl_start({ env => { LD_PRELOAD => $preload, ES_KILL => $when } },
            'erase', '--subject=HALF', '--expect=64', '--key-file', $keys)
            ->wait(30), 128 + 9, "kill -9 $when");
        like($doctor->(), qr/^warn\ +erasure:\ an\ erasure\ has\ begun\ .*
            bytes\ of\ \d+\ erased\ events\n\s+next:\ .*erase\ again/mx,
            'doctor: not complete');
        my ($left) = $t->ctl_ok('erase', '--subject=HALF', '--dry-run')
            =~ /^(\d+) events would/m;
        erase('--subject=HALF', "--expect=$left");
        like($doctor->(), qr/^ok +erasure: /m, "doctor: complete ($left left)");
    }
}

###############################################################################
# killed at any moment

for my $round (1 .. 6) {
    my $n = 150;
    publish($t->store, map { canary("$round-$_", 'KILLED') } 1 .. $n);
    my $proc = $t->ctl_start('erase', '--subject=KILLED', "--expect=$n",
        '--key-file', $keys);
    sleep 0.02 * $round;
    $proc->stop('KILL');
    $t->forget($proc);

    my ($left) = $t->ctl_ok('erase', '--subject=KILLED', '--dry-run')
        =~ /^(\d+) events would/m;
    like($t->ctl_ok('verify'), qr/ 0 faults$/m,
        "round $round: the store is sound");
    ($rc, $out, $err) = erase('--subject=KILLED', "--expect=$left");
    ok($rc == 0 && !@{ found($t->store) },
        "round $round: a second run completes it ($left left)") or diag($err);
}

done_testing();
