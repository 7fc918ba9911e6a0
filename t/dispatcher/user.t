#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# --user: a dispatcher that root starts becomes another user, with the groups of
# that user and no way back.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

plan(skip_all => 'only root can become another user') if $> != 0;

# For accounts of this test alone, a view of its own of the files.
if (!$ENV{ES_NAMESPACE}) {
    plan(skip_all => 'unshare is not allowed')
        if system('unshare -m true 2>/dev/null') != 0;
    $ENV{ES_NAMESPACE} = 1;
    exec 'unshare', '-m', $^X, $0 or die "unshare: $!\n";
}

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my %account = (
    passwd => "es-test:x:61301:61302::/:/bin/false\n",
    group => "es-own:x:61302:\nes-more:x:61303:es-test\nes-other:x:61304:\n");
for my $file (sort keys %account) {
    $t->write_file($file, $t->read_file("/etc/$file") . $account{$file});
    system('mount', '--bind', "$dir/$file", "/etc/$file") == 0 or die;
}

$t->store_init(sealed => 1);
system("openssl rand -base64 32 > $dir/key; chmod 0640 $dir/key") == 0 or die;
$t->feed('orders');
$t->partner('acme', feeds => '*');
my $recv = $t->receiver(sub { return 204 });
$t->endpoint('acme', url => $recv->url, feeds => 'orders', start => 'latest',
    key_file => "$dir/key");
mkdir "$dir/run";

sub status {
    my ($pid, $member) = @_;
    return ($t->read_file("/proc/$pid/status") =~ /^$member:[ \t]*(.*?)[ \t]*$/m)[0];
}

# The files are those of the user.
sub owned {
    my ($uid, $gid) = @_;
    system('chown', '-R', "$uid:$gid", map { "$dir/$_" } qw(store run key)) == 0
        or die;
}

my $n = 0;
for my $case (
    ['es-test', 61301, 61302, '61302 61303'],
    ['es-test:es-other', 61301, 61304, '61303 61304'],
    ['61301', 61301, 61302, '61302 61303'],
    ['61301:61304', 61301, 61304, '61303 61304'],
    ['61305:61306', 61305, 61306, ''],
    ['61305:es-own', 61305, 61302, ''])
{
    my ($user, $uid, $gid, $groups) = @$case;
    owned($uid, $gid);
    my $proc = $t->run_dispatcher("--user=$user", "--key-file=$dir/key",
        "--pid-file=$dir/run/pid");
    ok(wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on / }, 30),
        "--user=$user: it starts") or diag($proc->stderr);
    my $pid = $proc->pid;
    is(status($pid, 'Uid'), join("\t", ($uid) x 4), 'as that user');
    is(status($pid, 'Gid'), join("\t", ($gid) x 4), 'in that group');
    is(join(' ', sort split ' ', status($pid, 'Groups')), $groups,
        'and the groups of that user');
    is(status($pid, $_), '0' x 16, "$_ has nothing")
        for qw(CapInh CapPrm CapEff CapBnd CapAmb);
    is(status($pid, 'NoNewPrivs'), 1, 'nor can it gain anything');
    is((stat "/proc/$pid/mem")[4], 0, 'and other processes cannot read it');
    put($t, 'orders', 1);
    ok($recv->wait_for(++$n, 30), 'it delivers') or diag($proc->stderr);
    is((stat "$dir/run/pid")[4], $uid, 'it has a PID file');
    is($t->stop_dispatcher, 0, 'it ends');
    ok(!-e "$dir/run/pid", 'without the file');
}

###############################################################################
# what is refused

sub refused {
    my ($name, $said, @cmd) = @_;
    my $proc = $t->start('refused', {}, @cmd);
    is($proc->wait(20), 1, "$name: it does not start") or $proc->stop('KILL');
    like($proc->stderr, qr/\A\S+ error: $said\n\z/, 'as one line says');
}
my @program = ($t->build . '/eventsync-dispatcher', '--store', $t->store);
for my $case (
    ['es-none', '--user: there is no user "es-none"'],
    ['', '--user: there is no user ""'],
    ['es-test:es-none', '--user: there is no group "es-none"'],
    ['es-test:', '--user: there is no group ""'],
    ['root', '--user must not be root'],
    ['0:61302', '--user must not be root'],
    ['61305', '--user: the user 61305 has no group; write "61305:GROUP"'],
    ['4294967295:1', '--user: there is no user "4294967295"'],
    ['x' x 300, '--user is too long'])
{
    my ($user, $said) = @$case;
    refused('--user=' . substr($user, 0, 20), $said, @program,
        "--user=$user");
}

owned(0, 0);
my $proc = $t->start('other', {}, @program, '--user=es-test');
is($proc->wait(20), 1, 'a store of root alone is not opened');
like($proc->stderr, qr/error: cannot open the store: .*Permission denied/,
    'because it has root\'s rights no more');
owned(61301, 61302);
system("chown root $dir/key; chmod 0600 $dir/key");
$proc = $t->start('other', {}, @program, '--user=es-test',
    "--key-file=$dir/key");
is($proc->wait(20), 1, 'nor a key file of root alone');
like($proc->stderr, qr/error: .*Permission denied/, 'as the log says');

SKIP: {
    skip 'setpriv is not there', 2 if system('setpriv --version >/dev/null 2>&1');
    chmod 0755, $dir;
    system('cp', $program[0], "$dir/program") == 0 or die;
    refused('not started by root', '--user requires that root starts the '
        . 'dispatcher', qw(setpriv --reuid=61301 --regid=61302 --clear-groups),
        "$dir/program", '--store', $t->store, '--user=es-test');
}

done_testing();
