#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl lab: it goes on from step to step, asks a learner who starts the
# receiver by hand, and leaves nothing behind.  t/docs/lab.t has the steps.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Lab qw($PAGE @STEPS programs);

plan(skip_all => 'python3 is not installed')
    if system('python3 -c "" 2>/dev/null') != 0;

my $t = Test::Eventsync->new;

# What a process was started by; it may have ended.
sub command_of {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    return do { local $/; <$fh> } // '';
}

my @programs = programs('python');

my $dir = $t->testdir . '/course';
my @ports = ('--port=' . $t->port(1), '--api-port=' . $t->port(2),
    '--nginx=' . $t->nginx_binary);
$t->write_file('receiver.py', $programs[1]);
my ($rc, $out, $err) = $t->ctl('lab', $dir, @ports,
    '--run=exec python3 ' . $t->testdir . '/receiver.py');
is($rc, 1, 'the lab stops at the first step that is not passed');
like($out, qr/\Astep 1 of 6, signature: verify a signature\npassed\n/,
    'after it has gone on');
like($out, qr/^wrong: The receiver has applied event-01 twice\. Change: .*\.\n\z/m,
    'and says what is wrong');
like($err, qr/^eventsyncctl: the step "duplicates" is not passed\n\z/m,
    'beside what the receiver prints');
ok(-s "$dir/run/dispatcher.log", 'the logs of the step stay');
is_deeply(decode_json($t->ctl_ok('lab', $dir, '--status', '--json'))->{passed},
    ['signature'], 'the status as JSON');
my @status = split /\n/, $t->ctl_ok('lab', $dir, '--status');
is_deeply([map { /^(\S+) +(\S+) /; "$1 $2" } @status],
    ['passed signature', map { "- $_" } @STEPS[1 .. 5]], 'and as text');
is_deeply([map { /^\S+ +\S+ +(.*)/; ucfirst $1 } @status],
    [$PAGE =~ /^## \d\. (.*)$/mg], 'the steps are those of the page');

# As if four more had been passed.
$t->write_file('course/lab.json',
    encode_json({ passed => [@STEPS[0 .. 4]] }));
$t->write_file('receiver.py', $programs[6]);
($rc, $out, $err) = $t->ctl('lab', $dir, @ports,
    '--run=exec python3 ' . $t->testdir . '/receiver.py');
is($rc, 0, 'the next run goes on');
like($err, qr/^events were lost: 3$/m, 'says how many events were lost');
like($out, qr/\Astep 6 of 6.*\npassed\nall 6 steps are passed\n\z/, 'to the end');
ok(!-e "$dir/run", 'and leaves nothing running or lying around');

# A learner who starts the receiver by hand.
my $lab = $t->ctl_start('lab', $dir, 'outage', @ports);
my ($hand, $asked) = (undef, 0);
sub by_hand { $hand = $t->start('hand', {}, 'sh', '-c',
    ". $dir/run/env && exec python3 " . $t->testdir . '/receiver.py') }
my $ask = 'start your receiver on port ' . $t->port(1) . ', after this: . ';
ok(wait_for(sub { $lab->stdout =~ m{^\Q$ask$dir\E/run/env$}m }, 30),
    'it is asked to start the receiver');
by_hand();
for my $n (1, 2) {
    ok(wait_for(sub { (() = $lab->stdout =~ /^stop your receiver now$/mg) == $n },
        30), 'to stop it') or diag($lab->stdout, $lab->stderr);
    $hand->stop('KILL');
    ok(wait_for(sub { (() = $lab->stdout =~ /^start your/mg) == $n + 1 }, 30),
        'and to start it again');
    by_hand();
}
is($lab->wait(60), 0, 'passes, too') or diag($lab->stdout, $lab->stderr);
$hand->stop('KILL');

# A step by its number.
($rc, $out) = $t->ctl('lab', $dir, '1', @ports,
    '--run=exec python3 ' . $t->testdir . '/receiver.py');
like($out, qr/\Astep 1 of 6, signature: .*\npassed\n\z/, 'a step by its number');

# Three at once: a shell that ends before the receiver, which keeps the port for
# a while, and polls that are refused.
$t->write_file('late.sh', 'python3 ' . $t->testdir . "/receiver.py & r=\$!\n"
    . 'while kill -0 $1; do sleep 0.1; done; sleep 1; kill -9 $r');
my $python = 'exec python3 ' . $t->testdir . '/receiver.py';
my @runs = map {
    my ($name, $step, $run) = @$_;
    $t->ctl_start('lab', "$dir-$name", $step, "--run=$run",
        '--port=' . $t->free_port, '--api-port=' . $t->free_port, $ports[2]);
} ['late', 'duplicates', 'setsid sh ' . $t->testdir . '/late.sh $$ 2>/dev/null '
        . '& exec sleep 100'],
    ['key', 'gap', "EVENTSYNC_KEY=esk_old $python"],
    ['feed', 'gap', "EVENTSYNC_FEED=none $python"];
is($runs[0]->wait(60), 0, 'a killed receiver has time to let go of its port')
    or diag($runs[0]->stdout, $runs[0]->stderr);
is($runs[$_]->wait(60), 1, 'a poll that is refused') for 1, 2;
like($runs[1]->stdout, qr/^wrong:\ The\ receiver\ has\ not\ applied\ event-01,\ .*
    answered\ with\ 401:\ GET\ \S+\ Change:\ send\ the\ header\ field/mx,
    'with 401');
like($runs[2]->stdout, qr{^wrong:\ The\ receiver\ has\ not\ applied\ event-01,\ .*
    answered\ with\ 404:\ GET\ /v1/feeds/none/events\?\S+\ Change:\ req}mx,
    'with 404');
$out = qx(@{[$t->build]}/eventsyncctl lab $dir gap @ports --run=false 2>&1);
like($out, qr/^wrong: .*\neventsyncctl: the step "gap" is not passed\n\z/m,
    'what is wrong stands before the error, also in a pipe');

# Interrupted.
for my $signal (qw(TERM HUP PIPE KILL)) {
    $lab = $t->ctl_start('lab', $dir, 'signature', @ports);
    ok(wait_for(sub { $lab->stdout =~ /^start your/m }, 30), 'another run');
    $rc = $lab->stop($signal);
    ok($signal eq 'KILL' || $rc == 1 && $lab->stderr =~
        /^eventsyncctl: interrupted$/m, "SIG$signal ends it with a word");
    ok(wait_for(sub { !Test::Eventsync::port_open($t->port(2)) }, 20),
        'nginx has ended');
    ok(wait_for(sub { !grep { /\0(?:--store=)?\Q$dir\E[\/\0]/ } map { command_of($_) }
        glob '/proc/[0-9]*/cmdline' }, 20), 'and so has all else');
}

for my $step (qw(none 0 7)) {
    ($rc, $out, $err) = $t->ctl('lab', $dir, $step, @ports);
    ok($rc == 2 && $err =~ /there is no step "$step": they are 1 signature,/,
        "no step $step");
}
($rc, $out, $err) = $t->ctl('lab', $t->testdir, @ports);
ok($rc == 2 && $err =~ /neither empty nor of a lab/, 'another directory')
    or diag($err);
ok(-e $t->testdir . '/receiver.py', 'which stays as it is');
($rc, $out, $err) = $t->ctl('lab', $t->testdir . '/a;b', @ports);
ok($rc == 2 && $err =~ /a character that nginx/, 'a path that cannot be');
($rc, $out, $err) = $t->ctl('lab', $t->testdir . '/no', '--module=/none', @ports);
ok($rc == 1 && $err =~ m{module is not at "/none": install the package .*"make module"},
    'without nginx\'s module');

$t->write_file('course/mine', 'x');
is(($t->ctl('lab', $dir, '--reset'))[0], 0, '--reset');
is_deeply([glob "$dir/*"], ["$dir/mine"], 'removes what the lab has made');

for my $option ('--status', '--reset') {
    ($rc, $out, $err) = $t->ctl('lab', $dir, $option);
    ok($rc == 1 && $err =~ /"\Q$dir\E" is not of a lab/, "$option needs a lab");
}

done_testing();
