#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Receivers that misbehave: each costs itself one failed attempt, of the right
# class, and nobody else anything.

use warnings;
use strict;

use Compress::Zlib ();
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SHUT_WR SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

use constant NO_BODY => "Content-Length: 0\r\n\r\n";

my $ok = "HTTP/1.1 200 OK\r\n";
my $sorry = "HTTP/1.1 500 Sorry\r\n";
my $chunked = "Transfer-Encoding: chunked\r\n\r\n";

# After the whole request: text, or what is done with the connection; then it
# is closed. The endpoint's timeout may follow.
my %cases = (

    # time
    'never' => ['timeout 0', sub { sleep 30 }],
    'slow-status' => ['timeout 0', sub {
        drip($_[0], 0.05, 'HTTP/1.1 200 ', 'O' x 1000) }],
    'slow-headers' => ['ok 200', sub {
        put_text($_[0], $ok);
        drip($_[0], 0.05, map { "X-$_: y\r\n" } 1 .. 1000) }, '4s'],
    'slow-headers-500' => ['status 500', sub {
        put_text($_[0], $sorry);
        drip($_[0], 0.05, map { "X-$_: y\r\n" } 1 .. 1000) }, '4s'],
    'slow-but-done' => ['ok 200', sub {
        drip($_[0], 0.001, $ok, NO_BODY) }],
    'slow-body' => ['ok 200', sub {
        put_text($_[0], "${ok}Content-Length: 1000\r\n\r\n");
        drip($_[0], 0.05, 'x' x 1000) }],
    'slow-body-500' => ['status 500', sub {
        put_text($_[0], "${sorry}Content-Length: 1000\r\n\r\n");
        drip($_[0], 0.05, 'x' x 1000) }],
    'slow-1xx' => ['timeout 0', sub {
        drip($_[0], 0.05, ("HTTP/1.1 100 Wait\r\n\r\n") x 1000) }],

    # size
    'endless-headers' => ['protocol 0', sub {
        endless($_[0], $ok, "X-Filler: " . 'y' x 900 . "\r\n") }],
    'endless-small-headers' => ['protocol 0', sub {
        endless($_[0], $ok, "a:b\r\n" x 100) }],
    'endless-header' => ['protocol 0', sub {
        endless($_[0], "${ok}X: ", 'y' x 1000) }],
    'endless-status' => ['protocol 0', sub {
        endless($_[0], 'HTTP/1.1 200 ', 'y' x 1000) }],
    'endless-nothing' => ['protocol 0', sub {
        endless($_[0], '', 'y' x 1000) }],
    'endless-zeros' => ['protocol 0', sub {
        endless($_[0], '', "\0" x 1000) }],
    'endless-lines' => ['protocol 0', sub {
        endless($_[0], '', "\r\n" x 100) }],
    'endless-1xx' => ['protocol 0', sub {
        endless($_[0], '', "HTTP/1.1 100 Continue\r\n\r\n" x 10) }],
    'endless-103' => ['protocol 0', sub {
        endless($_[0], '', "HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n") }],
    'header-80k' => ['protocol 0',
        $ok . 'X: ' . 'y' x 80000 . "\r\n" . NO_BODY],
    'header-200k' => ['protocol 0',
        $ok . 'X: ' . 'y' x 200000 . "\r\n" . NO_BODY],
    'header-60k' => ['ok 200', $ok . 'X: ' . 'y' x 60000 . "\r\n" . NO_BODY],
    'endless-body' => ['ok 200', sub {
        endless($_[0], "$ok\r\n", 'x' x 10000) }],
    'endless-body-500' => ['status 500', sub {
        endless($_[0], "$sorry\r\n", 'x' x 10000) }],
    'ten-gigabytes' => ['status 500', sub {
        endless($_[0], "${sorry}Content-Length: 10737418240\r\n\r\n",
            'x' x 10000) }],
    'endless-chunks' => ['status 500', sub {
        endless($_[0], $sorry . $chunked, "1\r\nx\r\n" x 100) }],
    'endless-trailers' => ['protocol 0', sub {
        endless($_[0], "${sorry}${chunked}0\r\n", "X: y\r\n" x 100) }],
    'bomb' => ['status 500', $sorry . "Content-Encoding: gzip\r\n\r\n"
        . Compress::Zlib::memGzip("\0" x 20_000_000)],

    # the end comes early
    'fin' => ['reset 0', ''],
    'rst' => ['reset 0', sub { rst($_[0]) }],
    'half-close' => ['reset 0', sub { shutdown $_[0], SHUT_WR; sleep 1 }],
    'half-status' => ['reset 0', 'HTTP/1.'],
    'half-headers' => ['ok 200', "${ok}X-A: b"],
    'rst-headers' => ['status 500', sub {
        put_text($_[0], "${sorry}X-A: b\r\n"); sleep 0.2; rst($_[0]) }],
    'rst-body' => ['ok 200', sub {
        put_text($_[0], "${ok}Content-Length: 9\r\n\r\nx"); sleep 0.2;
        rst($_[0]) }],
    'rst-body-500' => ['status 500', sub {
        put_text($_[0], "${sorry}Content-Length: 9\r\n\r\nx"); sleep 0.2;
        rst($_[0]) }],
    'half-close-after' => ['ok 200', sub {
        put_text($_[0], "$ok\r\nbody"); shutdown $_[0], SHUT_WR; sleep 1 }],

    # what is no answer, or a strange one
    'garbage' => ['protocol 0', join '', map { chr $_ * 7 % 256 } 0 .. 2000],
    'ssh' => ['protocol 0', "SSH-2.0-nothing\r\n\r\n"],
    'html' => ['protocol 0', '<html>200 OK</html>'],
    'http-2' => ['protocol 0', "\0\0\x12\x04\0\0\0\0\0" . "\0" x 18],
    'status-20' => ['protocol 0', "HTTP/1.1 20 OK\r\n" . NO_BODY],
    'status-000' => ['protocol 0', "HTTP/1.1 000 OK\r\n" . NO_BODY],
    'status-2000' => ['protocol 0', "HTTP/1.1 2000 OK\r\n" . NO_BODY],
    'status-20x' => ['protocol 0', "HTTP/1.1 20x OK\r\n" . NO_BODY],
    'status-200x' => ['protocol 0', "HTTP/1.1 200x\r\n" . NO_BODY],
    'status-1xx-2000' => ['protocol 0', "HTTP/1.1 100 Continue\r\n\r\n"
        . "HTTP/1.1 2000 OK\r\n" . NO_BODY],
    'status-word' => ['protocol 0', "HTTP/1.1 OK\r\n" . NO_BODY],
    'status-101' => ['reset 0', "HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n"],
    'only-100' => ['reset 0', "HTTP/1.1 100 Continue\r\n\r\n"],
    'bare-status' => ['ok 200', "HTTP/1.1 200\r\n" . NO_BODY],
    'bare-newlines' => ['ok 200', "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
    'http-1.0' => ['ok 200', "HTTP/1.0 200 OK\r\n\r\n"],
    'some-1xx' => ['ok 200', "HTTP/1.1 100 Continue\r\n\r\n" x 3
        . "HTTP/1.1 102 Processing\r\n\r\n$ok" . NO_BODY],
    'fold' => ['status 503', "HTTP/1.1 503 No\r\nRetry-After:\r\n 1\r\n"
        . NO_BODY],
    'nul' => ['status 500', "${sorry}X-A: \0b\r\n" . NO_BODY],
    'no-colon' => ['status 500', "${sorry}nothing\r\n: empty\r\n" . NO_BODY],

    # lengths that are none
    'length-long' => ['ok 200', "${ok}Content-Length: 1000\r\n\r\nx"],
    'length-short' => ['ok 200', "${ok}Content-Length: 1\r\n\r\n" . 'x' x 99],
    'length-negative' => ['status 500', "${sorry}Content-Length: -1\r\n\r\n"],
    'length-huge' => ['status 500',
        "${sorry}Content-Length: 99999999999999999999999\r\n\r\n"],
    'length-word' => ['status 500', "${sorry}Content-Length: many\r\n\r\n"],
    'length-two' => ['status 500',
        "${sorry}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"],
    'length-and-chunks' => ['status 500',
        "${sorry}Content-Length: 3\r\n${chunked}0\r\n\r\n"],
    'chunk-garbage' => ['ok 200', $ok . $chunked . "zzz\r\nyyy\r\n"],
    'chunk-garbage-500' => ['status 500', $sorry . $chunked . "zzz\r\n"],
    'chunk-huge' => ['status 500', $sorry . $chunked
        . "ffffffffffffffffff\r\nx"],
    'chunk-cut' => ['status 500', $sorry . $chunked . "ff\r\nx"],
    'encoding-unknown' => ['status 500',
        "${sorry}Transfer-Encoding: what\r\nContent-Encoding: this\r\n\r\nx"],
    'gzip-garbage' => ['status 500',
        "${sorry}Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"],
    'twice' => ['ok 200', $ok . NO_BODY . $ok . NO_BODY],

    # a connection that is kept, but not for another request
    'kept-fin' => ['ok 200', sub { put_text($_[0], $ok . NO_BODY);
        take($_[0]) }],
    'kept-rst' => ['ok 200', sub { put_text($_[0], $ok . NO_BODY);
        take($_[0]); rst($_[0]) }],
    'kept-idle-fin' => ['ok 200', sub { put_text($_[0], $ok . NO_BODY);
        sleep 0.3 }],
);

# Before any request, each at a port of its own; "tls" ones by https.
my %early = (
    'early-silence' => ['timeout 0', sub { sleep 30 }],
    'early-fin' => ['reset 0', sub { }],
    'early-rst' => ['connect 0|reset 0', sub { rst($_[0]) }],
    'early-answer' => ['ok 200', sub {
        put_text($_[0], $ok . NO_BODY); sleep 1 }],
    'early-garbage' => ['protocol 0', sub {
        put_text($_[0], "220 smtp.example ESMTP\r\n"); sleep 1 }],
    'tls-silence' => ['timeout 0', sub { sleep 30 }],
    'tls-drip' => ['timeout 0', sub {
        drip($_[0], 0.05, "\x16\x03\x03\x0f\xff", "\x02" x 1000) }],
    'tls-plain' => ['tls 0', sub {
        put_text($_[0], "HTTP/1.1 400 Bad\r\n" . NO_BODY); sleep 1 }],
    'tls-garbage' => ['tls 0', sub { endless($_[0], '', "\xff" x 1000) }],
    'tls-alert' => ['tls 0', sub {
        put_text($_[0], "\x15\x03\x03\0\2\2\x28"); sleep 1 }],
    'tls-fin' => ['tls 0', sub { sysread $_[0], my $hello, 4096 }],
    'tls-rst' => ['tls 0', sub {
        sysread $_[0], my $hello, 4096; rst($_[0]) }],
);

my $t = webhook_store();
my %ports = map { $_ => Test::Eventsync::free_port() } '', sort keys %early;
my $server = $t->background('server', \&serve);
ok(wait_for(sub { $server->stdout =~ /^ready/ }), 'bad receivers')
    or diag($server->stderr);

# One that never accepts: its queue holds what connects.
my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
    or die "listen: $!\n";

my %expected = ((map { $_ => $cases{$_}[0] } keys %cases),
    (map { $_ => $early{$_}[0] } keys %early), deaf => 'timeout 0');

put($t, 'orders', 1);
my %names = map { endpoint($_) => $_ } sort keys %expected;
my $good = $t->receiver(200);
$t->endpoint('acme', url => $good->url, feeds => 'orders', start => 'oldest');

my $dispatcher = $t->run_dispatcher;
ok($good->wait_for(1, 20), 'a good one gets its event');
my $memory = memory();
put($t, 'orders', 1);
ok($good->wait_for(2, 20), 'and another, while the others have time');

my %got;
wait_for(sub {
    sleep 0.1;
    %got = map { /^\S+ (\S+) .* sequence=1 .*status=(\d+) class=(\S+)/
        && $names{$1} ? ($names{$1} => "$3 $2") : () }
        split /\n/, $t->ctl_ok('endpoint', 'attempts');
    return keys %got == keys %expected;
}, 60);
like($got{$_} // 'none', qr/^(?:$expected{$_})$/, "$_ is $expected{$_}")
    for sort keys %expected;

# The second event, on the same connection at first.
for my $case (grep { /^kept/ } sort keys %cases) {
    my ($name) = grep { $names{$_} eq $case } keys %names;
    my @list;
    wait_for(sub { @list = attempts($t, $name); @list >= 2 }, 20);
    is_deeply([map { "$_->{sequence} $_->{class} $_->{status}" } @list],
        ['1 ok 200', '2 ok 200'], "$case: the next is sent on a new one");
}

SKIP: {
    skip 'freed memory is kept', 1 if $t->sanitized;
    cmp_ok(memory() - $memory, '<', 32768, 'none of it is kept in memory');
}
put($t, 'orders', 1);
ok($good->wait_for(3, 20), 'the good one goes on');
is($good->count, 3, 'with each event once');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
is(scalar(grep { / error: / } split /\n/, $dispatcher->stderr), 0,
    'and has met no error of its own');
ok($t->verify, 'the store is sound');
$server->stop;

done_testing();

###############################################################################

# Those that are to end by time have little of it.
sub endpoint {
    my ($case) = @_;
    my $time = $cases{$case} && $cases{$case}[2]
        || ($expected{$case} =~ /timeout/ ? '1s' : '20s');
    my $port = $case eq 'deaf' ? $deaf->sockport
        : $ports{ $early{$case} ? $case : '' };
    my $scheme = $case =~ /^tls/ ? 'https' : 'http';

    return scalar $t->endpoint('acme', feeds => 'orders', start => 'oldest',
        url => "$scheme://127.0.0.1:$port/$case", schedule => '0',
        timeout => $time, connect_timeout => $time);
}

# The most that the dispatcher has had of it, in kilobytes.
sub memory {
    my $status = $t->read_file('/proc/' . $dispatcher->pid . '/status');
    return $status =~ /^VmHWM:\s+(\d+)/m ? $1 : die "no VmHWM\n";
}

# A process for each connection, all in one group.
sub serve {
    my %listeners = map {
        my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $ports{$_}, Listen => 128, ReuseAddr => 1)
            or die "port $ports{$_}: $!\n";
        ($_ => $listener)
    } keys %ports;
    my $select = IO::Select->new(values %listeners);
    my %case_of = map { fileno($listeners{$_}) => $_ } keys %listeners;

    $SIG{TERM} = sub { $SIG{TERM} = 'IGNORE'; kill TERM => -$$;
        POSIX::_exit(0) };
    $SIG{CHLD} = 'IGNORE';
    print "ready\n";
    while (1) {
        for my $listener ($select->can_read) {
            my $s = $listener->accept or next;
            next if fork // die "fork: $!\n";
            $SIG{TERM} = 'DEFAULT';
            alarm 40;
            $s->autoflush(1);
            my $case = $case_of{fileno $listener};
            my $do = $case ? $early{$case}[1] : $cases{ take($s) }[1];
            ref $do ? $do->($s) : put_text($s, $do);
            POSIX::_exit(0);
        }
    }
}

# Reads a whole request: the path.
sub take {
    my ($s) = @_;
    my $text = '';

    until ($text =~ /\r\n\r\n/) {
        sysread $s, $text, 65536, length $text or POSIX::_exit(0);
    }
    my ($length) = $text =~ /^content-length: (\d+)/mi;
    my $end = index($text, "\r\n\r\n") + 4 + $length;
    while (length $text < $end) {
        sysread $s, $text, 65536, length $text or POSIX::_exit(0);
    }
    my ($path) = $text =~ m{^\w+ /(\S+)};
    return $path;
}

sub put_text {
    my ($s, $text) = @_;

    while (length $text) {
        my $n = syswrite $s, $text or POSIX::_exit(0);
        substr $text, 0, $n, '';
    }
}

# Byte by byte.
sub drip {
    my ($s, $pause, @text) = @_;

    for my $byte (split //, join '', @text) {
        put_text($s, $byte);
        sleep $pause;
    }
}

sub endless {
    my ($s, $head, $more) = @_;
    put_text($s, $head);
    put_text($s, $more) while 1;
}

sub rst {
    my ($s) = @_;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $s;
}
