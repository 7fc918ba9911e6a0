# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync;

# HTTP for tests: requests on bare sockets, events, publishing and polling.
# These are methods of Test::Eventsync.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Socket qw(PF_INET SOCK_STREAM SOL_SOCKET SO_LINGER SO_RCVBUF inet_aton
    pack_sockaddr_in);
use Time::HiRes qw(sleep time);

# Connects a socket, to port 0 of the test by default.
sub socket {
    my ($self, $port) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port // $self->port(0), Timeout => 5)
        || die "cannot connect: $!\n";
}

# Connects a socket whose receive buffer is small from the beginning.
sub stalled_socket {
    my ($self, $port) = @_;
    CORE::socket(my $sock, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
    setsockopt $sock, SOL_SOCKET, SO_RCVBUF, 4096 or die "SO_RCVBUF: $!\n";
    connect $sock, pack_sockaddr_in($port // $self->port(0),
        inet_aton('127.0.0.1')) or die "cannot connect: $!\n";
    return $sock;
}

# Requests an answer of which nothing is read; returns the socket once the
# answer has begun.  Options: port.
sub stalled {
    my ($self, $path, $headers, %opts) = @_;
    my $sock = $self->stalled_socket($opts{port});
    $self->http_start(GET => $path, $headers, undef, socket => $sock);
    die "no answer\n" unless IO::Select->new($sock)->can_read(30);
    return $sock;
}

# Closes a socket with a reset.
sub reset_socket {
    my ($self, $sock) = @_;
    setsockopt $sock, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    close $sock;
}

# Sends one request; returns the answer as { status, headers, body, head,
# seconds }, header names in lower case, repeated ones joined by ", ".
# Options: port, timeout (30), socket (kept open: keep-alive).  Status 0: no
# answer.
sub http {
    my ($self, @request) = @_;
    return $self->http_end($self->http_start(@request));
}

# http() in two halves, for several requests at once.
sub http_start {
    my ($self, $method, $path, $headers, $body, %opts) = @_;

    my $sock = $opts{socket} // $self->socket($opts{port});
    my @headers = ref $headers eq 'ARRAY' ? @$headers : %{ $headers // {} };
    my $text = "$method $path HTTP/1.1\r\n";
    my %seen;

    while (my ($name, $value) = splice @headers, 0, 2) {
        $seen{ lc $name } = 1;
        $text .= "$name: $value\r\n" if defined $value;
    }
    $text .= "Host: localhost\r\n" unless $seen{host};
    $text .= "Connection: close\r\n" unless $opts{socket} || $seen{connection};
    $text .= 'Content-Length: ' . length($body) . "\r\n"
        if defined $body && !$seen{'content-length'}
        && !$seen{'transfer-encoding'};

    my $call = { sock => $sock, method => $method, began => time(),
        timeout => $opts{timeout} // 30, buf => '' };
    $self->send_all($sock, "$text\r\n" . ($body // ''), $call->{timeout});
    return $call;
}

sub http_end {
    my ($self, $call) = @_;
    my $end = $call->{began} + $call->{timeout};
    my $answer = { status => 0, headers => {}, body => '', head => '' };
    my ($head, %headers);

    do {
        $head = read_until($call, "\r\n\r\n", $end) // return $answer;
        $answer->{head} = $head;
    } while ($head =~ m{^HTTP/1\.[01] 1\d\d});

    return $answer unless $head =~ m{^HTTP/1\.[01] (\d\d\d)};
    my $status = $1;
    for my $line (split /\r\n/, $head) {
        next unless $line =~ /^([^:\s]+):\s*(.*?)\s*$/;
        my $name = lc $1;
        $headers{$name} = exists $headers{$name} ? "$headers{$name}, $2" : $2;
    }
    $answer->{headers} = \%headers;

    my $body = '';
    if ($call->{method} eq 'HEAD' || $status == 204 || $status == 304) {
        # none

    } elsif (($headers{'transfer-encoding'} // '') =~ /chunked/i) {
        while (1) {
            my $size = read_until($call, "\r\n", $end) // return $answer;
            my $n = hex((split /;/, $size)[0]);
            my $chunk = read_bytes($call, $n + 2, $end) // return $answer;
            last if $n == 0;
            $body .= substr $chunk, 0, $n;
        }

    } elsif (defined $headers{'content-length'}) {
        $body = read_bytes($call, $headers{'content-length'}, $end)
            // return $answer;

    } else {
        1 while fill($call, $end);
        $body = $call->{buf};
    }

    @$answer{qw(status body seconds)}
        = ($status, $body, time() - $call->{began});
    return $answer;
}

sub fill {
    my ($call, $end) = @_;
    my $left = $end - time();
    my $sock = $call->{sock};
    return 0 if $left <= 0;
    return 0 unless ($sock->can('pending') && $sock->pending)    # of TLS
        || IO::Select->new($sock)->can_read($left);
    return sysread $sock, $call->{buf}, 65536, length $call->{buf};
}

sub read_until {
    my ($call, $mark, $end) = @_;
    my $at;
    until (($at = index $call->{buf}, $mark) >= 0) {
        fill($call, $end) or return;
    }
    my $text = substr $call->{buf}, 0, $at + length $mark, '';
    return substr $text, 0, $at;
}

sub read_bytes {
    my ($call, $n, $end) = @_;
    while (length $call->{buf} < $n) {
        fill($call, $end) or return;
    }
    return substr $call->{buf}, 0, $n, '';
}

sub send_all {
    my ($self, $sock, $text, $timeout) = @_;
    my $end = time() + ($timeout // 10);

    while (length $text) {
        IO::Select->new($sock)->can_write($end - time()) or return 0;
        my $n = syswrite $sock, $text, 65536;
        return 0 unless defined $n;
        substr $text, 0, $n, '';
    }
    return 1;
}

# Reads until the peer closes, or for the given number of seconds.
sub read_all {
    my ($self, $sock, $seconds) = @_;
    my $call = { sock => $sock, buf => '' };
    my $end = time() + ($seconds // 5);
    1 while fill($call, $end);
    return $call->{buf};
}

# Sends a GET and decodes the body; undef unless the answer is 200 with JSON.
sub json_get {
    my ($self, $path, $key, %opts) = @_;

    my $answer = $self->http(GET => $path, auth($key, $opts{headers}), undef,
        %opts);
    return unless $answer->{status} == 200;
    return json($answer->{body});
}

sub auth {
    my ($key, $more) = @_;
    return { ($key ? (authorization => "Bearer $key") : ()), %{ $more // {} } };
}

sub json {
    my ($text) = @_;
    return eval { JSON::PP->new->utf8->allow_nonref->decode($text) };
}

# The JSON of an event with the given attributes, and defaults for the others.
# `data` may be a structure, or a scalar reference to exact JSON text.
sub event {
    my ($self, %attrs) = @_;

    my %event = (specversion => '1.0', source => '/test', type => 'test.event',
        id => sprintf('ev-%d-%06d', $$, ++$self->{nevent}), %attrs);
    my $data = exists $event{data} ? delete $event{data} : undef;
    my $coder = JSON::PP->new->utf8->canonical->allow_nonref;
    my $text = $coder->encode(\%event);

    return $text unless defined $data;
    $data = ref $data eq 'SCALAR' ? $$data : $coder->encode($data);
    $text =~ s/\}\z/,"data":$data}/;
    return $text;
}

# A key of a partner that may read and publish everything.
sub master_key {
    my ($self) = @_;
    return $self->{master_key} //= $self->partner_key('tester',
        feeds => '*', publish => '*', scopes => 'read,publish,ack');
}

# Publishes events (JSON texts or attribute hashes) over HTTP as NDJSON, with
# the key in { key => ... } or one that may do everything.  Returns the answer
# with the decoded body in `json`.
sub publish {
    my ($self, $feed, @events) = @_;
    my $opts = @events && ref $events[0] eq 'HASH' && exists $events[0]{key}
        ? shift @events : {};

    my $body = join '', map {
        (ref $_ ? $self->event(%$_) : $_) . "\n" } @events;
    my $answer = $self->http(POST => "$self->{prefix}/feeds/$feed/events",
        { authorization => 'Bearer ' . ($opts->{key} // $self->master_key),
          'content-type' => 'application/x-ndjson' }, $body);
    $answer->{json} = json($answer->{body});
    return $answer;
}

# Polls once; returns the decoded body.  Parameters are a list: after => ...,
# limit => .
sub poll {
    my ($self, $feed, %params) = @_;

    my $key = delete $params{key} // $self->master_key;
    my $query = join '&', map { "$_=" . escape($params{$_}) }
        grep { defined $params{$_} } sort keys %params;
    return $self->json_get("$self->{prefix}/feeds/$feed/events?$query", $key,
        timeout => 30 + ($params{wait} // 0));
}

# Every event of a feed from a cursor (or the oldest) to its current end.
sub poll_all {
    my ($self, $feed, %params) = @_;
    my @events;

    $params{from} = 'oldest' unless defined $params{after};
    while (1) {
        my $page = $self->poll($feed, limit => 1000, %params)
            or die "poll of $feed failed\n";
        push @events, @{ $page->{events} };
        delete $params{from};
        $params{after} = $page->{next};
        return wantarray ? (\@events, $page->{next}) : \@events
            unless $page->{has_more};
    }
}

sub escape {
    my ($text) = @_;
    $text =~ s/([^A-Za-z0-9._~:*,\/-])/sprintf '%%%02X', ord $1/ge;
    return $text;
}

1;
