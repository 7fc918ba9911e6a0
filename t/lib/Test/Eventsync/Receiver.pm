# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Receiver;

# A small HTTP receiver in a process of its own: it serves many connections at
# once, gives scripted answers, and logs every request.
#
# The answer is a number (the status) or a sub, called in the receiver with
#
#     { n, count, method, path, headers, body, conn, time }
#
# n counts requests from 1, over restarts; count is the number of requests with
# this webhook-id so far, from 1.  The sub returns a status, or a hash of
#
#     status (200), headers (hash), body
#     delay   seconds before the answer
#     close   1: close after the answer;  reset: RST instead of an answer
#     raw     sends these bytes instead of an answer, then obeys `close`
#     drip    seconds between single bytes of the answer
#     hang    1: never answer

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

# answer, dir, port, addr (127.0.0.1).
sub start {
    my ($class, %opts) = @_;

    my $self = bless { addr => '127.0.0.1', %opts, owner => $$ }, $class;
    $self->{log} = "$opts{dir}/receiver-$self->{addr}-$opts{port}.log";
    open my $fh, '>', $self->{log} or die "$self->{log}: $!\n";
    $self->resume;
    return $self;
}

sub port { $_[0]{port} }
sub pid  { $_[0]{pid} }
sub url  { "http://$_[0]{addr}:$_[0]{port}" . ($_[1] // '/hook') }

# Starts, or starts again on the same port, optionally with another answer.
sub resume {
    my ($self, $answer) = @_;

    return $self if $self->{pid};
    $self->{answer} = $answer if defined $answer;
    my $listen = IO::Socket::INET->new(LocalAddr => $self->{addr},
        LocalPort => $self->{port}, Listen => 512, ReuseAddr => 1)
        or die "port $self->{port}: $!\n";

    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        $SIG{$_} = sub { POSIX::_exit(0) } for qw(INT TERM HUP);
        $SIG{PIPE} = 'IGNORE';
        eval { $self->serve($listen) };
        print STDERR "receiver: $@" if $@;
        POSIX::_exit(1);
    }
    $self->{pid} = $pid;
    return $self;
}

# Simulates an outage: connections are refused until resume().
sub stop {
    my ($self) = @_;

    return if $$ != $self->{owner};
    my $pid = delete $self->{pid} or return;
    kill KILL => $pid;
    waitpid $pid, 0;
}

# Every complete request so far, in order of arrival.
sub requests {
    my ($self) = @_;
    my $coder = JSON::PP->new->utf8;

    open my $fh, '<:raw', $self->{log} or return;
    return map { $coder->decode($_) } grep { /\n\z/ } <$fh>;
}

sub count {
    my ($self) = @_;
    open my $fh, '<:raw', $self->{log} or return 0;
    my $n = 0;
    while (<$fh>) { $n++ if /\n\z/ }
    return $n;
}

# Waits for n requests; returns all of them, or none after the time limit.
sub wait_for {
    my ($self, $n, $timeout) = @_;
    my $end = time() + ($timeout // 10);

    while ($self->count < $n) {
        return if time() > $end;
        sleep 0.01;
    }
    return $self->requests;
}

sub serve {
    my ($self, $listen) = @_;
    my $select = IO::Select->new($listen);
    my (%conns, @timers, %seen);
    my $nconn = 0;

    my @before = $self->requests;
    my $n = @before;
    $seen{ $_->{headers}{'webhook-id'} // '' }++ for @before;
    open my $log, '>>:raw', $self->{log} or die "$self->{log}: $!\n";
    my $coder = JSON::PP->new->utf8->canonical;

    my $drop = sub {
        my ($conn, $reset) = @_;
        $select->remove($conn->{sock});
        delete $conns{ fileno $conn->{sock} };
        setsockopt $conn->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)
            if $reset;
        close $conn->{sock};
        $conn->{gone} = 1;
    };

    my $send;
    $send = sub {
        my ($conn, $text, $drip, $close) = @_;
        return if $conn->{gone};
        my $part = $drip ? substr($text, 0, 1) : $text;
        $conn->{sock}->blocking(1);
        my $ok = defined syswrite $conn->{sock}, $part;
        $conn->{sock}->blocking(0);
        if (!$ok) {
            $drop->($conn);

        } elsif (length $part < length $text) {
            my $rest = substr $text, length $part;
            push @timers, [time() + ($drip || 0),
                sub { $send->($conn, $rest, $drip, $close) }];

        } elsif ($close) {
            $drop->($conn);

        } else {
            $conn->{busy} = 0;
        }
    };

    my $reply = sub {
        my ($conn, $answer) = @_;
        return if $conn->{gone};
        return $drop->($conn, 1) if $answer->{reset};
        my $text = $answer->{raw};
        if (!defined $text) {
            my $body = $answer->{body} // '';
            my %headers = ('Content-Length' => length $body,
                %{ $answer->{headers} // {} });
            $text = 'HTTP/1.1 ' . ($answer->{status} // 200) . " Answer\r\n"
                . join('', map { "$_: $headers{$_}\r\n" }
                    grep { defined $headers{$_} } sort keys %headers)
                . "\r\n$body";
        }
        $send->($conn, $text, $answer->{drip}, $answer->{close});
    };

    my $handle = sub {
        my ($conn, $request) = @_;
        my $id = $request->{headers}{'webhook-id'} // '';
        $request->{n} = ++$n;
        $request->{count} = ++$seen{$id};
        $request->{conn} = $conn->{number};
        $request->{time} = time();
        syswrite $log, $coder->encode($request) . "\n";

        my $answer = ref $self->{answer} eq 'CODE'
            ? $self->{answer}->($request) : $self->{answer} // 200;
        $answer = { status => $answer } unless ref $answer;
        $conn->{busy} = 1;
        return if $answer->{hang};
        return $reply->($conn, $answer) unless $answer->{delay};
        push @timers, [time() + $answer->{delay},
            sub { $reply->($conn, $answer) }];
    };

    while (1) {
        @timers = sort { $a->[0] <=> $b->[0] } @timers;
        my $nap = @timers ? $timers[0][0] - time() : 60;
        for my $sock ($select->can_read($nap > 0 ? $nap : 0)) {
            if ($sock == $listen) {
                my $new = $listen->accept or next;
                $new->blocking(0);
                $select->add($new);
                $conns{ fileno $new } = { sock => $new, buf => '',
                    number => ++$nconn };
                next;
            }
            my $conn = $conns{ fileno $sock } or next;
            my $got = sysread $sock, $conn->{buf}, 65536, length $conn->{buf};
            next if !defined $got && $!{EAGAIN};
            $drop->($conn) unless $got;
        }
        for my $conn (values %conns) {
            while (!$conn->{gone} && !$conn->{busy}) {
                my $request = take_request($conn) or last;
                $handle->($conn, $request);
            }
        }
        while (@timers && $timers[0][0] <= time()) {
            (shift @timers)->[1]->();
        }
    }
}

# Takes a complete request off the front of the buffer; nothing: not yet.
sub take_request {
    my ($conn) = @_;

    my $end = index $conn->{buf}, "\r\n\r\n";
    return if $end < 0;
    my @lines = split /\r\n/, substr $conn->{buf}, 0, $end;
    my ($method, $path) = split / /, shift @lines;
    my %headers;
    for (@lines) {
        $headers{ lc $1 } = $2 if /^([^:]+):\s*(.*?)\s*$/;
    }
    my $length = $headers{'content-length'} // 0;
    return if length $conn->{buf} < $end + 4 + $length;

    my $body = substr $conn->{buf}, $end + 4, $length;
    substr $conn->{buf}, 0, $end + 4 + $length, '';
    return { method => $method, path => $path, headers => \%headers,
        body => $body };
}

1;
