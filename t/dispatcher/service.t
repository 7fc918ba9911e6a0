#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What the dispatcher tells a service manager such as systemd: readiness,
# status, reload, stop, and the watchdog's pings.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Manager;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    return $_[0]{path} eq '/slow'
        ? { delay => -e $t->testdir . '/go' ? 0 : 0.2 } : 200;
});
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'latest', %opts);
}
my $manager = Test::Eventsync::Manager->new($t->testdir . '/notify');
my $ping = qr/\AWATCHDOG=1\z/;

###############################################################################
# a life, at a socket with a path and at an abstract one

endpoint('/hook');

for my $name ($t->testdir . '/life', "\@eventsync-test-$$") {
    my $life = Test::Eventsync::Manager->new($name);
    my $proc = $t->run_dispatcher({ env => { $life->env } });
    my $ready = $life->wait_for(qr/^READY=1$/m);
    is($ready, "READY=1\nSTATUS=Sending to 1 endpoints: 0 requests in flight, "
        . '0 events wait', "READY and a status at $name");
    my @before = map { /^STATUS=(.*)/m } ($life->messages)[0];
    is_deeply(\@before, ['Reading the state of the last run'],
        'a status before that');
    my $came = $recv->count;
    put($t, 'orders', 1);
    ok($recv->wait_for($came + 1), 'it is ready indeed');

    kill HUP => $proc->pid;
    my $reload = $life->wait_for(qr/^RELOADING=1$/m);
    like($reload, qr/^RELOADING=1\nMONOTONIC_USEC=[1-9]\d+\nSTATUS=Sending/,
        'HUP begins a reload');
    ok(wait_for(sub { ($life->messages)[-1] =~ /^READY=1$/m }),
        'which ends');
    is(scalar(grep { /^(?:READY|RELOADING)=1$/m } $life->messages), 3,
        'once');

    is($life->matching(qr/WATCHDOG/), 0,
        'without WATCHDOG_USEC there are no pings');
    is($t->stop_dispatcher, 0, 'it stops');
    is(($life->messages)[-1],
        "STOPPING=1\nSTATUS=Stopping with 0 requests in flight", 'and says so');
}

###############################################################################
# what the status says

my $slow = endpoint('/slow', ordering => 'none', schedule => '0,2h');
put($t, 'orders', 1);
my $proc = $t->run_dispatcher({ env => { $manager->env } });
ok($manager->wait_for(qr/^READY=1$/m), 'with a second endpoint');
like(($manager->messages)[-1], qr/STATUS=Sending to 2 endpoints/,
    'the status counts both');
$recv->stop;
put($t, 'orders', 1);
ok($manager->wait_for(qr/, [1-9] events wait/),
    'and events that wait for another attempt');
$recv->resume;
is($t->stop_dispatcher, 0, 'stopped');
$t->ctl_ok('endpoint', 'remove', $slow);

$manager->forget;
my $fault = $t->testdir . '/fault';
my $preload = $t->build . '/fault.so';
my %broken = (LD_PRELOAD => $preload, ES_FAULT => $fault);
$proc = $t->run_dispatcher({ env => { $manager->env, %broken } });
ok($manager->wait_for(qr/^READY=1$/m), 'with a disk that fails soon');
$t->write_file('fault', "meta delivery/data\n");
ok($manager->wait_for(qr/STATUS=Sending nothing: delivery state cannot be written/),
    'the status says that nothing is sent');
unlink $fault;
$manager->forget;
ok($manager->wait_for(qr/STATUS=Sending to 1 endpoints/), 'until it is');
is($t->stop_dispatcher, 0, 'stopped');

###############################################################################
# the watchdog: pings while the loop and the recorder make progress

my $pings = sub { $manager->matching($ping) };
my $before;
sub watched {
    my ($seconds) = @_;
    $manager->forget;
    $manager->{watchdog_us} = $seconds * 1_000_000;
    $proc = $t->run_dispatcher({ env => { $manager->env, %broken } });
    ok(wait_for(sub { $pings->() >= 3 }, 20), 'there are pings');
    $before = $pings->();
}

# A disk that takes three seconds for a commit.
$t->write_file('fault', "slow delivery/data\n");
watched(6);
put($t, 'orders', 1);
ok(wait_for(sub { $pings->() >= $before + 3 }, 30),
    'also while a commit takes seconds');
unlike($proc->stderr, qr/longer than the watchdog/, '... and nothing is said');
unlink $fault;
is($t->stop_dispatcher, 0, 'stopped');

# A full disk: a restart would not help.
watched(1);
$t->write_file('fault', "meta delivery/data\n");
ok(wait_for(sub { $proc->stderr =~ /error: cannot write delivery state/ }, 20),
    'commits fail');
$before = $pings->();
ok(wait_for(sub { $pings->() >= $before + 8 }, 30), '... and there are pings');
unlink $fault;

# Another process has the writer lock of log/, for which the janitor and the
# notifier wait.
my $writer = $t->start('writer', {}, 'sh', '-c', 'sleep 600 | exec "$@"', 'sh',
    $t->build . '/helper/writer', $t->store . '/log');
ok(wait_for(sub { $writer->stdout =~ /locked/ }), 'a publisher that hangs');
$before = $pings->();
ok(wait_for(sub { $pings->() >= $before + 12 }, 30),
    '... does not stop the pings');
kill KILL => Test::Eventsync::children($writer->pid);
$writer->stop('KILL');

# A commit that does not end.
my $came = $recv->count;
$t->write_file('fault', "hang delivery/data\n");
ok(wait_for(sub { $proc->stderr =~ /error: a commit of delivery state has taken longer than the watchdog's 1000 ms: the service manager gets no pings/ }, 30),
    'a commit that hangs stops the pings, as the log says');
$manager->forget;
put($t, 'orders', 1);
ok($recv->wait_for($came + 1), 'the loop goes on');
is(wait_for(sub { $pings->() }, 1), undef, 'and no ping comes');
unlink $fault;
ok(wait_for(sub { $pings->() >= 2 }, 20), 'they come again when it ends');
like($proc->stderr, qr/warn: all threads make progress again/, 'as the log says');

# A thread that hangs: the loop, and the one that loads the registry.
sub freezes {
    my ($thread) = @_;
    my $proc = $t->start('freeze', {}, 'sh', '-c', 'sleep 600 | exec "$@"',
        'sh', $t->build . '/helper/freeze', $proc->pid, $thread);
    wait_for(sub { $proc->stdout =~ /frozen/ || $proc->stderr =~ /freeze:/ });
    return $proc->stdout =~ /frozen/ ? sub {
        kill KILL => Test::Eventsync::children($proc->pid);
        $proc->stop('KILL');
    } : undef;
}

SKIP: {
    my $thaw = freezes('eventsync-dispa')
        or skip('a thread cannot be stopped here', 6);
    $manager->forget;
    is(wait_for(sub { $pings->() }, 1), undef, 'a loop that hangs sends none');
    $thaw->();
    ok(wait_for(sub { $pings->() >= 2 }, 20), 'until it goes on');

    $thaw = freezes('es-loader');
    kill HUP => $proc->pid;
    ok(wait_for(sub { $proc->stderr =~ /error: a load of the registry has taken longer than the watchdog's 1000 ms/ }, 30),
        'a load of the registry that hangs stops the pings');
    $manager->forget;
    is(wait_for(sub { $pings->() }, 1), undef, '... indeed');
    unlike(join("\n", $manager->messages), qr/READY=1/,
        '... and the reload has not ended');
    $thaw->();
    ok(wait_for(sub { $pings->() >= 2 && $manager->matching(qr/^READY=1$/m) },
        20), '... until it goes on');
}
is($t->stop_dispatcher, 0, 'it stops');

# The pings count for the process that WATCHDOG_PID names.
$manager->forget;
$proc = $t->run_dispatcher({ env => { $manager->env, WATCHDOG_PID => 1 } });
ok($manager->wait_for(qr/^READY=1$/m), 'WATCHDOG_PID of another process');
is($t->stop_dispatcher, 0, '... stopped');
is($pings->(), 0, '... no pings');
$manager->forget;
$proc = $t->start('itself', { env => { $manager->env } }, 'sh', '-c',
    'WATCHDOG_PID=$$ exec "$@"', 'sh', $t->build . '/eventsync-dispatcher',
    '--store=' . $t->store);
ok(wait_for(sub { $pings->() >= 1 }), 'WATCHDOG_PID of this process');
is($proc->stop('TERM'), 0, '... stopped');

###############################################################################
# managers that do not listen

{
    my $deaf = Test::Eventsync::Manager->new($t->testdir . '/deaf');
    my $probe = IO::Socket::UNIX->new(Type => Socket::SOCK_DGRAM(),
        Peer => $deaf->{name});
    $probe->blocking(0);
    1 while $probe->send('X=1');
    my $came = $recv->count;
    my $proc = $t->run_dispatcher({ env => { $deaf->env } });
    put($t, 'orders', 3);
    ok($recv->wait_for($came + 3), 'a socket that is full holds nothing up');
    ok($deaf->wait_for(qr/^READY=1$/m), 'READY comes when there is room');
    is($t->stop_dispatcher, 0, 'and it stops');
}

for my $case (
    [ NOTIFY_SOCKET => $t->testdir . '/none',
        qr/warn: cannot tell the service manager at "[^"]+" what this process does: No such file or directory$/m ],
    [ NOTIFY_SOCKET => 'vsock:2:1234',
        qr/warn: NOTIFY_SOCKET is "vsock:2:1234", which is not the name of a unix socket/ ],
    [ NOTIFY_SOCKET => '/' . 'x' x 108, qr/which is not the name of a unix socket/ ],
    [ NOTIFY_SOCKET => '@', qr/which is not the name of a unix socket/ ],
    [ WATCHDOG_USEC => 'soon',
        qr/warn: WATCHDOG_USEC is "soon", which is not a number of microseconds/ ],
    [ WATCHDOG_USEC => '0', qr/warn: WATCHDOG_USEC is "0"/ ])
{
    my ($name, $value, $says) = @$case;
    my $proc = $t->run_dispatcher({ env => { $manager->env, $name => $value } });
    ok(wait_for(sub { $proc->stderr =~ /info: eventsync-dispatcher/ }),
        "$name=$value: it runs");
    is(scalar(() = $proc->stderr =~ /$says/g), 1, '... and says once what is wrong');
    is($t->stop_dispatcher, 0, '... and stops');
}

done_testing();
