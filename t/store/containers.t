#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Processes of several PID namespaces, as containers have them, work on one
# store although they have the same numbers: LMDB tells its readers apart by
# number.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Manager;

my @NAMESPACE = qw(unshare --fork --pid --mount-proc --kill-child);

plan skip_all => 'a PID namespace cannot be made here'
    if system("@NAMESPACE true 2>/dev/null");

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');

my $n = 0;
sub event {
    my $id = 'c' . ++$n;
    return qq({"specversion":"1.0","id":"$id","source":"/c","type":"t"}\n);
}

# A program as process 1 of a namespace of its own.
sub contained {
    my ($name, $opts, $program, @args) = @_;
    return $t->start($name, $opts, @NAMESPACE, $t->build . "/$program",
        '--store', $t->store, @args);
}

sub ctl {
    my ($opts, @args) = @_;
    my $proc = contained('one', $opts, 'eventsyncctl', @args);
    my $rc = $proc->wait(60) // $proc->stop('KILL');
    $t->forget($proc);
    return ($rc, $proc->stdout, $proc->stderr);
}

# Pids outside of the namespace: below "unshare".
sub inside {
    my ($proc) = @_;
    my @pids;
    my @parents = ($proc->pid);
    while (@parents) {
        @parents = map { Test::Eventsync::children($_) } @parents;
        push @pids, @parents;
    }
    return @pids;
}

sub dispatcher {
    my ($proc) = contained('dispatcher', {}, 'eventsync-dispatcher',
        @Test::Eventsync::DISPATCHER_OPTS);
    wait_for(sub { $proc->stderr =~ /info: eventsync-dispatcher/ }, 20)
        or diag($proc->stderr);
    return $proc;
}

sub ends {
    my ($proc, $signal) = @_;
    my ($first) = inside($proc);
    kill $signal => $first;
    my $rc = $proc->wait(30);
    $t->forget($proc);
    return $rc;
}

###############################################################################
# the dispatcher as process 1, and eventsyncctl as process 1 of others

my $d = dispatcher();
like($d->stderr, qr/info: eventsync-dispatcher/, 'the dispatcher as process 1');

for my $command ([ qw(feed list) ], [ qw(verify) ], [ qw(partner list) ],
    [ qw(endpoint status) ])
{
    my ($rc, $out, $err) = ctl({}, @$command);
    is($rc, 0, "eventsyncctl @$command as another process 1") or diag($err);
}

my ($rc, $out, $err) = ctl({ stdin => event() . event() }, 'publish', 'orders',
    '--results');
is($rc, 0, 'publish passes standard input through') or diag($err);
like($out, qr/c2/, 'and standard output');
($rc, $out, $err) = ctl({}, 'feed', 'show', 'nothing');
is($rc, 1, 'an exit status is passed through');
like($err, qr/\Aeventsyncctl: [^\n]+\n\z/, 'with its one line');
($rc, undef, $err) = ctl({}, 'feed', 'shwo');
is($rc, 2, 'and that of a wrong call');

# Each has number 1, and its child number 2: the third one takes 3, and so on.
my @tails = map { contained("tail$_", {}, 'eventsyncctl', 'tail', 'orders',
    '--from=oldest', '--follow') } 1 .. 3;
ok(wait_for(sub { 3 == grep { $_->stdout =~ /c2/ } @tails }, 20),
    'three that follow the feed, all of them process 1');
is((ctl({ stdin => event() }, 'publish', 'orders'))[0], 0, 'a publish');
ok(wait_for(sub { 3 == grep { $_->stdout =~ /c3/ } @tails }, 20),
    'reaches all of them');

is(ends($tails[0], 'TERM'), 128 + 15, 'TERM ends one that is process 1');
is(ends($tails[1], 'INT'), 128 + 2, 'and so does INT');

# A terminal: Ctrl-C reaches the command, Ctrl-D ends its input.
SKIP: {
    skip '"script" is not there', 3 if system('script --version >/dev/null 2>&1');
    my $terminal = sub {
        my ($keys, @args) = @_;
        my $command = join ' ', @NAMESPACE, $t->build . '/eventsyncctl',
            '--store', $t->store, @args;
        my $proc = $t->start('terminal', {}, 'sh', '-c', '('
            . join('; ', map { ref $_ ? "while ! grep -q $$_ \"\$0.seen\"; do sleep 0.05; done"
                : "printf '$_'" } @$keys)
            . ") | script -qfec '$command' \"\$0.seen\"",
            $t->testdir . '/terminal');
        my $rc = $proc->wait(30) // $proc->stop('KILL');
        return ($rc, $t->read_file('terminal.seen'));
    };
    my ($status, $seen) = $terminal->([ \'c3', '\\003' ],
        qw(tail orders --from=oldest --follow));
    is($status, 128 + 2, 'Ctrl-C ends "tail --follow" as process 1');
    ($status, $seen) = $terminal->([ event() =~ s/\n/\\n/r, '\\004' ],
        qw(publish orders --results));
    is($status, 0, 'publish reads a terminal until Ctrl-D');
    like($seen, qr{-4 c4\b}, 'and writes to it');
}

is(ends($d, 'TERM'), 0, 'TERM stops the dispatcher as always');
like($d->stderr, qr/info: stopped$/m, 'with its last word');

$d = dispatcher();
ok($d->running, 'the dispatcher starts while "tail --follow" runs');
my $second = contained('second', {}, 'eventsync-dispatcher');
is($second->wait(20), 1, 'a second one is refused');
like($second->stderr, qr/another dispatcher runs on the store/,
    'for what it is');

# With --wait the second one goes on where the first one ends.
{
    my $next = contained('next', {}, 'eventsync-dispatcher', '--wait',
        @Test::Eventsync::DISPATCHER_OPTS);
    ok(wait_for(sub { $next->stderr =~ /info: waiting until the dispatcher ends that has the store "[^"]+"$/m }, 20),
        'one with --wait waits; it cannot see the number of the other');
    is(ends($d, 'TERM'), 0, 'the first one stops');
    ok(wait_for(sub { $next->stderr =~ /info: eventsync-dispatcher/ }, 20),
        'and the second one goes on');
    my $last = contained('last', {}, 'eventsync-dispatcher', '--wait');
    ok(wait_for(sub { $last->stderr =~ /info: waiting/ }, 20), 'a third waits');
    is(ends($last, 'TERM'), 0, 'until TERM');
    $d = $next;
}

# A service manager of the container hears of the child as well, though it knows
# process 1.
{
    my $manager = Test::Eventsync::Manager->new($t->testdir . '/notify',
        watchdog_us => 2_000_000);
    my $managed = contained('managed', { env => { $manager->env,
        WATCHDOG_PID => 1 } }, 'eventsync-dispatcher', '--wait',
        @Test::Eventsync::DISPATCHER_OPTS);
    ok($manager->wait_for(qr/^STATUS=Waiting until the other dispatcher ends$/m),
        'the service manager is told that it waits');
    is(ends($d, 'TERM'), 0, 'the other one ends');
    ok($manager->wait_for(qr/^READY=1$/m), 'and that it is ready');
    ok($manager->wait_for(qr/\AWATCHDOG=1\z/), 'and gets pings');
    $d = $managed;
}

# systemd sends TERM to all processes of a service: here to the parent and the
# child, which gets it twice.
my $recv = $t->receiver(sub { $t->wait_for(sub { -e $t->testdir . '/go' }, 20);
    200 });
$t->endpoint('acme', url => $recv->url('/'), feeds => 'orders',
    start => 'oldest', in_flight => 1);
ok(wait_for(sub { $recv->requests == 1 }, 20), 'a delivery is under way');
kill TERM => (inside($d))[0, 1];
ok(wait_for(sub { $d->stderr =~ /stopping with 1 deliveries in flight/ }, 20),
    'TERM for the parent and its child');
$t->write_file('go', '');
is($d->wait(20), 0, 'is one wish to stop');
unlike($d->stderr, qr/ending at once/, 'and not two');
$d = dispatcher();

###############################################################################
# two nginx, whose workers have the same numbers

my $location = 'eventsync_checkpoints on; eventsync_pages on;';
my @nginx;

# The one of that number, with lines of its own; it listens then.
sub nginx {
    my ($i, $main) = @_;
    $t->default_conf(location => $location, main => $main // '');
    my $conf = $t->read_file('nginx.conf');
    my $port = $t->port($i);
    $conf =~ s/127\.0\.0\.1:\d+/127.0.0.1:$port/;
    $conf =~ s/(error)\.log/error$i.log/;
    $conf =~ s/nginx\.pid/nginx$i.pid/;
    $conf =~ s/tmp_/tmp${i}_/g;
    $conf =~ s{(location = /ops/metrics)}
        {location /ops/ { eventsync_health on; } $1};
    $t->write_file("nginx$i.conf", $conf);
    $nginx[$i] = $t->start("nginx$i", {}, @NAMESPACE, $t->nginx_binary, '-p',
        $t->testdir . '/', '-c', $t->testdir . "/nginx$i.conf", '-e',
        $t->testdir . "/error$i.log");
    wait_for(sub { Test::Eventsync::port_open($port) }, 20)
        or die 'nginx does not listen: ' . $t->read_file("error$i.log");
}

nginx($_) for 0, 1;

sub polls {
    my ($i) = @_;
    return $t->http(GET => '/v1/feeds/orders/events?from=oldest',
        { authorization => "Bearer $key" }, undef, port => $t->port($i))
        ->{status};
}

for my $i (0, 1) {
    ok(wait_for(sub { 40 == grep { polls($i) == 200 } 1 .. 40 }, 20),
        "all workers of nginx $i serve polls");
    is($t->http(POST => '/v1/feeds/orders/events',
        { authorization => "Bearer $key",
          'content-type' => 'application/cloudevents+json' }, event(),
        port => $t->port($i))->{status}, 201, 'and publishes');
    is($t->http(GET => '/ops/readyz', {}, undef, port => $t->port($i))
        ->{status}, 200, 'and are ready');
}
my $retires = qr/\[notice\].* has readers of a process of another PID namespace with pid \d+: this worker exits and another replaces it/;
like($t->read_file('error1.log'), $retires,
    'the second nginx started its workers anew, and says why');

my ($master) = inside($nginx[1]);
my %old = map { $_ => 1 } Test::Eventsync::children($master);
kill HUP => $master;
my @failed;
ok(wait_for(sub {
    push @failed, grep { $_ != 200 } polls(1);
    my @now = Test::Eventsync::children($master);
    return @now == 2 && !grep { $old{$_} } @now;
}, 30), 'the second nginx reloads');
is_deeply(\@failed, [], 'and no poll fails meanwhile');

unlike($t->read_file("error$_.log"), qr/\[(?:crit|alert|emerg)\]/,
    "nginx $_ complains of nothing") for 0, 1;

###############################################################################
# killed with all that it has, over and over: its slots of the reader table are
# cleared, also those whose number the next one has

sub readers {
    my $text = $t->http(GET => '/ops/metrics', {}, undef, port => $t->port(1))
        ->{body};
    my ($readers) = $text =~ /^eventsync_store_readers\{environment="log"\} (\d+)/m;
    my ($lag) = $text
        =~ /^eventsync_store_readers_lag_commits\{environment="log"\} (\d+)/m;
    return ($readers, $lag);
}

is(ends($d, 'TERM'), 0, 'without a dispatcher');
isnt(ends($tails[2], 'KILL'), 0, 'a reader is killed');
my ($before) = readers();
for my $round (1 .. 4) {
    my $tail = contained('killed', {}, 'eventsyncctl', 'tail', 'orders',
        '--from=oldest', '--follow');
    wait_for(sub { $tail->stdout =~ /c3/ }, 20);
    ends($tail, 'KILL');
}
is((ctl({}, 'feed', 'list'))[0], 0, 'whoever opens the store');
my ($after, $lag) = readers();
cmp_ok($after, '<=', $before, 'clears the slots of readers that were killed');
is($lag, 0, 'and nothing keeps pages from being used again');

my ($first) = inside($nginx[0]);
kill KILL => $first;
$nginx[0]->wait(20);
nginx(0);
ok(wait_for(sub { 40 == grep { polls(0) == 200 } 1 .. 40 }, 20),
    'an nginx that was killed with its namespace starts again');

for my $round (1 .. 3) {
    my $killed = dispatcher();
    ends($killed, 'KILL');
}
($after) = readers();
is(ends(dispatcher(), 'TERM'), 0, 'a dispatcher that was killed starts again');
cmp_ok((readers())[0], '<=', $after, 'and clears what it had left');
is((ctl({}, 'verify'))[0], 0, 'the store is sound');

###############################################################################
# a worker that serves already, and one that has no master

sub stop_nginx {
    my ($i) = @_;
    my ($pid) = inside($nginx[$i]);
    kill QUIT => $pid;
    return $nginx[$i]->wait(20);
}

is(stop_nginx(1), 0, 'nginx 1 ends');
my $log = $t->store . '/log';
rename $log, "$log.away" or die "$log: $!\n";
nginx(1);
my $answer = $t->http(GET => '/v1/feeds', { authorization => "Bearer $key" },
    undef, port => $t->port(1));
is($answer->{status}, 503, 'without a log there is nothing to be had');
rename "$log.away", $log or die "$log: $!\n";
ok(wait_for(sub { 40 == grep { polls(1) == 200 } 1 .. 40 }, 20),
    'workers that open it later are replaced by others as well');
is(stop_nginx($_), 0, "nginx $_ ends") for 0, 1;

nginx($_, 'master_process off;') for 0, 1;
is(polls(0), 200, 'an nginx that is a single process, with number 1');
$answer = $t->http(GET => '/v1/feeds', { authorization => "Bearer $key" },
    undef, port => $t->port(1));
is($answer->{status}, 503, 'and another one, which cannot have the store');
like($answer->{body}, qr/"detail":"The server cannot open the event store;/,
    'as it says');
like($t->http(GET => '/ops/readyz', {}, undef, port => $t->port(1))->{body},
    qr/"store":"closed"/, 'and why it is not ready');
ok($t->logged('error1.log', qr/\[crit\].* cannot be opened: cannot open "[^"]+": a process in another PID namespace has the same process id, 1; run both in one PID namespace/),
    'its log names the cause and the remedy');
is(stop_nginx(0), 0, 'the first one ends');
ok(wait_for(sub { polls(1) == 200 }, 20), 'and the other one has it');
is(stop_nginx(1), 0, 'until it ends');

done_testing();
