#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher's log: its two forms, a line for each attempt, and a reader of
# standard error that stands still.

use warnings;
use strict;

use Fcntl qw(O_RDWR O_RDONLY O_NONBLOCK);
use IO::Socket::UNIX;
use JSON::PP;
use POSIX qw(mkfifo);
use Socket qw(SOCK_STREAM);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $ugly = "a \"b\"\\ \x{2028}\x{1f600}{\"}";
my $id = "evt_1',{}<&>";
my $t = webhook_store();
$t->feed($_) for qw(bulk still);
my $dir = $t->testdir;
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return { status => 200, delay => 0 } if $request->{path} ne '/bad';
    return { status => 503, body => "no \"\xff\n" };
});
sub came { my ($path) = @_; scalar grep { $_->{path} eq $path } $recv->requests }

# All lines of a text as objects; each line must be one.
sub objects {
    my ($text, $name) = @_;
    my @lines = split /\n/, $text;
    my @objects = grep { ref eq 'HASH' }
        map { eval { JSON::PP->new->utf8->decode($_) } } @lines;
    is(scalar @objects, scalar @lines, "$name: each line is an object")
        or diag grep { !eval { JSON::PP->new->utf8->decode($_) } } @lines;
    return @objects;
}

###############################################################################
# JSON

my ($good, $secret) = $t->endpoint('acme', url => $recv->url('/good'),
    feeds => 'orders');
$secret =~ s/^whsec_//;
my ($bad) = $t->endpoint('acme', url => $recv->url('/bad'), feeds => 'orders',
    schedule => '0s');
my ($keyed) = $t->endpoint('acme', url => $recv->url('/bad'),
    feeds => 'still', schedule => '0s,1h', ordering => 'key');
put($t, 'still', ({ subject => $ugly }) x 2);
put($t, 'orders', { id => $id,
    traceparent => "00-$trace-00f067aa0ba902b7-01" });

my $proc = $t->run_dispatcher('--log-format=json', '--log-attempts',
    '--log-level=debug');
ok(wait_for(sub { came('/good') == 1 && came('/bad') == 2
    && attempts($t, $bad) == 1 }, 30), 'both endpoints are sent the event');
$t->ctl_ok('endpoint', 'test', $good);
ok(wait_for(sub { came('/good') == 2 && $proc->stderr =~ /is blocked by/ }, 30),
    'one gets a test event, too');
is($t->stop_dispatcher, 0, 'the dispatcher ends');

my @log = objects($proc->stderr, 'JSON');
is_deeply([grep { $_->{time} !~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/
    || $_->{level} !~ /^(?:error|warn|info|debug)\z/ || !length $_->{msg} }
    @log], [], 'each has a time, a level and a sentence');
is($log[-1]{msg}, 'stopped', 'to the last');

my ($event) = map { Test::Eventsync::json($_) } stored($t, 'orders');
my ($sent) = grep { ($_->{endpoint} // '') eq $good && $_->{result} } @log;
ok($sent->{duration_ms} > 0, 'an attempt has its time');
$sent = { %$sent };
delete @$sent{qw(time duration_ms)};
like(delete $sent->{msg},
    qr/^endpoint \Q$good\E: attempt 1 of event \Q$event->{cursor}\E of feed /,
    'and a sentence');
is_deeply($sent, { level => 'info', partner => 'acme', endpoint => $good,
    feed => 'orders', cursor => $event->{cursor}, event_id => $id,
    trace_id => $trace, attempt => 1, result => 'ok', status => 200 },
    'and says whose, what and how');

my ($failed) = grep { ($_->{endpoint} // '') eq $bad && $_->{result} } @log;
is("$failed->{result} $failed->{status} $failed->{attempt}", 'status 503 1',
    'so does one that fails');
is(scalar(grep { ($_->{endpoint} // '') eq $bad && ($_->{status} // 0) == 503
    && $_->{msg} =~ /attempt 1 of/ } @log), 1, 'which has one line');
my ($dead) = grep { $_->{msg} =~ /dead letter/ } @log;
is_deeply([@$dead{qw(level endpoint cursor event_id status)}],
    ['warn', $bad, $event->{cursor}, $id, 503], 'and the dead letter');
my ($stalled) = grep { $_->{msg} =~ /is blocked by event/ } @log;
like($stalled->{msg}, qr/of subject "\Q$ugly\E"/,
    'what a producer wrote stands there as it was');
is_deeply([@$stalled{qw(endpoint feed status)}], [$keyed, 'still', 503],
    'and the stall has its place');
my ($tested) = grep { ($_->{kind} // '') eq 'test' } @log;
ok($tested && !exists $tested->{cursor} && $tested->{event_id},
    'a test event has its kind and its id, and no cursor');

unlike($proc->stderr, qr/\bwhsec_|\Q$secret\E/,
    'no line has a secret');

$t->ctl_ok('endpoint', 'remove', $keyed);

###############################################################################
# text

put($t, 'orders', 1);
$proc = $t->run_dispatcher('--log-attempts');
ok(wait_for(sub { attempts($t, $bad) == 2 && attempts($t, $good) == 3 }, 30),
    'another event is sent');
is($t->stop_dispatcher, 0, 'the dispatcher ends');
like($proc->stderr, qr/^\S+Z\ info:\ endpoint\ \Q$good\E:\ attempt\ 1\ of
    \ event\ \S+-2\ of\ feed\ "orders":\ ok,\ status\ 200,\ \d+\ ms$/mx,
    'text has the attempts, too');
put($t, 'orders', 1);
$proc = $t->run_dispatcher;
ok(wait_for(sub { attempts($t, $bad) == 3 && attempts($t, $good) == 4 }, 30),
    'and another one');
is($t->stop_dispatcher, 0, 'the dispatcher ends');
unlike($proc->stderr, qr/endpoint \Q$good\E: attempt/,
    'without the option, an attempt that succeeds has no line');
like($proc->stderr, qr/endpoint \Q$bad\E: attempt 1 of /,
    'and the first that fails has one');
$t->ctl_ok('endpoint', 'remove', $_) for $good, $bad;

###############################################################################
# a reader that stands still

put($t, 'bulk', (map { { traceparent => sprintf('00-%032x-%016x-01', $_, 1) } }
    1 .. 100), ({}) x 1400);
sub bulk {
    return scalar $t->endpoint('acme', url => $recv->url('/bulk'),
        feeds => 'bulk', start => 'oldest', batch => 100);
}

sub held {
    my ($how, @cmd) = @_;
    my $bulk = bulk();
    my $stuck = $t->start("dispatcher-$how", {}, @cmd,
        $t->build . '/eventsync-dispatcher', '--store', $t->store,
        '--allow-http', '--allow-address=127.0.0.0/8', '--log-format=json',
        '--log-attempts');
    my $before = came('/bulk');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $bulk)
        =~ /\bbehind=0\b/ && came('/bulk') >= $before + 15 }, 60),
        "$how: all is delivered while nobody reads the log");
    $t->ctl_ok('endpoint', 'remove', $bulk);
    return $stuck;
}

# Takes what there is until the process has ended.
sub drain {
    my ($proc, $fh) = @_;
    my $text = '';
    $proc->kill('TERM');
    wait_for(sub {
        my $ended = !$proc->running;
        while (sysread($fh, my $more, 65536)) { $text .= $more }
        return $ended;
    }, 30);
    is($proc->wait(20), 0, 'the dispatcher ends');
    return $text;
}

sub complete {
    my ($how, $text) = @_;
    my @all = objects($text, $how);
    my @lost = map { $_->{msg} =~ /^(\d+) log lines were dropped/ } @all;
    my @attempts = grep { $_->{result} } @all;
    my $attempts = @attempts;
    is_deeply([map { $_->{trace_id} // '' } @attempts[0 .. 101]],
        [(map { sprintf '%032x', $_ } 1 .. 100), '', ''],
        'each event of a batch has its own trace id');
    ok(@lost && $lost[0] > 0, 'what had no room is counted');
    cmp_ok($attempts + $lost[0], '>=', 1500, 'and everything else is there');
    ok(scalar(grep { $_->{msg} eq 'stopped' } @all), 'to the end');
}

mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
sysopen(my $fifo, "$dir/fifo", O_RDWR | O_NONBLOCK) or die "fifo: $!";
$proc = held('pipe', 'sh', '-c', 'exec "$0" "$@" 2> ' . "$dir/fifo");
complete('pipe', drain($proc, $fifo));

my $server = IO::Socket::UNIX->new(Type => SOCK_STREAM, Listen => 1,
    Local => "$dir/log.sock") or die "socket: $!";
$proc = held('socket', $^X, '-MIO::Socket::UNIX', '-e',
    'my $s = IO::Socket::UNIX->new(Peer => shift) or die;'
    . 'open STDERR, ">&", $s or die; exec @ARGV', "$dir/log.sock");
my $socket = $server->accept;
$socket->blocking(0);
complete('socket', drain($proc, $socket));

# A reader that is gone stops nothing.
my $bulk = bulk();
sysopen(my $reader, "$dir/fifo", O_RDONLY | O_NONBLOCK) or die "fifo: $!";
close $fifo;
$proc = $t->start('dispatcher-gone', {}, 'sh', '-c', 'exec "$0" "$@" 2> '
    . "$dir/fifo", $t->build . '/eventsync-dispatcher', '--store', $t->store,
    '--allow-http', '--allow-address=127.0.0.0/8', '--log-attempts');
ok(wait_for(sub { sysread($reader, my $some, 1) }, 30), 'a log that is read');
close $reader;
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $bulk) =~ /\bbehind=0\b/ },
    60), 'all is delivered after its reader is gone');
is($proc->stop, 0, 'the dispatcher ends');

done_testing();
