#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl drill: each fault on a real server and dispatcher, from which both
# partners recover, and a drill in which they do not.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

# A file system of its own that can be filled.
my $private = $ENV{ES_NAMESPACE};
if (!$private && $> == 0 && system('unshare -m true 2>/dev/null') == 0) {
    $ENV{ES_NAMESPACE} = 1;
    exec 'unshare', '-m', $^X, $0 or die "unshare: $!\n";
}

my $t = Test::Eventsync->new;
if ($private) {
    mkdir $t->store;
    is(system('mount', '-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', $t->store), 0,
        'a small file system');
}
$t->store_init;
$t->default_conf;
$t->run_nginx;
my $url = 'http://127.0.0.1:' . $t->port(0) . '/v1';
my @drill = ('drill', "--url=$url", '--for=1s', '--rate=50', '--port='
    . Test::Eventsync::free_port());

###############################################################################
# what is refused

sub refused {
    my ($rc, $line, $name, @args) = @_;
    my ($got, undef, $err) = $t->ctl(@args);
    is($got, $rc, "$name: exit $rc");
    like($err, qr/\Aeventsyncctl: $line\n\z/, "$name: one line says why");
}

refused(1, '".*/store" is not marked as a staging store: "store mark staging" '
    . 'does that', 'a store that is not marked', @drill);
$t->ctl_ok('store', 'mark', 'staging');
like(($t->ctl('store', 'mark', 'staging'))[2], qr/is marked so already/,
    'a note on a mark that is there');
refused(2, '"drill" needs --url=https://host/v1', 'no URL', 'drill');
refused(2, '"--only=webhooks-eaten": there is no fault "webhooks-eaten"; '
    . '"--list" prints them', 'no such fault', @drill, '--only=webhooks-eaten');
refused(2, '"--within=soon" is not a duration', 'no duration', @drill,
    '--within=soon');
refused(2, '"store mark live": the store is "staging" or "production"',
    'no such mark', 'store', 'mark', 'live');
refused(1, 'the partners do not get events even without a fault: \d+ were '
    . 'published, "push" has \d+ and "pull" has \d+; does a dispatcher run '
    . 'with --allow-http and --allow-address=127\.0\.0\.1\?',
    'no dispatcher', @drill, '--within=1s') if $ENV{ES_LONG};
is($t->ctl_ok('feed', 'list'), '', 'nothing is left');

my @faults = $t->ctl_ok('drill', '--list') =~ /^([a-z-]+) /mg;
is(scalar @faults, 10, 'ten faults');
my $page = do { local (@ARGV, $/) = 'docs/eventsyncctl.md'; <> };
my ($section) = $page =~ /^## drill\n(.*?)^## /ms;
is_deeply([ map { /^([a-z-]+) +(.*); remedy: (.*)$/ ? "$1|$2|$3" : () }
    split /\n/, $t->ctl_ok('drill', '--list') ],
    [ map { /^\| `([a-z-]+)` \| (.*) \| (.*) \|$/ && $1 !~ /^-/ ? "$1|$2|$3" : () }
        grep { !/^\| `--/ } split /\n/, $section ], 'as the page has them');

###############################################################################
# all faults

$t->run_dispatcher;
my $stop = $t->testdir . '/stop';
my $start = $t->testdir . '/start';
# The test's own process stops and starts the dispatcher when a command says so.
my $command = sub { "touch $_[0]; while test -e $_[0]; do sleep 0.05; done" };
my $proc = $t->start('drill', { env => { EVENTSYNC_STORE => $t->store } },
    $t->build . '/eventsyncctl', @drill, '--within=30s', '--junit='
        . $t->testdir . '/drill.xml', '--stop-dispatcher=' . $command->($stop),
    '--start-dispatcher=' . $command->($start));
ok(wait_for(sub {
    if (-e $stop) {
        $t->stop_dispatcher;
        unlink $stop;
    }
    if (-e $start) {
        $t->run_dispatcher;
        unlink $start;
    }
    !$proc->running;
}, 120), 'the drill ends');
is($proc->wait(5), 0, 'all have recovered') or diag($proc->stdout,
    $proc->stderr);
my $out = $proc->stdout;
for my $fault (grep { $private || $_ ne 'disk-full' } @faults) {
    like($out, qr/^pass $fault +0 of \d+ events missing, whole after \d+\.\d s; /m,
        $fault);
}
if ($private) {
    like($out, qr/^10 of 10 passed, 0 skipped, \d+ events published$/m, 'the sum');
} else {
    like($out, qr/^skip disk-full +the file system of the store is larger/m,
        'the disk is not filled');
}
like($t->read_file('drill.xml'), qr/<testsuite [^>]*tests="10"/, 'as JUnit');
nothing_left();

sub nothing_left {
    is($t->ctl_ok($_, 'list'), '', "no $_ is left")
        for qw(feed partner key endpoint);
}

###############################################################################
# a dispatcher that does not come back, and a drill that is interrupted

my ($rc, $result, $err) = $t->ctl(@drill, '--only=dispatcher-stopped',
    '--within=3s', '--stop-dispatcher=kill ' . $t->{dispatcher}->pid,
    '--start-dispatcher=true', '--json');
is($rc, 1, 'exit 1');
my ($check) = @{ decode_json($result)->{checks} };
is($check->{check}, 'dispatcher-stopped', 'the fault');
ok(!$check->{pass}, 'is not overcome');
like($err, qr/1 of 1 faults were not overcome/, 'it says so');
$t->stop_dispatcher;
$t->run_dispatcher;
nothing_left();

$proc = $t->start('interrupted', { env => { EVENTSYNC_STORE => $t->store } },
    $t->build . '/eventsyncctl', @drill[0, 1, 3, 4], '--for=60s',
    '--only=polls-limited');
ok(wait_for(sub { $t->ctl_ok('partner', 'list', '--json') =~ m{1r/h} }, 30),
    'a fault is there');
$proc->kill('INT');
is($proc->wait(30), 1, 'it ends when it is told to');
like($proc->stderr, qr/interrupted/, 'and says so');
nothing_left();

###############################################################################
# the mark

$t->ctl_ok('backup', $t->testdir . '/backup');
ok(!-e $t->testdir . '/backup/staging', 'no backup has the mark');
$t->ctl_ok('store', 'mark', 'production');
refused(1, '".*/store" is not marked as a staging store: .*',
    'the mark is taken away', @drill);

done_testing();
