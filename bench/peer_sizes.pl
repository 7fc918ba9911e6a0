# SPDX-License-Identifier: BSD-2-Clause

# What the same events take in JetStream's file store and in Redis Streams, for
# bench/run packed.  Both peers are spoken to by their own protocols.

use warnings;
use strict;

use IO::Socket::INET;
use JSON::PP;

our ($t, $build, %opt);

use constant PEER_EVENTS => 100_000;    # JetStream compresses blocks of 8 MB
use constant PEER_WINDOW => 1000;       # sent before an answer is read

# Prints bytes on disk to bytes of text for each peer that is installed.
sub peer_sizes {
    my ($side) = @_;
    my %peer = ('nats-server' => \&jetstream_size,
        'redis-server' => \&redis_size);
    my $n = $side->{events} < PEER_EVENTS ? $side->{events} : PEER_EVENTS;

    for my $name (sort keys %peer) {
        if (!grep { -x "$_/$name" } split /:/, $ENV{PATH}) {
            print "  $name: skipped, it is not installed\n";
            next;
        }
        my ($text, @lines) = (0);
        open my $fh, '-|', "$build/eventsyncctl", '--store',
            $side->{t}->store, 'tail', 'bench' or die "eventsyncctl: $!\n";
        while (@lines < $n && defined(my $line = <$fh>)) {
            chomp $line;
            $text += length $line;
            push @lines, $line;
        }
        close $fh;
        die "too few events\n" if @lines < $n;
        $peer{$name}->(\@lines, $text);
    }
}

sub peer_says {
    my ($what, $bytes, $text) = @_;
    printf "  %s: %.1f MB for %.1f MB of text, %.2f\n", $what, $bytes / 1e6,
        $text / 1e6, $bytes / $text;
}

sub peer_socket {
    my ($port) = @_;
    my $socket;
    wait_for(sub { $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$port") }, 20) or die "nothing at port $port\n";
    return $socket;
}

sub peer_line {
    my ($socket) = @_;
    my $line = <$socket> // die "the peer closed the connection\n";
    return $line =~ s/\r\n\z//r;
}

# Sends a request to a subject and returns the payload of the answer.
sub nats_request {
    my ($socket, $subject, $payload) = @_;
    printf {$socket} "PUB %s bench.inbox %d\r\n%s\r\n", $subject,
        length $payload, $payload;
    while (1) {
        my $line = peer_line($socket);
        print {$socket} "PONG\r\n" if $line eq 'PING';
        die "nats-server: $line\n" if $line =~ /^-ERR/;
        next unless $line =~ /^MSG .* (\d+)$/;
        read $socket, my $answer, $1 + 2;
        return substr $answer, 0, -2;
    }
}

sub jetstream_size {
    my ($lines, $text) = @_;
    my $port = $t->free_port;
    my $dir = $t->testdir . '/jetstream';
    my $server = $t->start('nats-server', {}, 'nats-server', '-js', '-a',
        '127.0.0.1', '-p', $port, '-sd', $dir);
    my $socket = peer_socket($port);
    my ($version) = peer_line($socket) =~ /"version":"([^"]+)"/
        or die "not a nats-server\n";
    print {$socket} qq(CONNECT {"verbose":false}\r\nSUB bench.inbox 1\r\n);

    my $stream = decode_json(nats_request($socket,
        '$JS.API.STREAM.CREATE.bench', encode_json({ name => 'bench',
        subjects => ['bench.orders'], storage => 'file', num_replicas => 1,
        retention => 'limits', discard => 'old', compression => 's2',
        max_consumers => -1, max_msgs => -1, max_bytes => -1 })));
    die "JetStream: $stream->{error}{description}\n" if $stream->{error};
    my $form = $stream->{config}{compression};
    for my $i (0 .. $#$lines) {
        if ($i % PEER_WINDOW == 0 || $i == $#$lines) {
            my $answer = decode_json(nats_request($socket, 'bench.orders',
                $lines->[$i]));
            die "JetStream refuses an event\n" if $answer->{error};
            next;
        }
        print {$socket} "PUB bench.orders ", length $lines->[$i], "\r\n",
            $lines->[$i], "\r\n";
    }
    my $info = decode_json(nats_request($socket, '$JS.API.STREAM.INFO.bench',
        ''));
    die "JetStream has $info->{state}{messages} events\n"
        if $info->{state}{messages} != @$lines;
    close $socket;
    $server->stop('TERM');
    $t->forget($server);
    peer_says("JetStream, nats-server $version, "
        . ($form ? "compression $form"
            : 'not compressed: S2 needs nats-server 2.10'),
        on_disk($dir), $text);
    Bench::remove_tree($dir);
}

sub redis_size {
    my ($lines, $text) = @_;
    my $port = $t->free_port;
    my $dir = $t->testdir . '/redis';
    mkdir $dir or die "$dir: $!\n";
    my $server = $t->start('redis-server', {}, 'redis-server', '--bind',
        '127.0.0.1', '--port', $port, '--dir', $dir, '--save', '',
        '--appendonly', 'no');
    my $socket = peer_socket($port);
    my $sent = 0;
    for my $line (@$lines) {
        printf {$socket} "*5\r\n\$4\r\nXADD\r\n\$5\r\nbench\r\n\$1\r\n*\r\n"
            . "\$1\r\ne\r\n\$%d\r\n%s\r\n", length $line, $line;
        next if ++$sent % PEER_WINDOW && $sent != @$lines;
        redis_answers($socket, $sent % PEER_WINDOW || PEER_WINDOW);
    }
    print {$socket} "MEMORY USAGE bench SAMPLES 0\r\n";
    my ($memory) = peer_line($socket) =~ /^:(\d+)/ or die "no memory\n";
    print {$socket} "SAVE\r\n";
    my $saved = peer_line($socket);
    die "redis-server: $saved\n" if $saved ne '+OK';
    close $socket;
    $server->stop('TERM');
    $t->forget($server);
    peer_says('Redis Streams, memory', $memory, $text);
    peer_says('Redis Streams, dump.rdb', on_disk($dir), $text);
    Bench::remove_tree($dir);
}

# Reads the ids of `n` entries.
sub redis_answers {
    my ($socket, $n) = @_;
    for (1 .. $n) {
        my $length = peer_line($socket);
        die "redis-server: $length\n" if $length !~ /^\$/;
        peer_line($socket);
    }
}

1;
