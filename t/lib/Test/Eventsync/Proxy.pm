# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Proxy;

# A small CONNECT proxy: one process, and another one for each connection.
#
# `answer` is a sub that gets the head of the request and the "host:port" of the
# target.  It returns the address to connect to, undef for the target itself, or
# the bytes of an answer that opens no tunnel.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use POSIX ();

# answer, dir, port.
sub start {
    my ($class, %opts) = @_;

    my $self = bless { %opts, owner => $$ }, $class;
    $self->{log} = "$opts{dir}/proxy-$opts{port}.log";
    open my $fh, '>', $self->{log} or die "$self->{log}: $!\n";
    return $self->resume;
}

sub port { $_[0]{port} }
sub url  { "http://127.0.0.1:$_[0]{port}" }

# Starts, or starts again on the same port, optionally with another answer.
sub resume {
    my ($self, $answer) = @_;

    return $self if $self->{pid};
    $self->{answer} = $answer if $answer;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $self->{port}, Listen => 64, ReuseAddr => 1)
        or die "port $self->{port}: $!\n";

    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        setpgrp;
        $SIG{$_} = sub { POSIX::_exit(0) } for qw(INT TERM HUP);
        $SIG{CHLD} = 'IGNORE';
        while (1) {
            my $conn = $listen->accept or next;
            my $child = fork() // POSIX::_exit(1);
            next if $child;
            close $listen;
            eval { $self->serve($conn) };
            POSIX::_exit(0);
        }
    }
    close $listen;
    $self->{pid} = $pid;
    return $self;
}

sub stop {
    my ($self) = @_;

    return if $$ != $self->{owner};
    my $pid = delete $self->{pid} or return;
    kill KILL => -$pid;
    waitpid $pid, 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    $self->stop;
}

# Returns the heads of all requests so far.
sub requests {
    my ($self) = @_;
    open my $fh, '<:raw', $self->{log} or return;
    local $/;
    return split /(?<=\r\n\r\n)/, <$fh> // '';
}

sub serve {
    my ($self, $conn) = @_;

    my $head = '';
    while ($head !~ /\r\n\r\n/) {
        sysread $conn, $head, 4096, length $head or return;
    }
    open my $log, '>>:raw', $self->{log} or die "$self->{log}: $!\n";
    syswrite $log, $head;
    close $log;

    my ($target) = $head =~ /\ACONNECT (\S+) HTTP/ or return;
    my $answer = $self->{answer} ? $self->{answer}->($head, $target) : undef;
    if (defined $answer && $answer =~ /\AHTTP/) {
        syswrite $conn, $answer;
        return;
    }

    my $other = IO::Socket::INET->new(PeerAddr => $answer // $target);
    syswrite $conn, $other
        ? "HTTP/1.1 200 Tunnel\r\nRetry-After: 3600\r\n\r\n"
        : "HTTP/1.1 502 Unreachable\r\nContent-Length: 0\r\n\r\n";
    return unless $other;

    my $select = IO::Select->new($conn, $other);
    while (my @ready = $select->can_read) {
        for my $from (@ready) {
            my $to = $from == $conn ? $other : $conn;
            sysread $from, my $data, 65536 or return;
            while (length $data) {
                my $n = syswrite $to, $data or return;
                substr $data, 0, $n, '';
            }
        }
    }
}

1;
