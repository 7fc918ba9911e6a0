#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher as a process: signals, its pid file, and limits that it is
# started with.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    return $_[0]{path} eq '/hang' ? { hang => 1 }
        : $_[0]{path} eq '/slow' ? { delay => 1 } : 200;
});
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'latest', %opts);
}
sub came { my ($path) = @_; scalar grep { $_->{path} eq $path } $recv->requests }

###############################################################################
# the pid file, and HUP

my $file = $t->testdir . "/dispatcher.pid";
my $name = endpoint('/hook');
$t->run_dispatcher("--pid-file=$file");
my $pid = $t->{dispatcher}->pid;
ok(wait_for(sub { $t->read_file($file) eq "$pid\n" }), 'its pid is in the file');
kill HUP => $pid;
put($t, 'orders', 1);
ok(wait_for(sub { came('/hook') == 1 }), 'HUP does not end it');
is($t->stop_dispatcher, 0, 'TERM does');
ok(!-e $file, 'and the file is gone');
$t->ctl_ok('endpoint', 'remove', $name);

# As soon as the file is there, a signal does what it should.
for my $n (1 .. 20) {
    $t->run_dispatcher("--pid-file=$file");
    my $running = $t->{dispatcher};
    until (-s $file) { last if !$running->running }
    kill HUP => $running->pid if $n % 2;
    my $rc = $t->stop_dispatcher;
    ok($rc == 0 && !-e $file, 'a signal at the start') or diag $rc;
}

###############################################################################
# what is in flight when it is told to end

for my $signal (qw(TERM INT QUIT)) {
    my $slow = endpoint('/slow');
    my $before = came('/slow');
    $t->run_dispatcher;
    put($t, 'orders', 2);
    ok(wait_for(sub { came('/slow') == $before + 1 }), 'a request is in flight');
    is($t->stop_dispatcher($signal), 0, "$signal ends it");
    is((attempts($t, $slow))[-1]{class}, 'ok', '... when that was answered');
    is(came('/slow'), $before + 1, '... and nothing new was sent');
    $t->ctl_ok('endpoint', 'remove', $slow);
}

{
    my $hang = endpoint('/hang', timeout => '60s');
    my $proc = $t->run_dispatcher;
    put($t, 'orders', 1);
    ok(wait_for(sub { came('/hang') == 1 }), 'one that is not answered');
    kill TERM => $proc->pid;
    sleep 0.3;
    ok($proc->running, 'TERM waits for it');
    is($t->stop_dispatcher('TERM'), 1, 'TERM again does not');
    $t->ctl_ok('endpoint', 'remove', $hang);
}

###############################################################################
# fewer descriptors than it wants

{
    my $proc = $t->start('limited', {}, 'sh', '-c', 'ulimit -n 400; exec "$@"',
        'sh', $t->build . '/eventsync-dispatcher', '--store=' . $t->store,
        '--max-connections=1000');
    ok(wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on / }),
        'it starts with few descriptors');
    like($proc->stderr, qr/warn: the limit of open files, 400, allows 100 connections/,
        'and says how many connections it can have');
    is($proc->stop('TERM'), 0, 'and stops');
}

done_testing();
