# SPDX-License-Identifier: BSD-2-Clause

# The benchmarks of webhooks, for bench/run: throughput, latency, isolation from
# slow receivers, and start with many endpoints.

use warnings;
use strict;

use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(sleep time);

our ($t, $build, $rounds, $seconds, %opt);
my $looks = 0;                  # our own requests to the sink

# Starts an nginx that accepts webhooks and counts them; `tls` has the
# directives of its certificate.
sub sink {
    my (%opts) = @_;
    my ($scheme, $listen) = $opts{tls} ? ('https', ' ssl') : ('http', '');
    $t->write_file_expand('nginx.conf', <<"CONF");
worker_cpu_affinity 01;
worker_rlimit_nofile 16384;
events { worker_connections 12000; }
http {
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    @{[$opts{tls} // '']}
    server {
        listen 127.0.0.1:%%PORT_1%%$listen;
        location / { return 204; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        location / { stub_status; }
    }
}
CONF
    $t->run_nginx;
    return "$scheme://127.0.0.1:" . $t->port(1) . '/hook';
}

# Number of webhooks that the sink has accepted.
sub taken {
    $looks++;
    my $status = $t->http(GET => '/', {}, undef, port => $t->port(2));
    $status->{body} =~ /requests\n\s*\d+ \d+ (\d+)/ or die "no stub_status\n";
    return $1 - $looks;
}

# Deliveries per second of one run over `total`.  The first twentieth does not
# count, because the dispatcher starts and opens connections.
sub delivery_rate {
    my ($total, %opts) = @_;
    my $base = taken();
    my ($began, $at);

    $t->run_dispatcher(@{ $opts{options} // [] });
    $opts{after}->() if $opts{after};
    until ($at) {
        my $n = taken() - $base;
        die "the dispatcher ended\n" unless $t->{dispatcher}->running;
        ($began, $at) = (time(), $n) if $n >= $total / 20;
        $opts{at_begin}->($n) if $at && $opts{at_begin};
        sleep 0.005;
    }
    while (1) {
        my $n = taken() - $base;
        my $now = time();
        if ($n >= $total) {
            print '  dispatcher: ', memory($t->{dispatcher}->pid), "\n";
            $opts{at_end}->() if $opts{at_end};
            stop(%opts);
            die "$n deliveries instead of $total\n"
                if !$opts{more} && taken() - $base != $total;
            return ($total - $at) / ($now - $began);
        }
        die "$n of $total delivered in 300 s\n" if $now - $began > 300;
        sleep 0.005;
    }
}

# `hard` kills the dispatcher, because requests to such endpoints never end.
sub stop {
    my (%opts) = @_;
    my $rc = $t->stop_dispatcher($opts{hard} ? 'KILL' : 'TERM');

    die "the dispatcher failed\n" if $rc != 0 && !$opts{hard};
}

# Checks that every attempt is recorded.
sub check_recorded {
    my ($endpoint, $total) = @_;
    my $out = $t->ctl_ok('endpoint', 'attempts', $endpoint);
    my $n = () = $out =~ /\n/g;
    die "$n attempts on record instead of $total\n" if $n < $total;
}

# All options of an endpoint that cost something for each delivery.  Its secrets
# are encrypted at rest, and two of them sign.
sub everything {
    return (types => 'bench.*,other.*', rate => '1000000r/s', burst => 1000000,
        ack => 'nobody', nudge => 1_000_000_000,
        headers => '{"x-first":"one","x-second":"two"}');
}

sub key_file {
    my $file = $t->write_file('keys', 'A' x 43 . "=\n");
    chmod 0600, $file;
    return $file;
}

# Captures a request to such an endpoint in two files: the header fields that
# libcurl does not add itself, and the body.
sub sample {
    my ($what, $kinds, %opts) = @_;
    my $recv = $t->receiver(200);
    my $name = $t->endpoint('bench', url => $recv->url, feeds => 'bench',
        start => 'oldest', %opts);

    $t->ctl_ok(qw(endpoint rotate), $name, "--kind=$_") for @$kinds;
    $t->run_dispatcher(dispatcher_options());
    my ($request) = $recv->wait_for(1) or die "no request came\n";
    stop(hard => 1);
    $t->ctl_ok('endpoint', 'remove', $name);
    $recv->stop;

    my $headers = $request->{headers};
    delete @$headers{qw(host accept content-length)};
    return ('--headers', $t->write_file("$what.headers",
            join '', map { "$_: $headers->{$_}\n" } sort keys %$headers),
        '--body', $t->write_file("$what.body", $request->{body}));
}

# What curl_loop measures of libcurl alone, with the contents of `files`.
sub bare_result {
    my ($loop, $url, @files) = @_;
    my $result = program($build, 'curl_loop', '--url', $url, @files,
        '--in-flight', 32, '--seconds', $seconds, '--loop', $loop);

    taken();
    return $result;
}

# Requests per second of libcurl alone.
sub bare { return bare_result(@_)->{rate} }

sub dispatcher_options {
    return $ENV{EVENTSYNC_KEY_FILE} ? "--key-file=$ENV{EVENTSYNC_KEY_FILE}" : ();
}

# Measures deliveries; `sides` has the options of the endpoints by name.
sub deliver {
    my ($what, $endpoints, $ordering, $target, %sides) = @_;
    my $total = $opt{events} || ($opt{quick} ? 20000 : 200000);
    my $events = int($total / $endpoints);
    $total = $events * $endpoints;

    my $url = sink();
    $t->store_init->feed('bench');
    $t->feed('told');
    program($build, 'grow', '--store', $t->store, '--feed', 'bench',
        '--events', $events, '--size', 80);
    $t->partner_key('bench', feeds => '*', operations => 'told');
    local $ENV{EVENTSYNC_KEY_FILE} = key_file();

    my (%ours, %bare);
    for my $side (keys %sides) {
        my %opts = @{ $sides{$side} };
        my @kinds = @{ delete $opts{kinds} // [] };
        my @files = sample($side =~ s/ /-/gr, \@kinds, %opts);

        $ours{$side} = sub {
            my @names = map { scalar $t->endpoint('bench', url => "$url/$_",
                feeds => 'bench', ordering => $ordering, start => 'oldest',
                $ordering eq 'none' ? (in_flight => 32) : (), %opts) }
                1 .. $endpoints;
            for my $name (@names) {
                $t->ctl_ok(qw(endpoint rotate), $name, "--kind=$_") for @kinds;
            }
            my $rate = delivery_rate($total, options => [dispatcher_options()]);
            check_recorded($names[0], $events);
            $t->ctl_ok('endpoint', 'remove', $_) for @names;
            return $rate;
        };
        $bare{"bare, $side"} = sub { bare('poll', $url, @files) };
        $bare{"socket, $side"} = sub { bare('socket', $url, @files) };
    }

    my $v = alternate($rounds, %ours, %bare);
    table('deliveries/s', map {
        ["$endpoints endpoints, $ordering, $_", $v->{$_}],
        ['bare libcurl, the same 32 at a time', $v->{"bare, $_"}],
        ['the same by curl_multi_socket_action()', $v->{"socket, $_"}]
    } sort keys %sides);
    for my $side (sort keys %sides) {
        printf "  %s: %.2f (min %.2f, max %.2f)\n", $_,
            @{ ratio($v->{$_}, $v->{"bare, $side"}) } for $side, "socket, $side";
    }
    my ($most) = grep { $sides{$_} } 'everything on', 'plain';
    verdict($what, ratio($v->{$most}, $v->{"bare, $most"}), $target, $most);
}

sub dispatch {
    deliver('dispatch', 1, 'none', '>= 0.92', plain => [],
        'everything on' => [ everything(), kinds => ['v1'] ],
        'ed25519 as well' => [ everything(), kinds => ['v1', 'v1a'] ]);
}

sub dispatch_fifo {
    deliver('dispatch-fifo', 32, 'fifo', '>= 0.7', plain => []);
}

sub endpoints {
    my ($n, $url, @opts) = @_;
    my %given = map { $_ => 1 } @opts;
    program($build, 'endpoints', '--store', $t->store, '--n', $n,
        '--url', $url, (map { $given{"--$_"} ? () : ("--$_", 'bench') }
            qw(partner feed)), @opts);
}

sub no_endpoints {
    for my $name ($t->ctl_ok('endpoint', 'list') =~ /^(ep_\w+)/mg) {
        $t->ctl_ok('endpoint', 'remove', $name);
    }
}

sub prepare {
    my ($events) = @_;
    $t->store_init->feed('bench');
    program($build, 'grow', '--store', $t->store, '--feed', 'bench',
        '--events', $events, '--size', 80) if $events;
    $t->partner_key('bench', feeds => '*');
}

# Opens a port that accepts connections, up to its backlog, and never answers.
sub black_hole {
    return IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1000)
        // die "cannot listen: $!\n";
}

# Starts a receiver that answers the first request of an endpoint at once and
# all others late; 0: it sends only the header in time.  Returns its URL; the
# next call ends it.
my %mires;

sub mire {
    my ($after_s) = @_;
    my $port = $t->free_port;

    if (my $old = delete $mires{$after_s}) {
        $old->stop('KILL');
        $t->forget($old);
    }
    $mires{$after_s} = $t->start('mire', {}, "$build/bench/mire", '--port',
        $port, '--after', $after_s);
    wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") })
        or die "mire does not listen\n";
    return "http://127.0.0.1:$port";
}

# The worst that a partner may do to others: endpoints with a backlog that
# never answer.  With `worst`, some of them have more requests in flight than
# there are slots, and answer after 25 s or send a body without an end.
sub bad {
    my ($silent, $dark, $worst) = @_;
    my @bad = ('--partner', 'bad', '--start', 'oldest');

    endpoints($silent, $dark, @bad, '--timeout', '1s');
    return unless $worst;
    endpoints($opt{quick} ? 2 : 8, $_, @bad, '--timeout', '60s',
        '--ordering', 'none', '--in-flight', 256) for mire(25), mire(0);
}

# A hundred endpoints that answer, alone and beside nine hundred endpoints of
# another partner that never do: the throughput of a backlog, and the latency.
sub isolation { isolated('isolation', 0) }
sub isolation_worst { isolated('isolation-worst', 1) }

sub isolated {
    my ($what, $worst) = @_;
    my ($good, $silent) = $opt{quick} ? (20, 180) : (100, 900);
    my $events = $opt{quick} ? 200 : 1000;
    my $hole = black_hole();
    my @bad = ($silent, 'http://127.0.0.1:' . $hole->sockport, $worst);
    my $url = sink();
    my (%p50, %p99);

    prepare($events);
    $t->partner_key('bad', feeds => '*');
    my $side = sub {
        my ($beside) = @_;
        return sub {
            bad(@bad) if $beside;
            endpoints($good, $url, '--start', 'oldest');
            my $rate = delivery_rate($good * $events, hard => $beside);
            no_endpoints();
            return $rate;
        };
    };
    my $v = alternate($rounds, alone => $side->(0), beside => $side->(1));
    table('deliveries/s', ["$good endpoints, alone", $v->{alone}],
        ['beside the other partner', $v->{beside}]);

    my $delay = sub {
        my ($name, $beside) = @_;
        return sub {
            bad(@bad) if $beside;
            my $r = measured($good, $opt{quick} ? 10 : 20, hard => $beside,
                warm => 4);
            push @{ $p50{$name} }, $r->{p50_us};
            push @{ $p99{$name} }, $r->{p99_us};
            return $r->{p99_us};
        };
    };
    alternate($rounds, alone => $delay->('alone', 0),
        beside => $delay->('beside', 1));
    table('us from publish to receiver',
        map { my $n = $_; map { [ "$_->[0], $n", $_->[1]{$n} ] }
            ['p50', \%p50], ['p99', \%p99] } qw(alone beside));

    my ($most, $least) = $worst ? ('<= 2', '>= 0.9') : ('<= 1.3', '>= 0.95');
    verdict("$what (p99)", ratio($p99{beside}, $p99{alone}), $most);
    verdict($what, ratio($v->{beside}, $v->{alone}), $least);
}

# Creates endpoints and publishes to them at an even rate.
sub measured {
    my ($receivers, $rate, %opts) = @_;
    my $port = $t->free_port;

    endpoints($receivers, "http://127.0.0.1:$port");
    $t->run_dispatcher;
    sleep 1;
    my $r = program($build, 'latency', '--store', $t->store, '--feed', 'bench',
        '--port', $port, '--rate', $rate, '--seconds',
        $seconds + ($opts{warm} // 0),
        '--receivers', $receivers, '--warm', $opts{warm} // 0);
    $r->{memory} = memory($t->{dispatcher}->pid);
    stop(%opts);
    no_endpoints();
    return $r;
}

sub latency {
    my $rate = 1000;
    my (@p50, @p99, @max);

    prepare(0);
    for my $round (1 .. $rounds) {
        my $r = measured(1, $rate);
        printf "  round %d  %.0f events/s published\n", $round, $r->{rate};
        die "only $r->{rate} events/s could be published\n"
            if $r->{rate} < 0.95 * $rate && !$opt{quick};
        push @p50, $r->{p50_us};
        push @p99, $r->{p99_us};
        push @max, $r->{max_us};
    }
    table('us from publish to receiver', ['p50', \@p50], ['p99', \@p99],
        ['longest', \@max]);
    printf "latency: p50 %.0f us, p99 %.0f us at %d events/s (no target)\n",
        median(@p50), median(@p99), $rate;
}

# Latency while the record of one of thousands of other endpoints changes
# constantly, and while none changes.
sub changes {
    my $others = $opt{quick} ? 500 : 10_000;
    my (%p50, %p99);

    prepare(0);
    $t->feed('quiet');
    endpoints($others, 'http://127.0.0.1:9', '--feed', 'quiet');
    my $name = $t->endpoint('bench', url => 'http://127.0.0.1:9/',
        feeds => 'quiet');
    my $port = $t->free_port;
    endpoints(1, "http://127.0.0.1:$port");
    $t->run_dispatcher;
    ready();

    my $side = sub {
        my ($what, $pause) = @_;
        my $pid = fork() // die "fork: $!\n";
        if ($pid == 0) {
            for (my $i = 0; ; $i++) {
                sleep $pause;
                $t->ctl('endpoint', 'change', $name,
                    '--timeout=' . (5 + $i % 9) . 's');
            }
        }
        my $r = program($build, 'latency', '--store', $t->store, '--feed',
            'bench', '--port', $port, '--rate', 500, '--seconds', $seconds,
            '--receivers', 1, '--warm', 1);
        kill KILL => $pid;
        waitpid $pid, 0;
        push @{ $p50{$what} }, $r->{p50_us};
        push @{ $p99{$what} }, $r->{p99_us};
        return $r->{p99_us};
    };
    alternate($rounds, changing => sub { $side->('changing', 0.3) },
        still => sub { $side->('still', 1000) });
    table('us from publish to receiver',
        map { my $n = $_; map { [ "$_->[0], $n", $_->[1]{$n} ] }
            ['p50', \%p50], ['p99', \%p99] } qw(still changing));
    printf "changes: p99 %.0f us, %.0f us when none changes (no target)\n",
        median(@{ $p99{changing} }), median(@{ $p99{still} });
    stop(hard => 1);
}

# Replays a whole feed to an endpoint that has received it.
sub replay {
    my $total = $opt{events} || ($opt{quick} ? 20_000 : 1_000_000);
    my $url = sink();

    prepare($total);
    my $name = $t->endpoint('bench', url => "$url/1", feeds => 'bench',
        ordering => 'none', in_flight => 32, start => 'latest');
    my @files = sample('plain', []);
    my $v = alternate($rounds,
        ours => sub { delivery_rate($total, after => sub {
            $t->ctl_ok('endpoint', 'replay', $name, 'bench',
                '--from=oldest') }) },
        bare => sub { bare('poll', $url, @files) });
    table('deliveries/s', ["$total events replayed", $v->{ours}],
        ['bare libcurl, 32 in flight', $v->{bare}]);
    verdict('replay', ratio($v->{ours}, $v->{bare}), '>= 0.8');
}

# Delivers one event to ten thousand endpoints, and measures their cost at rest.
sub fanout {
    my $n = $opt{quick} ? 500 : 10_000;
    my $url = sink();
    my (@ready, @rates);

    prepare(0);
    endpoints($n, $url);
    for my $round (1 .. $rounds) {
        push @ready, (ready())[0];
        my $idle = memory($t->{dispatcher}->pid);

        my $base = taken();
        my $began = time();
        program($build, 'grow', '--store', $t->store, '--feed', 'bench',
            '--events', 1, '--size', 80, '--prefix', "fan$round");
        until (taken() - $base >= $n) {
            die "not delivered in 300 s\n" if time() - $began > 300;
            sleep 0.005;
        }
        push @rates, $n / (time() - $began);
        printf "  round %d  ready after %.2f s, %s idle, %s after\n", $round,
            $ready[-1], $idle, memory($t->{dispatcher}->pid);
        stop();
    }
    table('deliveries/s', ["one event to $n endpoints", \@rates]);
    table('s until it is ready', ["$n endpoints", \@ready]);
    printf "fanout: %.0f deliveries/s (no target)\n", median(@rates);
}

# Delivers to a few endpoints, alone and among thousands of others.
sub crowd {
    my $others = $opt{quick} ? 500 : 10_000;
    my $events = $opt{quick} ? 500 : 5000;
    my $url = sink();

    for my $n (0, $others) {
        local $t->{store} = $t->testdir . "/store-$n";
        local $t->{partners} = {};
        prepare($events);
        $t->feed('quiet');
        endpoints($n, $url, '--feed', 'quiet') if $n;
    }
    my $side = sub {
        my ($n) = @_;
        return sub {
            local $t->{store} = $t->testdir . "/store-$n";
            endpoints(32, $url, '--start', 'oldest', '--feed', 'bench');
            my $rate = delivery_rate(32 * $events);
            $t->ctl_ok(qw(endpoint remove), $_->{name}) for
                grep { "@{$_->{feeds}}" eq 'bench' } map { decode_json($_) }
                split /\n/, $t->ctl_ok(qw(endpoint list --json));
            return $rate;
        };
    };
    my $v = alternate($rounds, alone => $side->(0), among => $side->($others));
    table('deliveries/s', ['32 endpoints, fifo', $v->{alone}],
        ["the same among $others others", $v->{among}]);
    verdict('crowd', ratio($v->{among}, $v->{alone}), '>= 0.95');
}

# Starts the dispatcher, unless it runs, and waits until it is ready.  Returns
# the time that this took and its anonymous memory in MB.
sub ready {
    my $began = time();
    my $proc = $t->{dispatcher} // $t->run_dispatcher;

    wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on / }, 60)
        or die "the dispatcher does not start\n";
    my $seconds = time() - $began;
    sleep 0.5;
    return ($seconds, (Bench::resident($proc->pid))[0]);
}

# Ten thousand endpoints, of which one was paused until now: the time until the
# dispatcher is ready and until its first deliveries, with a long backlog and
# with a short one.
sub backlog {
    my $small = 10_000;
    my $large = $opt{events} || ($opt{quick} ? 100_000 : 10_000_000);
    my $others = $opt{quick} ? 500 : 10_000;
    my $url = sink();
    my (%start, %memory);

    for my $n ($small, $large) {
        local $t->{store} = $t->testdir . "/store-$n";
        local $t->{partners} = {};
        prepare($n);
        $t->feed('quiet');
        endpoints($others, $url, '--feed', 'quiet');
    }
    my $once = sub {
        my ($n) = @_;
        my $name = $t->endpoint('bench', url => "$url/1", feeds => 'bench',
            ordering => 'none', in_flight => 32, start => 'oldest');
        $t->ctl_ok(qw(endpoint pause), $name);
        my $rate = delivery_rate($small, more => 1, hard => 1, after => sub {
            my ($seconds, $mb) = ready();
            push @{ $start{$n} }, $seconds;
            push @{ $memory{$n} }, $mb;
            $t->ctl_ok(qw(endpoint resume), $name);
        });
        $t->ctl_ok(qw(endpoint remove), $name);
        return $rate;
    };
    my $side = sub {
        my ($n) = @_;
        return sub {
            local $t->{store} = $t->testdir . "/store-$n";
            my @rates = map { $once->($n) } 1 .. 3;
            return median(@rates);
        };
    };
    my $v = alternate($rounds, small => $side->($small),
        large => $side->($large));
    table('deliveries/s', ["the first $small of $small", $v->{small}],
        ["the first $small of $large", $v->{large}]);
    table('s until it is ready', map { ["$_ behind", $start{$_}] }
        $small, $large);
    table('MB of its own', map { ["$_ behind", $memory{$_}] } $small, $large);
    verdict('backlog', ratio($v->{large}, $v->{small}), '>= 0.9');
}

1;
