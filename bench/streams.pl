# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: one event to many streams in one worker, and the
# memory of each stream, beside nchan's EventSource.

use warnings;
use strict;

use IO::Handle;
use IPC::Open2;

our ($rounds, $t, $build, %opt);

# Starts `n` requests that stay open.
sub held_open {
    my ($name, $system, $n, $request, @options) = @_;
    my $file = $system->write_file("held-$name", $request);
    my $pid = open2(my $out, my $in, "$build/bench/streams", '--port',
        $system->port(0), '--request', $file, '--connections', $n, @options);
    (my $line = <$out> // '') eq "ready\n" or die "$name: no answers\n";
    return { in => $in, out => $out, pid => $pid };
}

sub let_go {
    my ($held) = @_;
    close $held->{in};
    kill TERM => $held->{pid};
    waitpid $held->{pid}, 0;
}

sub worker_bytes {
    my ($system) = @_;
    my ($pid) = $system->workers;
    return 1024 * (Bench::slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m)[0];
}

# Bytes of a fresh worker for each of `n` requests that are open.
sub held_bytes {
    my ($name, $system, $n, $request, @options) = @_;
    $system->stop_nginx('TERM');
    $system->run_nginx;
    wait_for(sub { $system->http(GET => '/ns')->{body} }, 10);
    my $before = worker_bytes($system);
    my $held = held_open($name, $system, $n, $request, @options);
    wait_for(sub { my $body = $system->http(GET => '/ns')->{body} // '';
        $body =~ /Writing: (\d+)/ && $1 > $n }, 60) or die "$name: not open\n";
    my $bytes = (worker_bytes($system) - $before) / $n;
    let_go($held);
    return $bytes;
}

# Microseconds from the publish until an event is on all streams, and those of
# the worker's CPU time.
sub fanned_out {
    my ($system, $held, $publish) = @_;
    my $mark = sprintf 'fan-%08d', our $fan++;
    my @pids = $system->workers;

    print { $held->{in} } "$mark\n";
    $held->{in}->flush;
    readline($held->{out}) eq "armed\n" or die "streams failed\n";
    my $cpu = cpu_seconds(@pids);
    $publish->($mark);
    my $us = readline $held->{out};
    defined $us or die "streams failed\n";
    return ($us, 1e6 * (cpu_seconds(@pids) - $cpu));
}

# Debian's nchan in an nginx of its own.
sub nchan_streams {
    my ($n) = @_;
    my $nchan = Test::Eventsync->new(workers => 1);
    $nchan->write_file_expand('nginx.conf', <<"CONF");
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;    # not eventsync
worker_rlimit_nofile @{[2 * $n + 500]};
events { worker_connections @{[$n + 500]}; }
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /ns { stub_status; }
        location = /pub { nchan_publisher; nchan_channel_id bench; }
        location = /sub {
            nchan_subscriber eventsource;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }
    }
}
CONF
    $nchan->run_nginx;
    return $nchan;
}

sub sse_fanout {
    my $n = $opt{events} || ($opt{quick} ? 500 : 8000);
    my $times = $opt{quick} ? 3 : 20;
    my ($key) = serve(1, connections => $n + 500,
        main => 'worker_rlimit_nofile ' . (2 * $n + 500) . ';',
        http => 'request_pool_size 5k;', location => 'eventsync_sse on;',
        server => <<'CONF');
        location = /ns { stub_status; }
        location /open { proxy_pass http://127.0.0.1:9; }
CONF
    my $nchan = nchan_streams($n);
    my $head = "HTTP/1.1\r\nHost: localhost\r\n";
    my $auth = "Authorization: Bearer $key\r\n";
    my $stream = "GET /v1/feeds/bench/events?from=latest $head$auth"
        . "Accept: text/event-stream\r\n\r\n";
    my $theirs = "GET /sub ${head}Accept: text/event-stream\r\n\r\n";

    $t->{master_key} = $key;
    # A request whose body does not come is open, and needs nothing else.
    my @memory = (
        ['any open request', $t, "POST /open $head${auth}Content-Length: 1\r\n\r\n",
            '--silent', 1],
        ['idle stream', $t, $stream],
        ['long poll', $t, "GET /v1/feeds/bench/events?from=latest&wait=60 $head"
            . "$auth\r\n", '--silent', 1],
        ['nchan, EventSource', $nchan, $theirs],
    );
    for (@memory) {
        my ($what, @request) = @$_;
        printf "  memory of %-20s %6.0f bytes\n", $what,
            held_bytes($what =~ tr/ ,/_/r, $request[0], $n, @request[1 .. $#request]);
    }

    my %held = (eventsync => held_open('eventsync', $t, $n, $stream),
        nchan => held_open('nchan', $nchan, $n, $theirs));
    my %publish = (
        eventsync => sub { $t->publish('bench', { data => { mark => $_[0] } }) },
        nchan => sub { $nchan->http(POST => '/pub', {}, $_[0]) });
    my %cpu;
    my $v = alternate($rounds, map { my $name = $_;
        my $system = $name eq 'nchan' ? $nchan : $t;
        ($name => sub {
            my ($us, $cpu) = (0, 0);
            for (1 .. $times) {
                my @one = fanned_out($system, $held{$name}, $publish{$name});
                $us += $one[0];
                $cpu += $one[1];
            }
            push @{ $cpu{$name} }, $cpu / $n / $times;
            return 1e6 * $n * $times / $us;
        }) } keys %held);
    let_go($_) for values %held;
    table("events/s to $n streams", map { [$_, $v->{$_}] } sort keys %held);
    table('microseconds of the worker\'s CPU time an event and stream',
        map { [$_, $cpu{$_}] } sort keys %held);
    verdict('sse-fanout (rate)', ratio($v->{eventsync}, $v->{nchan}), '>= 1.2');
    verdict('sse-fanout', ratio($cpu{eventsync}, $cpu{nchan}), '<= 0.6',
        'CPU time');
}

1;
